//! Weights, biases and slopes as integers.

use crate::graph::{Bias, Conv2d, Weights};
use crate::quantized::{QuantizedConv2d, UNBOUNDED};

/// The smallest ratio of `input scale * weight scale` to the output's scale: below it, the zero point in a `Q32` bias takes too many bits
/// for kernels that keep two accumulators of 24 bits in words together. A weight of full size moves the output by less than a step there, so
/// that its rounding is lost in that of the output.
const SMALLEST_RATIO: f64 = 1.0 / (1u64 << 14) as f64;

/// The greatest bias before correction, for the same kernels.
const LARGEST_BIAS: f64 = (1u64 << 21) as f64;

/// The greatest bias, so that the accumulator has room beside it.
const MOST_BIAS: f64 = (1u64 << 30) as f64;

/// Real weights, `[output channels][kernel height][kernel width][input channels / groups]`.
pub(super) fn real_weights(conv: &Conv2d, channels: usize) -> Vec<f32> {
    match &conv.weights {
        Weights::Float(values) => values.clone(),
        Weights::Int8 { values, scales } => {
            let taps = values.len() / channels;
            let scaled = values.iter().enumerate().map(|(at, &value)| f32::from(value) * scales[at / taps]);
            scaled.collect()
        }
    }
}

/// Real biases; `input_scale` is that of the input in the file, where its biases are integers.
pub(super) fn real_bias(conv: &Conv2d, input_scale: f64) -> Vec<f64> {
    match (&conv.bias, &conv.weights) {
        (Bias::Float(values), _) => values.iter().map(|&value| f64::from(value)).collect(),
        (Bias::Int32(values), Weights::Int8 { scales, .. }) => values
            .iter()
            .zip(scales)
            .map(|(&value, &scale)| f64::from(value) * input_scale * f64::from(scale))
            .collect(),
        (Bias::Int32(values), Weights::Float(_)) => {
            values.iter().map(|&value| f64::from(value) * input_scale).collect()
        }
    }
}

/// The scale of each output channel's weights: the file's, or that which takes the largest weight to 127.
pub(super) fn wanted_scales(conv: &Conv2d, channels: usize) -> Vec<f64> {
    match &conv.weights {
        Weights::Float(values) => scales(values, channels),
        Weights::Int8 { scales, .. } => scales.iter().map(|&scale| f64::from(scale)).collect(),
    }
}

/// Scales that take each channel's largest weight to 127.
pub(super) fn scales(weights: &[f32], channels: usize) -> Vec<f64> {
    weights
        .chunks_exact(weights.len() / channels)
        .map(|taps| f64::from(taps.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()))) / 127.0)
        .collect()
}

/// The int8 convolution. Scales are raised where a channel is so small that its bias or multiplier would leave their bits.
pub(super) fn quantize(
    conv: &Conv2d,
    bias: &[f64],
    [input_scale, output_scale]: [f64; 2],
) -> QuantizedConv2d {
    let channels = bias.len();
    let real = real_weights(conv, channels);
    let given: Option<&[i8]> = match &conv.weights {
        Weights::Int8 { values, .. } => Some(values),
        Weights::Float(_) => None,
    };
    let wanted = wanted_scales(conv, channels);
    let taps = real.len() / channels;
    let mut values = Vec::with_capacity(real.len());
    let mut weight_scales = Vec::with_capacity(channels);
    for (channel, (&wanted, &bias)) in wanted.iter().zip(bias).enumerate() {
        let floor = (bias.abs() / LARGEST_BIAS).max(SMALLEST_RATIO * output_scale) / input_scale;
        let range = channel * taps..(channel + 1) * taps;
        let scale = wanted.max(floor) as f32;
        match given {
            Some(given) if wanted >= floor => values.extend_from_slice(&given[range]),
            _ => values.extend(
                real[range].iter().map(|&weight| (weight / scale).round().clamp(-127.0, 127.0) as i8),
            ),
        }
        weight_scales.push(scale);
    }
    let bias = bias_steps(bias, input_scale, &weight_scales);
    QuantizedConv2d {
        window: conv.window,
        groups: conv.groups,
        weights: values,
        weight_scales,
        bias,
        bounds: UNBOUNDED,
        fully_connected: conv.fully_connected,
    }
}

/// Biases in units of `input scale * weight scale`.
pub(super) fn bias_steps(bias: &[f64], input_scale: f64, weight_scales: &[f32]) -> Vec<i32> {
    bias.iter()
        .zip(weight_scales)
        .map(|(&bias, &scale)| {
            let steps = bias / (input_scale * f64::from(scale));
            steps.round().clamp(-MOST_BIAS, MOST_BIAS) as i32
        })
        .collect()
}

/// The scale that takes the largest slope to 127, at least `floor`.
pub(super) fn slope_scale(slopes: &[f32], floor: f64) -> f64 {
    let largest = slopes.iter().fold(0.0_f32, |most, slope| most.max(slope.abs()));
    (f64::from(largest) / 127.0).max(floor)
}
