//! Rounding weights so that their errors cancel over the inputs that a layer really has, instead of each to the nearest.
//!
//! With `e` the weight errors of an output channel and `C` the covariance of the int8 inputs under its taps, the output's error has the
//! variance `e^T C e` (its mean is the bias's matter). Coordinate descent brings it down: one weight at a time takes the value that is best
//! for all others as they are. Where a clip or a curve follows, places count by its slope (`weighted`). (The objective is that of AdaRound, Nagel et
//! al., "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020, section 3.)

use rayon::prelude::*;

use super::correct::Reference;
use super::run::{Values, value};
use super::weighted::WeightedProblem;
use crate::quantized::{QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// Sweeps over the weights of a channel; few change after the third.
const SWEEPS: usize = 6;

/// Kernels of more taps keep their weights as they are: the covariance would take too long.
const MOST_TAPS: usize = 2048;

/// Rounded weights.
pub(super) struct Rounded {
    pub weights: Vec<i8>,
    /// For some output channels the bias over the input's scale with which the mean error is zero where it matters.
    pub biases: Vec<Option<f64>>,
}

/// Rounds the weights of a convolution anew.
pub(super) fn round_weights(
    graph: &QuantizedGraph,
    node: &QuantizedNode,
    conv: &QuantizedConv2d,
    reference: &Reference<'_>,
    images: &[Values],
) -> Rounded {
    let outputs = graph.tensor(node.output).shape.channels;
    let mut weights = conv.weights.clone();
    let mut biases = vec![None; outputs];
    let taps = weights.len() / outputs;
    if taps > MOST_TAPS {
        return Rounded { weights, biases };
    }
    let input = graph.tensor(node.inputs[0]).quantization;
    let per_group = outputs / conv.groups;
    let of_groups =
        weights.par_chunks_exact_mut(per_group * taps).zip(biases.par_chunks_exact_mut(per_group));
    of_groups.enumerate().for_each(|(group, (weights, biases))| {
        let patches = patches(graph, node, conv, group, images, reference);
        let of_channels = weights.par_chunks_exact_mut(taps).zip(biases).enumerate();
        let channel = |place: usize| group * per_group + place;
        let real = |channel: usize| &reference.weights[channel * taps..][..taps];
        if reference.slope.is_some() {
            of_channels.for_each(|(place, (weights, bias))| {
                let channel = channel(place);
                let outputs = reference.outputs(channel, input.scale);
                let slope = |value: f32| reference.slope(channel, value * input.scale);
                let scale = conv.weight_scales[channel];
                let problem = WeightedProblem::new(&patches, real(channel), scale, &outputs, slope);
                if let Some(problem) = problem {
                    problem.descend(weights);
                    *bias = Some(problem.bias(weights, input.zero_point));
                }
            });
        } else if let Some(covariance) = covariance(&patches) {
            of_channels.for_each(|(place, (weights, _))| {
                let scale = f64::from(conv.weight_scales[channel(place)]);
                let real = real(channel(place)).iter();
                let targets: Vec<f64> = real.map(|&weight| f64::from(weight) / scale).collect();
                descend(weights, &targets, &covariance);
            });
        }
    });
    Rounded { weights, biases }
}

/// Input values under each tap of a group at places spread over all images: `[tap][place]`.
fn patches(
    graph: &QuantizedGraph,
    node: &QuantizedNode,
    conv: &QuantizedConv2d,
    group: usize,
    images: &[Values],
    reference: &Reference<'_>,
) -> Vec<Vec<i8>> {
    let input = graph.tensor(node.inputs[0]);
    let output = graph.tensor(node.output).shape;
    let inner = input.shape.channels / conv.groups;
    let [kernel_height, kernel_width] = conv.window.kernel;
    let taps = kernel_height * kernel_width * inner;
    let mut patches = vec![Vec::new(); taps];
    for [image, pixel] in reference.samples.places() {
        let map = value(graph, &images[image], node.inputs[0]);
        for (tap, patches) in patches.chunks_exact_mut(inner).enumerate() {
            let at = |axis: usize, place: usize, tap: usize, before: usize, size: usize| {
                let at = place * conv.window.stride[axis] + tap * conv.window.dilation[axis];
                at.checked_sub(before).filter(|&at| at < size)
            };
            let y =
                at(0, pixel / output.width, tap / kernel_width, conv.window.padding.top, input.shape.height);
            let x =
                at(1, pixel % output.width, tap % kernel_width, conv.window.padding.left, input.shape.width);
            for (channel, values) in patches.iter_mut().enumerate() {
                values.push(match (y, x) {
                    (Some(y), Some(x)) => {
                        map[(y * input.shape.width + x) * input.shape.channels + group * inner + channel]
                    }
                    _ => input.quantization.zero_point,
                });
            }
        }
    }
    patches
}

/// The covariance of the taps, row by row, damped; `None` where nothing varies.
fn covariance(patches: &[Vec<i8>]) -> Option<Vec<Vec<f64>>> {
    let (taps, count) = (patches.len() as f64, patches.first()?.len() as f64);
    let means: Vec<f64> = patches
        .iter()
        .map(|values| values.iter().map(|&value| i64::from(value)).sum::<i64>() as f64 / count)
        .collect();
    let mut covariance: Vec<Vec<f64>> = (0..patches.len())
        .into_par_iter()
        .map(|row| {
            (0..=row)
                .map(|column| {
                    let products = patches[row].iter().zip(&patches[column]);
                    let sum: i32 = products.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                    f64::from(sum) / count - means[row] * means[column]
                })
                .collect()
        })
        .collect();
    let lower = covariance.clone();
    for (tap, row) in covariance.iter_mut().enumerate() {
        row.extend(lower[tap + 1..].iter().map(|below| below[tap]));
    }
    let mean_variance = (0..patches.len()).map(|tap| covariance[tap][tap]).sum::<f64>() / taps;
    // Against chance in few places, and so that taps that never vary round to the nearest.
    let damping = 1e-3 * mean_variance * (1.0 + 50.0 * taps / count);
    for (tap, row) in covariance.iter_mut().enumerate() {
        row[tap] += damping;
    }
    (mean_variance > 0.0).then_some(covariance)
}

/// Coordinate descent on `e^T C e` with `e = weights - targets`.
fn descend(weights: &mut [i8], targets: &[f64], covariance: &[Vec<f64>]) {
    let errors: Vec<f64> =
        weights.iter().zip(targets).map(|(&weight, target)| f64::from(weight) - target).collect();
    let mut gradient: Vec<f64> =
        covariance.iter().map(|row| row.iter().zip(&errors).map(|(c, e)| c * e).sum()).collect();
    for _ in 0..SWEEPS {
        let mut changed = false;
        for tap in 0..weights.len() {
            let old = f64::from(weights[tap]);
            let new = (old - gradient[tap] / covariance[tap][tap]).round().clamp(-127.0, 127.0);
            if new != old {
                weights[tap] = new as i8;
                changed = true;
                let step = new - old;
                gradient.iter_mut().zip(&covariance[tap]).for_each(|(gradient, c)| *gradient += step * c);
            }
        }
        if !changed {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_taps_that_move_together_cancel() {
        let ramp: Vec<i8> = (-100..100).collect();
        let covariance = covariance(&[ramp.clone(), ramp.clone(), ramp]).unwrap();
        let targets = [3.4, 5.4, -1.6];
        let mut weights = [3, 5, -2];
        descend(&mut weights, &targets, &covariance);
        let sum: f64 = weights.iter().zip(targets).map(|(&weight, target)| f64::from(weight) - target).sum();
        assert!(sum.abs() < 0.25, "{weights:?}");
    }

    #[test]
    fn taps_that_move_apart_round_to_the_nearest() {
        let first: Vec<i8> = (0..64).map(|i| if i % 2 == 0 { 50 } else { -50 }).collect();
        let second: Vec<i8> = (0..64).map(|i| if i / 2 % 2 == 0 { 50 } else { -50 }).collect();
        let covariance = covariance(&[first, second]).unwrap();
        let mut weights = [3, 5];
        descend(&mut weights, &[3.4, 5.4], &covariance);
        assert_eq!(weights, [3, 5]);
    }

    #[test]
    fn what_never_varies_has_no_covariance() {
        assert!(covariance(&[vec![7; 10], vec![7; 10]]).is_none());
    }
}
