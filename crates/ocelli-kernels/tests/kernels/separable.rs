//! Separable attention against its formula on explicitly unfolded sequences, and against `f64`.

use ocelli_kernels::separable::{CONTEXT_BITS, SeparableAttention, scratch_bytes};
use ocelli_kernels::{Q32, Q32Channel};
use proptest::prelude::*;

use crate::maps::{Feature, values, zero_point};
use crate::rules::{Defined, q32_channel, q32_from_real};
use crate::sequences::{decibels, exponentials, fold, gaussian, quantize, unfold};

/// The output, in scratch of just the size that is stated.
fn run(kernel: &SeparableAttention<'_>, maps: [&Feature; 3]) -> Vec<i8> {
    let [height, width, channels] = maps[2].shape;
    let tokens = height * width / (kernel.patch[0] * kernel.patch[1]);
    let mut scratch = vec![0x55; scratch_bytes(tokens, channels)];
    let mut output = vec![0; height * width * channels];
    kernel.apply(maps.map(Feature::whole).each_ref(), &mut output, &mut scratch).expect("the shapes fit");
    output
}

/// The output by its definition.
fn expected(kernel: &SeparableAttention<'_>, [scores, key, value]: [&Feature; 3]) -> Vec<i8> {
    let [mut scores, keys, values] = [scores, key, value].map(|feature| unfold(feature, kernel.patch));
    for ((scores, keys), values) in scores.iter_mut().zip(&keys).zip(&values) {
        let largest = scores.iter().map(|score| i32::from(score[0])).max().unwrap();
        let weights: Vec<i64> = scores
            .iter()
            .map(|score| i64::from(kernel.exponentials[(largest - i32::from(score[0])) as usize]))
            .collect();
        let total: i64 = weights.iter().sum();
        let zeros = (total as u32).leading_zeros();
        let inverse = (1 << 31) / ((total << zeros) >> 16);
        let context = |channel: usize| {
            let sum: i64 =
                weights.iter().zip(keys).map(|(weight, key)| weight * i64::from(key[channel])).sum();
            assert_eq!(sum, i64::from(sum as i32), "sums of keys fit 32 bits");
            let centered = sum - total * i64::from(key.zero_point);
            let shift = 47 - CONTEXT_BITS - zeros;
            (centered * inverse + (1 << (shift - 1))) >> shift
        };
        *scores = values
            .iter()
            .map(|token| {
                let centered = token.iter().map(|&x| i64::from(x) - i64::from(value.zero_point));
                centered
                    .enumerate()
                    .map(|(channel, x)| Q32.expected(kernel.channel, context(channel) * x))
                    .collect()
            })
            .collect();
    }
    fold(&scores, value.shape, kernel.patch)
}

/// Scores, key and value of one height and width, and patches of them.
fn maps() -> impl Strategy<Value = ([Feature; 3], [usize; 2])> {
    ([1usize..4, 1usize..4], [1usize..6, 1usize..6], 1usize..20).prop_flat_map(|(patch, counts, channels)| {
        let feature = move |channels: usize| {
            let shape = [patch[0] * counts[0], patch[1] * counts[1], channels];
            (values(shape.iter().product()), zero_point()).prop_map(move |(values, zero_point)| Feature {
                values,
                shape,
                zero_point,
            })
        };
        ([feature(1), feature(channels), feature(channels)], Just(patch))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn is_its_formula_on_unfolded_sequences((maps, patch) in maps(), channel in q32_channel(), step in 0.001f64..0.5) {
        let exponentials = exponentials(step, 32767.0);
        let kernel = SeparableAttention { patch, exponentials: &exponentials, channel: &channel };
        prop_assert_eq!(run(&kernel, maps.each_ref()), expected(&kernel, maps.each_ref()));
    }
}

/// Outputs of real signals, against those of a float softmax rounded to int8.
#[test]
fn is_near_softmax_in_float() {
    for (tokens, spread) in [(1, 1.0), (16, 0.3), (64, 1.0), (256, 0.3), (256, 2.0), (512, 1.0)] {
        const CHANNELS: usize = 24;
        let draw = |channels: usize, size: f64, mean: f64, seed: u32| -> (Feature, f64) {
            let real: Vec<f64> = gaussian(seed).take(tokens * channels).map(|x| size * x + mean).collect();
            let (values, scale, zero_point) = quantize(&real);
            (Feature { values, shape: [1, tokens, channels], zero_point }, scale)
        };
        let (scores, score_scale) = draw(1, spread, 0.0, 3);
        let (key, key_scale) = draw(CHANNELS, 1.0, 0.2, 4);
        let (value, value_scale) = draw(CHANNELS, 1.0, 0.5, 5);
        let exponentials_of: Vec<f64> =
            scores.values.iter().map(|&score| (f64::from(score) * score_scale).exp()).collect();
        let total: f64 = exponentials_of.iter().sum();
        let real = |feature: &Feature, scale: f64, token: usize, channel: usize| {
            (f64::from(feature.values[token * CHANNELS + channel]) - f64::from(feature.zero_point)) * scale
        };
        let context: Vec<f64> = (0..CHANNELS)
            .map(|channel| {
                (0..tokens)
                    .map(|token| exponentials_of[token] / total * real(&key, key_scale, token, channel))
                    .sum()
            })
            .collect();
        let exact: Vec<f64> = (0..tokens * CHANNELS)
            .map(|at| context[at % CHANNELS] * real(&value, value_scale, at / CHANNELS, at % CHANNELS))
            .collect();
        let (rounded, output_scale, zero_point) = quantize(&exact);
        let channel =
            q32_from_real(key_scale * value_scale / output_scale / f64::from(1 << CONTEXT_BITS), zero_point);
        let largest = (((1 << 24) - 1) / tokens).min(32767) as f64;
        let kernel = SeparableAttention {
            patch: [1, 1],
            exponentials: &exponentials(score_scale, largest),
            channel: &channel,
        };
        let found = run(&kernel, [&scores, &key, &value]);
        let [found, rounded] = [found, rounded].map(|values| {
            decibels(
                &exact,
                values.iter().map(|&value| (f64::from(value) - f64::from(zero_point)) * output_scale),
            )
        });
        println!("{tokens} tokens, scores of {spread}: {found:.2} dB, {rounded:.2} dB by float softmax");
        assert!(found > rounded - 1.0, "{tokens} tokens, {spread}: {found} dB against {rounded} dB");
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let exponentials = exponentials(0.1, 100.0);
    let channel = Q32Channel { bias: 0, multiplier: 1 };
    let apply = |patch: [usize; 2], maps: [&Feature; 3], output: usize, scratch: usize| {
        let kernel = SeparableAttention { patch, exponentials: &exponentials, channel: &channel };
        kernel.apply(maps.map(Feature::whole).each_ref(), &mut vec![0; output], &mut vec![0; scratch])
    };
    let (scores, key) = (Feature::ones(2, 4, 1), Feature::ones(2, 4, 3));
    let fitting = scratch_bytes(4, 3);
    assert_eq!(apply([1, 2], [&scores, &key, &key], 24, fitting), Some(()));
    assert_eq!(apply([1, 2], [&scores, &key, &key], 24, fitting - 4), None);
    assert_eq!(apply([1, 2], [&scores, &key, &key], 23, fitting), None);
    assert_eq!(apply([0, 2], [&scores, &key, &key], 24, 1000), None);
    assert_eq!(apply([1, 3], [&scores, &key, &key], 24, 1000), None);
    assert_eq!(apply([1, 2], [&key, &key, &key], 24, 1000), None);
    assert_eq!(apply([1, 2], [&scores, &key, &Feature::ones(2, 4, 4)], 32, 1000), None);
}
