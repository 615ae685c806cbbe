//! Dropping channels from tensors and nodes.

use super::Channels;
use super::intervals::Intervals;
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph};

/// Removes channels, a set for each tensor. What convolutions read of them goes into their biases.
pub(super) fn remove(graph: &mut QuantizedGraph, intervals: &Intervals, removed: &[Channels]) {
    for index in 0..graph.nodes.len() {
        let (Some(&input), output) = (graph.nodes[index].inputs.first(), graph.nodes[index].output) else {
            continue;
        };
        let (gone, lost) = (&removed[input.0], &removed[output.0]);
        let zero_point = graph.tensor(input).quantization.zero_point;
        let inputs = graph.tensor(input).shape.channels;
        match &mut graph.nodes[index].operation {
            Operation::Conv2d(conv) => {
                let depthwise = conv.is_depthwise(inputs);
                if !depthwise {
                    let centred = |channel: usize| {
                        i32::from(intervals.channels(input)[channel].low) - i32::from(zero_point)
                    };
                    drop_inputs(conv, inputs, gone, centred);
                }
                drop_outputs(conv, lost);
                if depthwise {
                    conv.groups = inputs - gone.len();
                }
            }
            Operation::PRelu { slopes, .. } => *slopes = without(slopes, lost, 1),
            Operation::ChannelTables { channels, .. } => *channels = without(channels, lost, 1),
            _ => {}
        }
    }
    for (tensor, gone) in graph.tensors.iter_mut().zip(removed) {
        tensor.shape.channels -= gone.len();
    }
}

/// Drops input channels of a convolution of one group; `centred` is a channel's constant less the zero point.
fn drop_inputs(conv: &mut QuantizedConv2d, inputs: usize, gone: &Channels, centred: impl Fn(usize) -> i32) {
    if gone.is_empty() {
        return;
    }
    let taps = conv.weights.len() / conv.bias.len();
    for (bias, weights) in conv.bias.iter_mut().zip(conv.weights.chunks_exact(taps)) {
        for (tap, &weight) in weights.iter().enumerate() {
            if gone.contains(&(tap % inputs)) {
                *bias = bias.wrapping_add(i32::from(weight) * centred(tap % inputs));
            }
        }
    }
    let kept = conv.weights.iter().enumerate().filter(|(index, _)| !gone.contains(&(index % inputs)));
    conv.weights = kept.map(|(_, &weight)| weight).collect();
}

fn drop_outputs(conv: &mut QuantizedConv2d, lost: &Channels) {
    let taps = conv.weights.len() / conv.bias.len();
    conv.weights = without(&conv.weights, lost, taps);
    conv.bias = without(&conv.bias, lost, 1);
    conv.weight_scales = without(&conv.weight_scales, lost, 1);
}

/// The values but for those of some channels, `each` values a channel.
fn without<T: Copy>(values: &[T], lost: &Channels, each: usize) -> Vec<T> {
    let kept = values.chunks_exact(each).enumerate().filter(|(channel, _)| !lost.contains(channel));
    kept.flat_map(|(_, values)| values.iter().copied()).collect()
}
