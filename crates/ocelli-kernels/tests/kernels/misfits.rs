//! Slices and shapes that do not fit together: kernels may refuse, but never panic or hang.

use ocelli_kernels::attention::{Attention, Bias};
use ocelli_kernels::conv::Conv2d;
use ocelli_kernels::depthwise::DepthwiseConv2d;
use ocelli_kernels::matmul::MatMul;
use ocelli_kernels::norm::Norm;
use ocelli_kernels::pool::{AveragePool, average_row_tflite, max_row, mean_tflite};
use ocelli_kernels::separable::SeparableAttention;
use ocelli_kernels::{Map, Q32, Q32Channel, TfLite, TfLiteChannel, Window, layout};
use proptest::collection::vec;
use proptest::prelude::*;

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..12, Just(usize::from(u16::MAX))]
}

fn map_parts() -> impl Strategy<Value = (Vec<i8>, [usize; 4], i8)> {
    (vec(any::<i8>(), 0..600), [size(), size(), size(), size()], any::<i8>())
}

fn map((data, [slots, height, width, channels], zero_point): &(Vec<i8>, [usize; 4], i8)) -> Map<'_> {
    Map::ring(data, *slots, [*height, *width, *channels], *zero_point)
}

fn any_window() -> impl Strategy<Value = Window> {
    let number = || prop_oneof![0u16..6, any::<u16>()];
    let pair = || [number(), number()];
    (
        prop_oneof![[0u16..6, 0u16..6], [Just(u16::MAX), Just(1)], [Just(2), Just(u16::MAX)]],
        pair(),
        pair(),
        pair(),
    )
        .prop_map(|(kernel, stride, dilation, padding)| Window { kernel, stride, dilation, padding })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn convolutions(
        parts in map_parts(), window in any_window(), groups in size(), weights in vec(any::<i8>(), 0..300),
        channels in 0usize..20, length in 0usize..60, y in prop_oneof![0usize..6, Just(70_000usize)],
    ) {
        let channels = vec![Q32Channel { bias: i32::MAX, multiplier: i32::MIN }; channels];
        let mut output = vec![0; length];
        let _ = Conv2d { window, groups, weights: &weights }.row(&map(&parts), y, &mut output, &Q32, &channels);
        let kernel = DepthwiseConv2d { window, channel_multiplier: groups, weights: &weights };
        let _ = kernel.row(&map(&parts), y, &mut output, &Q32, &channels);
    }

    #[test]
    fn pools(parts in map_parts(), window in any_window(), length in 0usize..60, y in prop_oneof![0usize..6, Just(70_000usize)], shift: u32, include: bool) {
        let input = map(&parts);
        let mut output = vec![0; length];
        let channel = Q32Channel { bias: i32::MIN, multiplier: i32::MIN };
        let rule = TfLite { zero_point: i32::MAX, min: 5, max: -5 };
        let tflite = TfLiteChannel { bias: i32::MIN, multiplier: i32::MIN, shift: i32::MIN };
        let _ = max_row(&window, &input, y, &mut output, [5, -5]);
        let _ = AveragePool { window, count_include_pad: include, shift, channel: &channel }.row(&input, y, &mut output);
        let _ = average_row_tflite(&window, &input, y, &mut output, &rule);
        let _ = mean_tflite(&input, &mut output, &rule, &tflite);
    }

    #[test]
    fn layouts(parts in map_parts(), length in 0usize..60, y in size(), at in [size(), size()], channels in size(), order: [u8; 3], small in [0u8..4, 0u8..4, 0u8..4]) {
        let input = map(&parts);
        let mut output = vec![0; length];
        let _ = layout::place_row(&input, y, &mut output, channels, at);
        let _ = layout::pad_row(&input, at, 3, y, &mut output);
        let _ = layout::transpose_row(&input, order, channels, y, &mut output);
        let _ = layout::transpose_row(&input, small, channels, y, &mut output);
        let _ = layout::slice_row(&input, [at[0], at[1], channels], usize::from(small[0]), y, &mut output);
    }

    #[test]
    fn attentions(
        parts in [map_parts(), map_parts(), map_parts()], patches in [[size(), size()], [size(), size()]], heads in size(), numbers: [i32; 3],
        shifts: [u32; 2], tables in (vec(any::<u16>(), 1024), vec(any::<u16>(), 256)), bias in prop::option::of((vec(any::<i16>(), 0..200), size(), size())),
        y in size(), flags: [bool; 2], lengths in [0usize..300, 0usize..300],
    ) {
        let [mut query, key, mut value] = parts.each_ref().map(map);
        // Often of shapes that fit, with data that may still not.
        if flags[0] {
            query.channels = key.channels;
            (value.height, value.width) = (key.height, key.width);
        }
        let exponentials: [u16; 1024] = tables.0.try_into().unwrap();
        let kernel = Attention {
            heads, patch: patches[0], key_patch: if flags[0] { patches[0] } else { patches[1] }, causal: flags[1],
            score_multiplier: numbers[0], score_shift: shifts[0], exponentials: &exponentials,
            output_multiplier: numbers[1], output_bias: numbers[2], output_shift: shifts[1], zero_point: 3,
            bias: bias.as_ref().map(|(values, head_stride, query_stride)| Bias { values, head_stride: *head_stride, query_stride: *query_stride }),
        };
        let (mut output, mut scratch) = (vec![0; lengths[0]], vec![0; lengths[1]]);
        let _ = kernel.row([&query, &key, &value], y, &mut output, &mut scratch);
        let exponentials: [u16; 256] = tables.1.try_into().unwrap();
        let channel = Q32Channel { bias: numbers[0], multiplier: numbers[1] };
        let kernel = SeparableAttention { patch: patches[0], exponentials: &exponentials, channel: &channel };
        let scores = if flags[0] { Map { channels: 1, ..value } } else { query };
        let value = if flags[1] { Map { channels: key.channels, ..value } } else { value };
        let _ = kernel.apply([&scores, &key, &value], &mut output, &mut scratch);
        for transpose_second in [false, true] {
            let _ = MatMul { transpose_second, rule: Q32, channel: &channel }.row(&query, &key, y, &mut output);
        }
    }

    #[test]
    fn norms(data in vec(any::<i8>(), 0..300), channels in vec((any::<i32>(), any::<i32>()), 0..20), centered: bool, zero_point: i8, epsilon: u64, shift: u32) {
        let channels: Vec<Q32Channel> = channels.into_iter().map(|(bias, multiplier)| Q32Channel { bias, multiplier }).collect();
        let norm = Norm { centered, zero_point, epsilon, shift, channels: &channels };
        let fits = (!channels.is_empty()).then_some(());
        prop_assert_eq!(norm.pixels(&mut data.clone()), fits);
        prop_assert_eq!(norm.map(&mut data.clone()), fits);
    }
}
