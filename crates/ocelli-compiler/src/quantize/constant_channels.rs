//! Removes channels that provably never change or matter, bit for bit without effect on the output.
//!
//! Training leaves filters that are zero, or so negative that their ReLU never opens. Interval arithmetic over the int8 network, with the
//! rounding of its own kernels, finds channels whose value is one and the same for every input. Such a channel is dropped where it is made
//! and its contribution goes into the biases of the convolutions that read it. A channel that only constant channels read is dropped, too:
//! any one value that it can take stands for all.

mod intervals;
mod readers;
mod rewrite;

use std::collections::BTreeSet;

use crate::graph::TensorId;
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode};
pub(super) use intervals::Intervals;

/// Channels of a tensor.
type Channels = BTreeSet<usize>;

/// Removes what never changes; gives the number of removed channels.
pub fn fold(graph: &mut QuantizedGraph) -> usize {
    let intervals = Intervals::of(graph);
    let needed = readers::needed(graph, &intervals);
    let mut gone: Vec<Channels> = (0..graph.tensors.len())
        .map(|tensor| {
            let channels = intervals.channels(TensorId(tensor));
            let goes =
                |channel: &usize| channels[*channel].is_constant() || !needed[tensor].contains(channel);
            (0..channels.len()).filter(goes).collect()
        })
        .collect();
    while let Some((tensor, kept)) = first_violation(graph, &intervals, &gone) {
        gone[tensor.0].retain(|channel| !kept.contains(channel));
    }
    let removed = gone.iter().map(BTreeSet::len).sum();
    if removed > 0 {
        rewrite::remove(graph, &intervals, &gone);
    }
    removed
}

/// A tensor some of whose channels must stay, as things stand.
fn first_violation(
    graph: &QuantizedGraph,
    intervals: &Intervals,
    gone: &[Channels],
) -> Option<(TensorId, Channels)> {
    for (index, tensor) in graph.tensors.iter().enumerate() {
        let id = TensorId(index);
        let made = graph.nodes.iter().any(|node| node.output == id);
        if !gone[index].is_empty() && (!made || id == graph.output || tensor.constant.is_some()) {
            return Some((id, gone[index].clone()));
        }
        // A map keeps one channel at least.
        if gone[index].len() == tensor.shape.channels {
            return Some((id, Channels::from([0])));
        }
    }
    graph.nodes.iter().find_map(|node| must_stay(graph, intervals, gone, node))
}

/// Channels of a node's inputs or output that cannot go because of this node.
fn must_stay(
    graph: &QuantizedGraph,
    intervals: &Intervals,
    gone: &[Channels],
    node: &QuantizedNode,
) -> Option<(TensorId, Channels)> {
    let stay = |id: TensorId, keep: &dyn Fn(usize) -> bool| {
        let kept: Channels = gone[id.0].iter().copied().filter(|&channel| keep(channel)).collect();
        (!kept.is_empty()).then_some((id, kept))
    };
    let (&input, output) = (node.inputs.first()?, node.output);
    match &node.operation {
        Operation::Conv2d(conv) if conv.is_depthwise(graph.tensor(input).shape.channels) => {
            let multiplier = graph.tensor(output).shape.channels / graph.tensor(input).shape.channels;
            let group = |channel: usize| channel * multiplier..(channel + 1) * multiplier;
            stay(input, &|channel| !group(channel).all(|made| gone[output.0].contains(&made)))
                .or_else(|| stay(output, &|made| !gone[input.0].contains(&(made / multiplier))))
        }
        Operation::Conv2d(conv) if conv.groups == 1 => {
            // Under padding, a constant other than the zero point is not constant to the window: that matters to outputs that change.
            let zero_point = graph.tensor(input).quantization.zero_point;
            let padded = reaches_padding(graph, node, conv);
            stay(input, &|channel| {
                padded
                    && intervals.channels(input)[channel].low != zero_point
                    && readers::changing(graph, intervals, node, conv, channel).next().is_some()
            })
        }
        Operation::Table(_)
        | Operation::ChannelTables { .. }
        | Operation::PRelu { .. }
        | Operation::MaxPool(..)
        | Operation::AveragePool { .. }
        | Operation::Mean => stay(input, &|channel| !gone[output.0].contains(&channel))
            .or_else(|| stay(output, &|channel| !gone[input.0].contains(&channel))),
        Operation::Add(_) | Operation::Mul(_) => {
            let width = |id: TensorId| graph.tensor(id).shape.channels;
            let alike = node.inputs.iter().all(|&id| width(id) == width(output));
            let members: Vec<TensorId> = node.inputs.iter().copied().chain([output]).collect();
            members.iter().find_map(|&id| {
                stay(id, &|channel| !alike || members.iter().any(|other| !gone[other.0].contains(&channel)))
            })
        }
        Operation::Reshape if graph.tensor(input).shape == graph.tensor(output).shape => {
            stay(input, &|channel| !gone[output.0].contains(&channel))
                .or_else(|| stay(output, &|channel| !gone[input.0].contains(&channel)))
        }
        _ => node.inputs.iter().copied().chain([output]).find_map(|id| stay(id, &|_| true)),
    }
}

/// Whether a window sees values outside its input.
fn reaches_padding(graph: &QuantizedGraph, node: &QuantizedNode, conv: &QuantizedConv2d) -> bool {
    let (input, output) = (graph.tensor(node.inputs[0]).shape, graph.tensor(node.output).shape);
    let beyond = |axis: usize, size: usize, outputs: usize, before: usize| {
        let reach = (conv.window.kernel[axis] - 1) * conv.window.dilation[axis] + 1;
        before > 0 || (outputs - 1) * conv.window.stride[axis] + reach > size
    };
    beyond(0, input.height, output.height, conv.window.padding.top)
        || beyond(1, input.width, output.width, conv.window.padding.left)
}
