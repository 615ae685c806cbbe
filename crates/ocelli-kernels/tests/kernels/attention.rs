//! Attention against its formulas on explicitly unfolded sequences, and against softmax in `f64`.

use ocelli_kernels::attention::{Attention, Bias, EXPONENTIALS, SCORE_STEPS, scratch_bytes};
use proptest::prelude::*;

use crate::maps::{Feature, values, zero_point};
use crate::sequences::{decibels, exponentials, fold, gaussian, noise, quantize, unfold};

/// Owned parameters of an attention.
#[derive(Clone, Debug)]
struct Parameters {
    heads: usize,
    patches: [[usize; 2]; 2],
    causal: bool,
    score: (i32, u32),
    output: (i32, i32, u32),
    exponentials: [u16; EXPONENTIALS],
    /// Values, head stride, query stride.
    bias: Option<(Vec<i16>, usize, usize)>,
}

impl Parameters {
    fn kernel(&self, zero_point: i8) -> Attention<'_> {
        Attention {
            heads: self.heads,
            patch: self.patches[0],
            key_patch: self.patches[1],
            causal: self.causal,
            score_multiplier: self.score.0,
            score_shift: self.score.1,
            exponentials: &self.exponentials,
            output_multiplier: self.output.0,
            output_bias: self.output.1,
            output_shift: self.output.2,
            zero_point,
            bias: self.bias.as_ref().map(|(values, head_stride, query_stride)| Bias {
                values,
                head_stride: *head_stride,
                query_stride: *query_stride,
            }),
        }
    }

    /// The whole output, row by row, in scratch of just the size that is stated.
    fn run(&self, [query, key, value]: [&Feature; 3], zero_point: i8) -> Vec<i8> {
        let [height, width, channels] = query.shape;
        let tokens = key.shape[0] * key.shape[1] / (self.patches[1][0] * self.patches[1][1]);
        let mut scratch = vec![0x55i8; scratch_bytes(tokens, channels / self.heads)];
        let length = width * value.shape[2];
        let mut output = vec![0; height * length];
        for (y, row) in output.chunks_exact_mut(length).enumerate() {
            let maps = [&query.whole(), &key.whole(), &value.whole()];
            self.kernel(zero_point).row(maps, y, row, &mut scratch).expect("the shapes fit");
        }
        output
    }

    /// The score of a query and a key, which may be hidden.
    fn score(&self, [head, token, other]: [usize; 3], query: &[i64], key: &[i64]) -> Option<i64> {
        let product: i64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
        let product = i64::from((product << self.score.1) as i32);
        let score = (product * i64::from(self.score.0) + (1 << 31)).div_euclid(1 << 32).clamp(-32768, 32767);
        if self.causal && other > token {
            return None;
        }
        match &self.bias {
            None => Some(score),
            Some((values, head_stride, query_stride)) => {
                let bias = values[head * head_stride + token * query_stride + other];
                (bias != i16::MIN).then(|| (score + i64::from(bias)).clamp(-32768 + 1024, 32767))
            }
        }
    }

    /// Weights of the keys for one query of a head.
    fn weights(&self, [head, token]: [usize; 2], query: &[i64], keys: &[Vec<i64>]) -> Vec<i64> {
        let scores: Vec<Option<i64>> =
            (0..keys.len()).map(|other| self.score([head, token, other], query, &keys[other])).collect();
        let largest = scores.iter().flatten().copied().max();
        let weight = |score: i64| i64::from(self.exponentials[(largest.unwrap() - score).min(1023) as usize]);
        scores.into_iter().map(|score| score.map_or(0, weight)).collect()
    }

    /// The whole output by its definition.
    fn expected(&self, [query, key, value]: [&Feature; 3], zero_point: i8) -> Vec<i8> {
        let head = |tokens: &[Vec<i8>], head: usize, zero_point: i8| -> Vec<Vec<i64>> {
            let length = tokens[0].len() / self.heads;
            let centered = |&value: &i8| i64::from(value) - i64::from(zero_point);
            tokens
                .iter()
                .map(|token| token[head * length..][..length].iter().map(centered).collect())
                .collect()
        };
        let [queries, keys, values] =
            [unfold(query, self.patches[0]), unfold(key, self.patches[1]), unfold(value, self.patches[1])];
        let mut sequences = Vec::new();
        for sequence in 0..queries.len() {
            let mut outputs = vec![Vec::new(); queries[sequence].len()];
            for index in 0..self.heads {
                let queries = head(&queries[sequence], index, query.zero_point);
                let keys = head(&keys[sequence], index, key.zero_point);
                let values = head(&values[sequence], index, 0);
                for (token, output) in outputs.iter_mut().enumerate() {
                    let weights = self.weights([index, token], &queries[token], &keys);
                    for channel in 0..values[0].len() {
                        let sum: i64 = weights.iter().zip(&values).map(|(w, v)| w * v[channel]).sum();
                        output.push(match weights.iter().sum() {
                            0 => zero_point,
                            total => self.finish(sum, total),
                        });
                    }
                }
            }
            sequences.push(outputs);
        }
        fold(&sequences, query.shape, self.patches[0])
    }

    fn finish(&self, sum: i64, total: i64) -> i8 {
        let zeros = (total as u32).leading_zeros();
        let inverse = (1i64 << 31) / ((total << zeros) >> 16);
        let multiplier = ((inverse << 14) * i64::from(self.output.0) + (1 << 31)) >> 32;
        let shifted = sum << (zeros - 8);
        assert_eq!(shifted, i64::from(shifted as i32), "sums of values fit 32 bits");
        assert_eq!(multiplier, i64::from(multiplier as i32));
        let scaled = (shifted * multiplier + (1 << 31)) >> 32;
        ((scaled + i64::from(self.output.1)) >> self.output.2).clamp(-128, 127) as i8
    }
}

/// Multiplier and shift of scores from their real factor.
fn score_parameters(factor: f64) -> (i32, u32) {
    let mut shift = 0;
    while factor / f64::from(1 << shift) >= 0.5 {
        shift += 1;
    }
    ((factor / f64::from(1 << shift) * 4_294_967_296.0).round() as i32, shift)
}

/// Multiplier, bias and shift of the output from the scales' ratio and the zero points of value and output.
fn output_parameters(ratio: f64, zero_points: [i8; 2]) -> (i32, i32, u32) {
    let shift = (19.0 - ratio.log2().floor()).min(22.0);
    let multiplier = (ratio * (shift + 11.0).exp2()).round();
    let bias =
        (f64::from(zero_points[1]) - f64::from(zero_points[0]) * ratio) * shift.exp2() + (shift - 1.0).exp2();
    (multiplier as i32, bias.round() as i32, shift as u32)
}

/// The largest weight for which the weights of so many keys add up to less than 2^24.
fn largest_weight(tokens: usize) -> f64 {
    (((1 << 24) - 1) / tokens).min(32767) as f64
}

fn feature(shape: [usize; 3]) -> impl Strategy<Value = Feature> {
    let length = shape.iter().product();
    (values(length), zero_point()).prop_map(move |(values, zero_point)| Feature { values, shape, zero_point })
}

/// Query, key and value with their parameters: sequences of any shape, from the same map or another.
fn attention() -> impl Strategy<Value = ([Feature; 3], Parameters)> {
    let shapes = (
        1usize..4,
        1usize..4,
        [1usize..4, 1usize..4, 1usize..4, 1usize..4],
        1usize..4,
        [1usize..12, 1usize..20],
    );
    (shapes, any::<bool>(), any::<bool>()).prop_flat_map(
        |((rows, columns, counts, heads, dimensions), one_row, causal)| {
            // Keys have as many sequences, in patches of the same or another shape.
            let key_patch = if one_row { [rows * columns, 1] } else { [rows, columns] };
            let channels = dimensions.map(|dimension| dimension * heads);
            let query = [rows * counts[0], columns * counts[1], channels[0]];
            let key = [key_patch[0] * counts[2], key_patch[1] * counts[3], channels[0]];
            let value = [key[0], key[1], channels[1]];
            let [query_tokens, key_tokens] = [counts[0] * counts[1], counts[2] * counts[3]];
            let table = exponentials(1.0 / f64::from(SCORE_STEPS), largest_weight(key_tokens));
            let hidden = prop_oneof![3 => any::<i16>(), 2 => Just(i16::MIN), 1 => Just(-300i16)];
            let bias = prop::option::of((
                proptest::collection::vec(hidden, heads * query_tokens * key_tokens),
                prop::sample::select(vec![0, query_tokens * key_tokens]),
                prop::sample::select(vec![0, key_tokens]),
            ));
            let parameters =
                (bias, 1e-4f64..2.0, -6.0f64..6.0).prop_map(move |(bias, factor, ratio)| Parameters {
                    heads,
                    patches: [[rows, columns], key_patch],
                    causal,
                    score: score_parameters(factor),
                    output: output_parameters(ratio.exp2(), [5, -9]),
                    exponentials: table,
                    bias,
                });
            ([feature(query), feature(key), feature(value)], parameters)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn is_its_formula_on_unfolded_sequences((maps, parameters) in attention(), zero_point in zero_point()) {
        let maps = maps.each_ref();
        prop_assert_eq!(parameters.run(maps, zero_point), parameters.expected(maps, zero_point));
    }

    /// One query row of any head dimension up to 256 and any number of keys, for each ratio of scales: the weighted mean, rounded.
    #[test]
    fn is_the_weighted_mean_rounded(
        tokens in prop_oneof![1usize..40, 500usize..530, 3000usize..3005], dimension in prop_oneof![1usize..20, Just(256usize)],
        zero_points in [zero_point(), zero_point(), zero_point(), zero_point()], ratio in -6.0f64..6.0, factor in 1e-5f64..0.5, extreme: bool, seed: u32,
    ) {
        let ratio = ratio.exp2();
        let map = |width: usize, channels: usize, index: u32| {
            let draw = |value: i8| if extreme { if value < 0 { -128 } else { 127 } } else { value };
            let values = noise(seed ^ index).take(width * channels).map(draw).collect();
            Feature { values, shape: [1, width, channels], zero_point: zero_points[index as usize] }
        };
        let maps = [map(1, dimension, 0), map(tokens, dimension, 1), map(tokens, 3, 2)];
        let parameters = Parameters {
            heads: 1,
            patches: [[1, 1]; 2],
            causal: false,
            score: score_parameters(factor),
            output: output_parameters(ratio, [zero_points[2], zero_points[3]]),
            exponentials: exponentials(1.0 / f64::from(SCORE_STEPS), largest_weight(tokens)),
            bias: None,
        };
        let found = parameters.run(maps.each_ref(), zero_points[3]);
        prop_assert_eq!(&found, &parameters.expected(maps.each_ref(), zero_points[3]));
        let centered = |map: &Feature| -> Vec<Vec<i64>> {
            let centered = |&value: &i8| i64::from(value) - i64::from(map.zero_point);
            map.values.chunks(map.shape[2]).map(|token| token.iter().map(centered).collect()).collect()
        };
        let weights = parameters.weights([0, 0], &centered(&maps[0])[0], &centered(&maps[1]));
        for (channel, found) in found.into_iter().enumerate() {
            let sum: i64 = weights.iter().zip(centered(&maps[2])).map(|(weight, value)| weight * value[channel]).sum();
            let exact = sum as f64 / weights.iter().sum::<i64>() as f64 * ratio + f64::from(zero_points[3]);
            let error = (f64::from(found) - exact.clamp(-128.0, 127.0)).abs();
            // The reciprocal's 2^-14 at most, of a mean of at most 128 values' steps.
            prop_assert!(error <= 0.5 + 128.0 * ratio / 16384.0 + 1e-2, "{} for {}", found, exact);
        }
    }
}

/// Signal to quantization noise of the kernel's output, and of the output of a float softmax rounded to int8, in decibels: heads of 16
/// channels whose scores have a standard deviation of `spread`.
fn signal_to_noise(tokens: usize, spread: f64, seed: u32) -> [f64; 2] {
    const HEADS: usize = 4;
    const DIMENSION: usize = 16;
    let channels = HEADS * DIMENSION;
    let scale = 1.0 / (DIMENSION as f64).sqrt();
    // Real tensors, which the kernel and the reference see as the same int8.
    let tensors: [_; 3] = std::array::from_fn(|index| {
        let size = if index < 2 { spread.sqrt() } else { 1.0 };
        let mean = 0.3 * index as f64;
        let real: Vec<f64> =
            gaussian(seed + index as u32).take(tokens * channels).map(|x| size * x + mean).collect();
        quantize(&real)
    });
    let map = |index: usize| {
        let (values, _, zero_point) = &tensors[index];
        Feature { values: values.clone(), shape: [1, tokens, channels], zero_point: *zero_point }
    };
    let real = |index: usize, token: usize, channel: usize| {
        let (values, scale, zero_point) = &tensors[index];
        (f64::from(values[token * channels + channel]) - f64::from(*zero_point)) * scale
    };
    let mut exact = vec![0.0; tokens * channels];
    for head in 0..HEADS {
        let channels_of_head = head * DIMENSION..(head + 1) * DIMENSION;
        for token in 0..tokens {
            let weights: Vec<f64> = (0..tokens)
                .map(|other| {
                    let score: f64 = channels_of_head
                        .clone()
                        .map(|channel| real(0, token, channel) * real(1, other, channel))
                        .sum();
                    (score * scale).exp()
                })
                .collect();
            let total: f64 = weights.iter().sum();
            for channel in channels_of_head.clone() {
                let sum: f64 = (0..tokens).map(|other| weights[other] * real(2, other, channel)).sum();
                exact[token * channels + channel] = sum / total;
            }
        }
    }
    let (rounded, output_scale, zero_point) = quantize(&exact);
    let [query_scale, key_scale, value_scale] = [0, 1, 2].map(|index| tensors[index].1);
    let parameters = Parameters {
        heads: HEADS,
        patches: [[1, 1]; 2],
        causal: false,
        score: score_parameters(scale * query_scale * key_scale * f64::from(SCORE_STEPS)),
        output: output_parameters(value_scale / output_scale, [tensors[2].2, zero_point]),
        exponentials: exponentials(1.0 / f64::from(SCORE_STEPS), largest_weight(tokens)),
        bias: None,
    };
    let found = parameters.run([&map(0), &map(1), &map(2)], zero_point);
    [found, rounded].map(|values| {
        let real = values.iter().map(|&value| (f64::from(value) - f64::from(zero_point)) * output_scale);
        decibels(&exact, real)
    })
}

#[test]
fn is_within_a_decibel_of_softmax_in_float() {
    for tokens in [16, 64, 256] {
        for spread in [0.3, 1.0, 3.0, 8.0] {
            let [found, rounded] = signal_to_noise(tokens, spread, 17);
            println!("{tokens} tokens, scores of {spread}: {found:.2} dB, {rounded:.2} dB by float softmax");
            assert!(found > rounded - 1.0, "{tokens} tokens, {spread}: {found} dB against {rounded} dB");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let parameters = Parameters {
        heads: 2,
        patches: [[1, 1]; 2],
        causal: false,
        score: (1, 0),
        output: (1, 0, 0),
        exponentials: exponentials(0.1, 100.0),
        bias: Some((vec![0; 12], 0, 4)),
    };
    let row = |parameters: &Parameters, maps: [&Feature; 3], scratch: usize| {
        let mut scratch = vec![0; scratch];
        let maps = maps.map(Feature::whole);
        parameters.kernel(0).row(maps.each_ref(), 0, &mut [0; 12], &mut scratch)
    };
    let (query, key) = (Feature::ones(1, 3, 4), Feature::ones(2, 2, 4));
    let fitting = scratch_bytes(4, 2);
    assert_eq!(row(&parameters, [&query, &key, &key], fitting), Some(()));
    assert_eq!(row(&parameters, [&query, &key, &key], fitting - 4), None);
    assert_eq!(row(&parameters, [&query, &Feature::ones(2, 2, 6), &key], fitting), None);
    assert_eq!(row(&parameters, [&query, &key, &Feature::ones(2, 3, 4)], fitting), None);
    let changed = |change: fn(&mut Parameters)| {
        let mut parameters = parameters.clone();
        change(&mut parameters);
        row(&parameters, [&query, &key, &key], 1000)
    };
    assert_eq!(changed(|parameters| parameters.heads = 0), None);
    assert_eq!(changed(|parameters| parameters.heads = 5), None);
    assert_eq!(changed(|parameters| parameters.patches[0] = [0, 1]), None);
    assert_eq!(changed(|parameters| parameters.patches[1] = [2, 1]), None);
    assert_eq!(changed(|parameters| parameters.bias = Some((vec![0; 11], 0, 4))), None);
}
