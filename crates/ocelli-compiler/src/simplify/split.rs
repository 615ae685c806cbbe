//! Convolutions that are read in parts.

use super::is_float;
use crate::graph::{Axis, Bias, Conv2d, Graph, Operator, Weights};

/// Makes the first convolution all of whose readers take parts of its channels into one convolution a part: query, key and value of a
/// fused layer get a scale each. Where parts overlap so much that this would cost work, it stays.
pub(super) fn split(graph: &mut Graph) -> Option<String> {
    (0..graph.nodes.len()).find_map(|index| {
        let node = &graph.nodes[index];
        let Operator::Conv2d(conv) = &node.operator else { return None };
        let (Weights::Float(weights), Bias::Float(bias)) = (&conv.weights, &conv.bias) else { return None };
        let channels = bias.len();
        let taps = weights.len().checked_div(channels)?;
        if conv.groups != 1 || graph.outputs.contains(&node.output) || !is_float(graph, node.output) {
            return None;
        }
        let mut parts = Vec::new();
        for reader in graph.consumers(node.output) {
            let slice = &graph.nodes[reader];
            let Operator::Slice { axis: Axis::Channels, start } = slice.operator else { return None };
            let end = start + graph.tensor(slice.output).shape.channels;
            if !is_float(graph, slice.output) || end > channels {
                return None;
            }
            parts.push((reader, start..end));
        }
        if parts.is_empty() || parts.iter().map(|(_, part)| part.len()).sum::<usize>() > channels {
            return None;
        }
        let part_of = |part: &std::ops::Range<usize>| Conv2d {
            weights: Weights::Float(weights[part.start * taps..part.end * taps].to_vec()),
            bias: Bias::Float(bias[part.clone()].to_vec()),
            ..conv.clone()
        };
        let operators: Vec<Operator> =
            parts.iter().map(|(_, part)| Operator::Conv2d(part_of(part))).collect();
        let (name, inputs) = (node.name.clone(), node.inputs.clone());
        let what = format!("split '{name}' into its {} parts", parts.len());
        for ((reader, part), operator) in parts.into_iter().zip(operators) {
            let node = &mut graph.nodes[reader];
            node.operator = operator;
            node.inputs = inputs.clone();
            node.name = format!("{name} [{}..{}]", part.start, part.end);
        }
        graph.nodes.remove(index);
        Some(what)
    })
}
