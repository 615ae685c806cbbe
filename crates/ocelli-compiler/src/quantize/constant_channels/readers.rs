//! Which channels the output depends on.

use super::Channels;
use super::intervals::Intervals;
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// The channels of each tensor that something reads whose value is not constant.
pub(super) fn needed(graph: &QuantizedGraph, intervals: &Intervals) -> Vec<Channels> {
    let all = |tensor: usize| (0..graph.tensors[tensor].shape.channels).collect::<Channels>();
    let mut needed = vec![Channels::new(); graph.tensors.len()];
    needed[graph.output.0] = all(graph.output.0);
    for node in graph.nodes.iter().rev() {
        let output = node.output.0;
        let of_output = needed[output].clone();
        for &input in &node.inputs {
            let shape = graph.tensor(input).shape;
            let read: Channels = match &node.operation {
                Operation::Conv2d(conv) if conv.groups == 1 => (0..shape.channels)
                    .filter(|&channel| {
                        changing(graph, intervals, node, conv, channel)
                            .any(|output| of_output.contains(&output))
                    })
                    .collect(),
                Operation::Conv2d(conv) if conv.is_depthwise(shape.channels) => {
                    let multiplier = graph.tensors[output].shape.channels / shape.channels;
                    of_output.iter().map(|channel| channel / multiplier).collect()
                }
                Operation::Table(_)
                | Operation::ChannelTables { .. }
                | Operation::PRelu { .. }
                | Operation::MaxPool(..)
                | Operation::AveragePool { .. }
                | Operation::Mean
                | Operation::Add(_)
                | Operation::Mul(_)
                    if shape.channels == graph.tensors[output].shape.channels =>
                {
                    of_output.clone()
                }
                Operation::Reshape if shape == graph.tensors[output].shape => of_output.clone(),
                _ => all(input.0),
            };
            needed[input.0].extend(read);
        }
    }
    needed
}

/// The output channels of a convolution of one group that change with a channel of its input: they are not constant and have a weight
/// other than 0 for it.
pub(super) fn changing<'g>(
    graph: &'g QuantizedGraph,
    intervals: &'g Intervals,
    node: &'g QuantizedNode,
    conv: &'g QuantizedConv2d,
    channel: usize,
) -> impl Iterator<Item = usize> + 'g {
    let inputs = graph.tensor(node.inputs[0]).shape.channels;
    let outputs = intervals.channels(node.output);
    let taps = conv.weights.len() / outputs.len();
    (0..outputs.len()).filter(move |&output| {
        let weights = &conv.weights[output * taps..(output + 1) * taps];
        !outputs[output].is_constant()
            && weights.iter().skip(channel).step_by(inputs).any(|&weight| weight != 0)
    })
}
