//! Convolutions that are read in parts.

use super::is_float;
use crate::graph::{Axis, Bias, Conv2d, Graph, Operator, Shape, TensorId, Weights};

/// A part of a convolution's channels that a node takes.
struct Part {
    /// The node: a slice.
    reader: usize,
    /// The channels, in the order in which the slice has them.
    channels: Vec<usize>,
}

/// Makes the first convolution of which parts of the channels are all that is read into one convolution a part: query, key and value of a
/// fused layer get a scale each. The parts may be of each head: slices behind a reshape that cuts pixels into heads. Where parts overlap so
/// much that this would cost work, it stays.
pub(super) fn split(graph: &mut Graph) -> Option<String> {
    (0..graph.nodes.len()).find_map(|index| {
        let node = &graph.nodes[index];
        let Operator::Conv2d(conv) = &node.operator else { return None };
        let (Weights::Float(weights), Bias::Float(bias)) = (&conv.weights, &conv.bias) else { return None };
        let channels = bias.len();
        let taps = weights.len().checked_div(channels)?;
        if conv.groups != 1 {
            return None;
        }
        let parts = parts(graph, node.output, channels)?;
        if parts.is_empty() || parts.iter().map(|part| part.channels.len()).sum::<usize>() > channels {
            return None;
        }
        let part_of = |part: &Part| {
            let rows =
                part.channels.iter().flat_map(|&channel| &weights[channel * taps..(channel + 1) * taps]);
            Conv2d {
                weights: Weights::Float(rows.copied().collect()),
                bias: Bias::Float(part.channels.iter().map(|&channel| bias[channel]).collect()),
                ..conv.clone()
            }
        };
        let operators: Vec<Conv2d> = parts.iter().map(part_of).collect();
        let what = format!("split '{}' into its {} parts", node.name, parts.len());
        let whole = node.clone();
        let mut made = Vec::new();
        for (number, (part, conv)) in parts.iter().zip(operators).enumerate() {
            let mut node = whole.clone();
            node.name = format!("{} part {}", whole.name, number + 1);
            let shape = graph.tensor(whole.output).shape;
            let output = graph.add_tensor(node.name.clone(), Shape { channels: conv.bias.len(), ..shape });
            node.operator = Operator::Conv2d(conv);
            node.output = output;
            let reader = &mut graph.nodes[part.reader];
            reader.operator = Operator::Reshape;
            reader.inputs = vec![output];
            made.push(node);
        }
        graph.nodes.splice(index..=index, made);
        Some(what)
    })
}

/// The slices that are all that reads a tensor of as many channels, directly or behind reshapes.
fn parts(graph: &Graph, tensor: TensorId, channels: usize) -> Option<Vec<Part>> {
    if graph.outputs.contains(&tensor) || !is_float(graph, tensor) {
        return None;
    }
    let mut found = Vec::new();
    for reader in graph.consumers(tensor) {
        let node = &graph.nodes[reader];
        let shape = graph.tensor(node.output).shape;
        match node.operator {
            Operator::Reshape if channels.is_multiple_of(shape.channels) => {
                // Each pixel becomes several: a slice of these takes the same channels of each.
                let pieces = channels / shape.channels;
                for mut part in parts(graph, node.output, shape.channels)? {
                    let piece = |piece: usize| {
                        part.channels.iter().map(move |channel| piece * shape.channels + channel)
                    };
                    part.channels = (0..pieces).flat_map(piece).collect();
                    found.push(part);
                }
            }
            Operator::Slice { axis: Axis::Channels, start } if is_float(graph, node.output) => {
                let end = start + shape.channels;
                if end > channels {
                    return None;
                }
                found.push(Part { reader, channels: (start..end).collect() });
            }
            _ => return None,
        }
    }
    Some(found)
}
