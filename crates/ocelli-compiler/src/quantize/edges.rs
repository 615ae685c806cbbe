//! A scale a channel between a convolution and the depthwise convolution that alone reads it.
//!
//! Channels of an expanded map differ much in range, and one scale for all wastes most of int8 on the small ones. A depthwise convolution
//! keeps channels apart, so that a factor on a channel before it is undone by its weights: `conv'[c] = conv[c] * f[c]`,
//! `depthwise'[c] = depthwise[c] / f[c]`. The factors cost nothing; they take each channel's least and greatest value to the ends of int8.
//! Under a fused ReLU or ReLU6, saturation at the channel's greatest value is at or below the clip, as it is for a whole tensor.

use super::activations::LARGEST_RATIO;
use super::prepare::Prepared;
use super::weights;
use crate::calibrate::ranges::Statistics;
use crate::graph::{Bias, Conv2d, Node, Operator, Quantization, TensorId, Weights};

/// For each tensor the factor of each channel: an int8 value stands for `scale * (q - zero_point) / factor`.
pub(super) type ChannelFactors = Vec<Option<Vec<f64>>>;

/// A channel that hardly moves in calibration may move more later: it keeps some room.
const LARGEST_FACTOR: f64 = 32.0;

/// A tensor between a convolution and the depthwise one that alone reads it.
pub(super) struct Edge {
    /// The tensor.
    pub tensor: TensorId,
    /// What the convolution reads.
    input: TensorId,
    /// The weight scale of each of its channels without factors.
    scales: Vec<f64>,
    /// The least and greatest value of each channel.
    ranges: Vec<[f32; 2]>,
}

/// All such tensors.
pub(super) fn edges(prepared: &Prepared, statistics: &Statistics) -> Vec<Edge> {
    let edge = |(node, clip): (&Node, &Option<[f32; 2]>)| {
        let conv = before_depthwise(prepared, node)?;
        let ranges = statistics.tensor(prepared.source[node.output.0])?.channel_ranges.clone();
        // A lower bound other than zero would move with the factor.
        let starts_at_zero = clip.is_none_or(|[low, _]| low == 0.0);
        let scales = weights::scales(&weights::real_weights(conv, ranges.len()), ranges.len());
        starts_at_zero.then_some(Edge { tensor: node.output, input: node.inputs[0], scales, ranges })
    };
    prepared.graph.nodes.iter().zip(&prepared.clips).filter_map(edge).collect()
}

/// The convolution of a node whose output a depthwise one alone reads.
fn before_depthwise<'p>(prepared: &'p Prepared, node: &'p Node) -> Option<&'p Conv2d> {
    let graph = &prepared.graph;
    let output = node.output;
    let &[reader] = graph.consumers(output).as_slice() else { return None };
    let (Operator::Conv2d(before), Operator::Conv2d(after)) = (&node.operator, &graph.nodes[reader].operator)
    else {
        return None;
    };
    let class = prepared.class[output.0];
    let alone = prepared.class.iter().filter(|&&other| other == class).count() == 1;
    let float = |conv: &Conv2d| matches!((&conv.weights, &conv.bias), (Weights::Float(_), Bias::Float(_)));
    let fits = alone
        && prepared.pinned[class.0].is_none()
        && !graph.outputs.contains(&output)
        && after.groups > 1
        && after.groups == graph.tensor(output).shape.channels
        && float(before)
        && float(after);
    fits.then_some(before)
}

impl Edge {
    /// The factors under given scales, each at least 1 where the tensor's range holds all values.
    pub fn factors(&self, of: impl Fn(TensorId) -> Quantization) -> Vec<f64> {
        let own = of(self.tensor);
        let ends = [-128.0, 127.0].map(|end| f64::from(own.scale) * (end - f64::from(own.zero_point)));
        let input_scale = f64::from(of(self.input).scale);
        let factor = |(range, scale): (&[f32; 2], &f64)| {
            let room = |end: usize| {
                let extreme = f64::from(range[end]);
                if extreme * ends[end] > 0.0 { ends[end] / extreme } else { f64::INFINITY }
            };
            // The convolution's multiplier must stay in bounds; with a factor of 1 it does.
            let most = LARGEST_RATIO * f64::from(own.scale) / (input_scale * scale);
            room(0).min(room(1)).min(LARGEST_FACTOR).min(most).max(1.0)
        };
        self.ranges.iter().zip(&self.scales).map(factor).collect()
    }
}

/// A convolution whose input channels stand for a factor less, and whose output channels for a factor more.
pub(super) fn scaled(conv: &Conv2d, input: Option<&[f64]>, output: Option<&[f64]>) -> Conv2d {
    let mut scaled = conv.clone();
    let (Weights::Float(weights), Bias::Float(bias)) = (&mut scaled.weights, &mut scaled.bias) else {
        return scaled;
    };
    let channels = bias.len();
    let taps = weights.len() / channels;
    for (channel, (weights, bias)) in weights.chunks_exact_mut(taps).zip(bias).enumerate() {
        let output = output.map_or(1.0, |factors| factors[channel]);
        // A reader of factors is depthwise: each of its output channels has one input channel.
        let input = input.map_or(1.0, |factors| factors[channel * conv.groups / channels]);
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * output / input) as f32);
        *bias = (f64::from(*bias) * output) as f32;
    }
    scaled
}
