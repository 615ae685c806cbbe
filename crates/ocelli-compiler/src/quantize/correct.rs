//! Sequential correction: rounded weights times inputs that are not centred shift a channel's mean, and the bias takes it back.
//!
//! Nodes are walked in order, their weights rounded and their biases corrected each on the outputs that the already corrected int8 network gives. For a convolution,
//! `bias' = bias + W E[x_float] - Wq E[x_int8]`: its accumulator is linear in the input, so that the mean over all images and places needs
//! only the mean input under each tap. (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
//! section 4.2, with measured means.)

use rayon::prelude::*;

use super::constant_channels::Intervals;
use super::run::{NodeRunner, Values, value};
use super::{QuantizeError, rounding, weights};
use crate::calibrate::places::PlaceValues;
use crate::graph::{Activation, Quantization, Shape, Window};
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// What a convolution computes in float.
pub(super) struct Reference<'a> {
    /// Its weights, in the order of the int8 ones.
    pub weights: Vec<f32>,
    /// The mean of each output channel over the calibration inputs, before a fused clip.
    pub means: Vec<f64>,
    /// The outputs at some places, before a fused clip, but for `factors`.
    pub samples: &'a PlaceValues,
    /// The factor on each channel.
    pub factors: Option<&'a [f64]>,
    /// The slope of the function that follows the convolution; `None` where none does.
    pub slope: Option<Slope>,
}

/// The slope of what follows a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slope {
    /// 1 within, 0 outside.
    Clip([f32; 2]),
    /// That of a function of one value.
    Activation(Activation),
}

impl Slope {
    fn at(self, value: f64) -> f64 {
        match self {
            Self::Clip([low, high]) => f64::from(u8::from(value > f64::from(low) && value < f64::from(high))),
            Self::Activation(function) => {
                (function.apply(value + SLOPE_STEP) - function.apply(value - SLOPE_STEP)) / (2.0 * SLOPE_STEP)
            }
        }
    }
}

/// Half the difference in arguments by which slopes are found.
const SLOPE_STEP: f64 = 1e-3;

impl Reference<'_> {
    /// The slope of what follows, for a value of a channel.
    pub fn slope(&self, channel: usize, value: f32) -> f32 {
        let factor = self.factors.map_or(1.0, |factors| factors[channel]);
        self.slope.map_or(1.0, |slope| slope.at(f64::from(value) / factor)) as f32
    }

    /// The outputs of a channel at each place, over a scale.
    pub fn outputs(&self, channel: usize, scale: f32) -> Vec<f32> {
        let factor = self.factors.map_or(1.0, |factors| factors[channel]) as f32 / scale;
        let pixels = self.samples.values.chunks_exact(self.means.len());
        pixels.map(|pixel| pixel[channel] * factor).collect()
    }
}

/// What to take back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corrections {
    /// Round weights by the covariance of their inputs.
    pub rounding: bool,
    /// Correct biases.
    pub bias: bool,
}

/// Rounds the weights of a network anew and corrects its biases. `inputs` are int8 inputs; `reference` gives what a node computes in float
/// over the same inputs, or `None` where it must stay as it is.
///
/// # Errors
/// If a node cannot be packed.
pub(super) fn correct<'a>(
    graph: &mut QuantizedGraph,
    inputs: Vec<Vec<i8>>,
    corrections: Corrections,
    reference: &dyn Fn(usize) -> Option<Reference<'a>>,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(), QuantizeError> {
    let mut images: Vec<Values> = inputs
        .into_iter()
        .map(|input| {
            let mut values = vec![None; graph.tensors.len()];
            values[graph.input.0] = Some(input);
            values
        })
        .collect();
    let mut intervals = Intervals::before(graph);
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if let (Operation::Conv2d(nearest), Some(reference)) = (&node.operation, reference(index)) {
            intervals.follow(graph, node);
            let mut conv = nearest.clone();
            let mut rounded_biases = Vec::new();
            if corrections.rounding {
                let rounded = rounding::round_weights(graph, node, &conv, &reference, &images);
                (conv.weights, rounded_biases) = (rounded.weights, rounded.biases);
            }
            if corrections.bias {
                conv.bias = corrected_bias(graph, node, &conv, &images, &reference.means);
                let scales = &conv.weight_scales;
                for ((bias, rounded), &scale) in conv.bias.iter_mut().zip(rounded_biases).zip(scales) {
                    if let Some(rounded) = rounded {
                        *bias = weights::bias_steps(&[rounded], 1.0, &[scale])[0];
                    }
                }
            }
            // What never changes has no error to bring down, and leaves the network as long as that is so.
            let taps = conv.weights.len() / conv.bias.len();
            for (channel, _) in intervals
                .channels(node.output)
                .iter()
                .enumerate()
                .filter(|(_, interval)| interval.is_constant())
            {
                let weights = channel * taps..(channel + 1) * taps;
                conv.weights[weights.clone()].copy_from_slice(&nearest.weights[weights]);
                conv.bias[channel] = nearest.bias[channel];
            }
            graph.nodes[index].operation = Operation::Conv2d(conv);
        }
        let graph = &*graph;
        let node = &graph.nodes[index];
        intervals.follow(graph, node);
        let runner = NodeRunner::new(graph, node)?;
        let finished: Vec<_> = node
            .inputs
            .iter()
            .filter(|&id| !graph.nodes[index + 1..].iter().any(|later| later.inputs.contains(id)))
            .collect();
        images.par_iter_mut().try_for_each(|values| {
            let output = runner.run(graph, values)?;
            values[node.output.0] = Some(output);
            finished.iter().for_each(|id| values[id.0] = None);
            Ok::<_, QuantizeError>(())
        })?;
        progress(index + 1, graph.nodes.len());
    }
    Ok(())
}

fn corrected_bias(
    graph: &QuantizedGraph,
    node: &QuantizedNode,
    conv: &QuantizedConv2d,
    images: &[Values],
    means: &[f64],
) -> Vec<i32> {
    let input = graph.tensor(node.inputs[0]);
    let output = graph.tensor(node.output).shape;
    let sums: Vec<Vec<i64>> = images
        .par_iter()
        .map(|values| {
            let map = value(graph, values, node.inputs[0]);
            sum_under_taps(map, input.shape, input.quantization, &conv.window, output)
        })
        .collect();
    let places = (images.len() * output.pixels()) as f64;
    let taps = conv.window.kernel[0] * conv.window.kernel[1];
    let mean_input: Vec<f64> = (0..taps * input.shape.channels)
        .map(|at| sums.iter().map(|sums| sums[at]).sum::<i64>() as f64 / places)
        .collect();

    let inner = input.shape.channels / conv.groups;
    let per_group = output.channels / conv.groups;
    let input_scale = f64::from(input.quantization.scale);
    let bias: Vec<f64> = (0..output.channels)
        .map(|channel| {
            let first = channel / per_group * inner;
            let weights = &conv.weights[channel * taps * inner..(channel + 1) * taps * inner];
            let sum: f64 = weights
                .chunks_exact(inner)
                .enumerate()
                .flat_map(|(tap, weights)| {
                    let from = tap * input.shape.channels + first;
                    weights.iter().zip(&mean_input[from..from + inner])
                })
                .map(|(&weight, mean)| f64::from(weight) * mean)
                .sum();
            means[channel] - sum * input_scale * f64::from(conv.weight_scales[channel])
        })
        .collect();
    weights::bias_steps(&bias, input_scale, &conv.weight_scales)
}

/// For each tap and channel, the sum of `input - zero_point` over all places of the window; padding counts zero.
fn sum_under_taps(
    map: &[i8],
    shape: Shape,
    quantization: Quantization,
    window: &Window,
    output: Shape,
) -> Vec<i64> {
    let Shape { height, width, channels } = shape;
    let zero_point = i64::from(quantization.zero_point);
    let [_, kernel_width] = window.kernel;
    let mut sums = vec![0; window.kernel[0] * kernel_width * channels];
    for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
        let at = |place: usize, axis: usize, tap: usize, before: usize, size: usize| {
            let at = place * window.stride[axis] + tap * window.dilation[axis];
            at.checked_sub(before).filter(|&at| at < size)
        };
        let columns: Vec<usize> = (0..output.width)
            .filter_map(|x| at(x, 1, tap % kernel_width, window.padding.left, width))
            .collect();
        for y in (0..output.height).filter_map(|y| at(y, 0, tap / kernel_width, window.padding.top, height)) {
            for x in &columns {
                let pixel = &map[(y * width + x) * channels..][..channels];
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i64::from(value) - zero_point;
                }
            }
        }
    }
    sums
}
