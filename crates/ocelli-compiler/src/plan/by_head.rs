//! Attention a few heads at a time: heads never mix before what reads them all.
//!
//! Beside a map there are then the keys and values of some heads alone, and what the heads before gave. Convolutions that make queries, keys
//! and values become one for each group of heads; what comes before them is made again for each (`by_sequence`).

use std::collections::BTreeSet;

use crate::graph::{Axis, Shape, TensorId, Window};
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// A network with heads apart.
pub(super) struct Split {
    /// The network.
    pub graph: QuantizedGraph,
    /// For each of its nodes the node of the original network that it computes, or a part of it.
    pub nodes: Vec<usize>,
}

impl Split {
    /// The network in which some attentions, by their nodes' indices, make their heads in so many groups. What it computes does not change.
    /// Those that cannot be so stay.
    pub fn of(graph: &QuantizedGraph, attentions: &BTreeSet<usize>, groups: usize) -> Self {
        let found: Vec<Heads> =
            attentions.iter().filter_map(|&attention| Heads::of(graph, attention, groups)).collect();
        let mut split =
            Self { graph: QuantizedGraph { nodes: Vec::new(), ..graph.clone() }, nodes: Vec::new() };
        // For each convolution or attention that is split, the tensors of its groups.
        let mut parts: Vec<Option<Vec<TensorId>>> = vec![None; graph.tensors.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Some(heads) = found.iter().find(|heads| heads.attention == index) {
                split.attend(index, node, heads, groups, &mut parts);
            } else if found.iter().any(|heads| heads.convolutions.contains(&index)) {
                split.convolve(index, node, groups, &mut parts);
            } else {
                split.push(index, node.clone());
            }
        }
        split
    }

    /// Whether no attention is split.
    pub fn is_whole(&self) -> bool {
        self.nodes.windows(2).all(|nodes| nodes[0] != nodes[1])
    }

    fn push(&mut self, index: usize, node: QuantizedNode) {
        self.graph.nodes.push(node);
        self.nodes.push(index);
    }

    /// A tensor of a part of another's channels.
    fn part(&mut self, of: TensorId, groups: usize) -> TensorId {
        let mut tensor = self.graph.tensor(of).clone();
        tensor.shape = Shape { channels: tensor.shape.channels / groups, ..tensor.shape };
        self.graph.tensors.push(tensor);
        TensorId(self.graph.tensors.len() - 1)
    }

    /// A convolution for each group of output channels.
    fn convolve(
        &mut self,
        index: usize,
        node: &QuantizedNode,
        groups: usize,
        parts: &mut [Option<Vec<TensorId>>],
    ) {
        let Operation::Conv2d(conv) = &node.operation else { return };
        let outputs: Vec<TensorId> = (0..groups).map(|_| self.part(node.output, groups)).collect();
        for (group, &output) in outputs.iter().enumerate() {
            let name = format!("{}, part {}", node.name, group + 1);
            let operation = Operation::Conv2d(channels(conv, group, groups));
            self.push(index, QuantizedNode { name, operation, inputs: node.inputs.clone(), output });
        }
        parts[node.output.0] = Some(outputs);
    }

    /// An attention for each group of heads, and their outputs side by side.
    fn attend(
        &mut self,
        index: usize,
        node: &QuantizedNode,
        heads: &Heads,
        groups: usize,
        parts: &mut [Option<Vec<TensorId>>],
    ) {
        let Operation::Attention(attention) = &node.operation else { return };
        let mut outputs = Vec::new();
        for group in 0..groups {
            let of = |id: &TensorId| parts[id.0].as_ref().and_then(|parts| parts.get(group).copied());
            let Some(inputs) = node.inputs.iter().map(of).collect() else { return };
            let output = self.part(node.output, groups);
            let mut attention = attention.clone();
            attention.heads = heads.in_group;
            let name = format!("{}, part {}", node.name, group + 1);
            self.push(
                index,
                QuantizedNode { name, operation: Operation::Attention(attention), inputs, output },
            );
            outputs.push(output);
        }
        let name = format!("{}, all heads", node.name);
        let operation = Operation::Concat(Axis::Channels);
        self.push(index, QuantizedNode { name, operation, inputs: outputs, output: node.output });
    }
}

/// An attention whose heads can be apart, by the indices of nodes.
struct Heads {
    attention: usize,
    /// What makes query, key and value.
    convolutions: [usize; 3],
    /// Heads of a group.
    in_group: usize,
}

impl Heads {
    /// The attention of a node, if its heads make so many groups and nothing else reads its inputs, which 1x1 convolutions make.
    fn of(graph: &QuantizedGraph, attention: usize, groups: usize) -> Option<Self> {
        let node = &graph.nodes[attention];
        let Operation::Attention(of) = &node.operation else { return None };
        if of.bias.is_some() || groups < 2 || !of.heads.is_multiple_of(groups) {
            return None;
        }
        let &[query, key, value] = node.inputs.as_slice() else { return None };
        let convolution = |tensor: TensorId| {
            let readers = graph.nodes.iter().filter(|node| node.inputs.contains(&tensor)).count();
            let maker = graph.nodes.iter().position(|node| node.output == tensor)?;
            let Operation::Conv2d(conv) = &graph.nodes[maker].operation else { return None };
            let pointwise = conv.window == Window::pointwise() && conv.groups == 1;
            (pointwise && readers == 1 && tensor != graph.output).then_some(maker)
        };
        let convolutions = [convolution(query)?, convolution(key)?, convolution(value)?];
        let apart = query != key && key != value && query != value;
        apart.then_some(Self { attention, convolutions, in_group: of.heads / groups })
    }
}

/// The convolution that makes one of some groups of output channels.
fn channels(conv: &QuantizedConv2d, group: usize, groups: usize) -> QuantizedConv2d {
    fn part<T: Clone>(values: &[T], group: usize, groups: usize) -> Vec<T> {
        let length = values.len() / groups;
        values[group * length..(group + 1) * length].to_vec()
    }
    QuantizedConv2d {
        weights: part(&conv.weights, group, groups),
        weight_scales: part(&conv.weight_scales, group, groups),
        bias: part(&conv.bias, group, groups),
        ..conv.clone()
    }
}
