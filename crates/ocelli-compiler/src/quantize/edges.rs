//! A scale a channel between a convolution and the depthwise convolution that alone reads it, and between a norm and the convolutions that
//! read it.
//!
//! Channels of an expanded map differ much in range, and so do those of a norm, by its factors; one scale for all wastes most of int8 on
//! the small ones. A factor on a channel is undone by the weights of its readers: `conv'[c] = conv[c] * f[c]`,
//! `depthwise'[c] = depthwise[c] / f[c]`. The factors cost nothing; they take each channel's least and greatest value to the ends of int8.
//! Behind a norm, they move the spread of channels into the weights, whose rounding errors cancel (`rounding`). (Xiao et al., "SmoothQuant",
//! 2023, does so by halves.) Under a fused ReLU or ReLU6, saturation at the channel's greatest value is at or below the clip, as it is for a
//! whole tensor.

use super::activations::LARGEST_RATIO;
use super::prepare::Prepared;
use super::weights;
use crate::calibrate::ranges::Statistics;
use crate::graph::{Bias, Conv2d, Node, Norm, Operator, Quantization, TensorId, Weights};

/// For each tensor the factor of each channel: an int8 value stands for `scale * (q - zero_point) / factor`.
pub(super) type ChannelFactors = Vec<Option<Vec<f64>>>;

/// A channel that hardly moves in calibration may move more later: it keeps some room.
const LARGEST_FACTOR: f64 = 32.0;

/// A tensor whose channels may have factors.
pub(super) struct Edge {
    /// The tensor.
    pub tensor: TensorId,
    /// What makes it.
    producer: Producer,
    /// The least and greatest value of each channel.
    ranges: Vec<[f32; 2]>,
}

enum Producer {
    /// A convolution: what it reads, and the weight scale of each of its channels without factors.
    Convolution { input: TensorId, scales: Vec<f64> },
    /// A norm, whose multipliers take any factor.
    Norm,
}

/// All such tensors.
pub(super) fn edges(prepared: &Prepared, statistics: &Statistics) -> Vec<Edge> {
    let edge = |(node, clip): (&Node, &Option<[f32; 2]>)| {
        let ranges = statistics.tensor(prepared.source[node.output.0])?.channel_ranges.clone();
        let producer = match &node.operator {
            Operator::Conv2d(conv) if is_float(conv) && read_by(prepared, node.output, is_depthwise, 1) => {
                let scales = weights::scales(&weights::real_weights(conv, ranges.len()), ranges.len());
                Producer::Convolution { input: node.inputs[0], scales }
            }
            Operator::Norm(_) if read_by(prepared, node.output, |_, _| true, usize::MAX) => Producer::Norm,
            _ => return None,
        };
        // A lower bound other than zero would move with the factor.
        let starts_at_zero = clip.is_none_or(|[low, _]| low == 0.0);
        starts_at_zero.then_some(Edge { tensor: node.output, producer, ranges })
    };
    prepared.graph.nodes.iter().zip(&prepared.clips).filter_map(edge).collect()
}

fn is_float(conv: &Conv2d) -> bool {
    matches!((&conv.weights, &conv.bias), (Weights::Float(_), Bias::Float(_)))
}

fn is_depthwise(conv: &Conv2d, input_channels: usize) -> bool {
    conv.groups > 1 && conv.groups == input_channels
}

/// Whether a tensor of a scale of its own is read by float convolutions of a kind alone, at most as many.
fn read_by(
    prepared: &Prepared,
    tensor: TensorId,
    kind: impl Fn(&Conv2d, usize) -> bool,
    most: usize,
) -> bool {
    let graph = &prepared.graph;
    let class = prepared.class[tensor.0];
    let alone = prepared.class.iter().filter(|&&other| other == class).count() == 1;
    let readers = graph.consumers(tensor);
    let channels = graph.tensor(tensor).shape.channels;
    let fits = |&reader: &usize| match &graph.nodes[reader].operator {
        Operator::Conv2d(conv) => is_float(conv) && kind(conv, channels),
        _ => false,
    };
    alone
        && prepared.pinned[class.0].is_none()
        && !graph.outputs.contains(&tensor)
        && (1..=most).contains(&readers.len())
        && readers.iter().all(fits)
}

impl Edge {
    /// The factors under given scales, each at least 1 where the tensor's range holds all values.
    pub fn factors(&self, of: impl Fn(TensorId) -> Quantization) -> Vec<f64> {
        let own = of(self.tensor);
        let ends = [-128.0, 127.0].map(|end| f64::from(own.scale) * (end - f64::from(own.zero_point)));
        let room = |range: &[f32; 2]| {
            let room = |end: usize| {
                let extreme = f64::from(range[end]);
                if extreme * ends[end] > 0.0 { ends[end] / extreme } else { f64::INFINITY }
            };
            room(0).min(room(1)).min(LARGEST_FACTOR)
        };
        let rooms = self.ranges.iter().map(room);
        match &self.producer {
            Producer::Convolution { input, scales } => {
                // The convolution's multiplier must stay in bounds; with a factor of 1 it does.
                let most = LARGEST_RATIO * f64::from(own.scale) / f64::from(of(*input).scale);
                rooms.zip(scales).map(|(room, scale)| room.min(most / scale).max(1.0)).collect()
            }
            Producer::Norm => rooms.map(|room| room.max(1.0)).collect(),
        }
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
    let inner = taps / (conv.window.kernel[0] * conv.window.kernel[1]);
    for (channel, (weights, bias)) in weights.chunks_exact_mut(taps).zip(bias).enumerate() {
        let output = output.map_or(1.0, |factors| factors[channel]);
        let first = channel * conv.groups / channels * inner;
        for (tap, weight) in weights.iter_mut().enumerate() {
            let input = input.map_or(1.0, |factors| factors[first + tap % inner]);
            *weight = (f64::from(*weight) * output / input) as f32;
        }
        *bias = (f64::from(*bias) * output) as f32;
    }
    scaled
}

/// A norm whose channels stand for a factor more.
pub(super) fn scaled_norm(norm: &Norm, factors: Option<&[f64]>) -> Norm {
    let mut scaled = norm.clone();
    for (channel, factor) in factors.into_iter().flatten().enumerate() {
        scaled.gamma[channel] = (f64::from(scaled.gamma[channel]) * factor) as f32;
        scaled.beta[channel] = (f64::from(scaled.beta[channel]) * factor) as f32;
    }
    scaled
}
