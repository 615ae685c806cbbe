//! Attention on maps in patches, as MobileViT has it, one sequence at a time.
//!
//! Sequences of a map never mix in an attention, nor in what makes its queries, keys and values pixel by pixel. So the map is unfolded:
//! its pixels come sequence by sequence, and rows flow as through any other stage. A sequence's keys and values are made, then its rows of
//! queries one after the other, which end where their pixels were in the map: beside the map there is memory for the keys and values of one
//! sequence. Norms before the queries are made a second time, so that no sequence of them has to lie there. Where heads are apart (`by_head`),
//! each group of them is made so, one after the other, and what they give waits for the last.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Axis, NormExtent, TensorId};
use crate::quantized::{Operation, PackedKind, QuantizedGraph, QuantizedNode};
use crate::targets::{Form, Layer, Lowered};

/// The network with each attention that can be so one sequence at a time; `None` where there is no such attention. What it computes does not
/// change, bit for bit.
pub(super) fn by_sequence(lowered: &Lowered) -> Option<Lowered> {
    let graph = &lowered.graph;
    let branches: Vec<Branch> =
        (0..graph.nodes.len()).filter_map(|attention| Branch::of(graph, attention)).collect();
    if branches.is_empty() {
        return None;
    }
    let mut made =
        Lowered { graph: QuantizedGraph { nodes: Vec::new(), ..graph.clone() }, layers: Vec::new() };
    for (index, (node, layer)) in graph.nodes.iter().zip(&lowered.layers).enumerate() {
        if let Some(branch) = branches.iter().find(|branch| branch.add == index) {
            Writer { lowered, made: &mut made, patch: branch.patch }.write(branch);
        } else if !branches.iter().any(|branch| branch.nodes().any(|of| of == index)) {
            made.graph.nodes.push(node.clone());
            made.layers.push(layer.clone());
        }
    }
    Some(made)
}

/// A residual branch with an attention: nodes by index.
struct Branch {
    /// The map that it starts from and is added to.
    map: TensorId,
    patch: [usize; 2],
    /// The attentions: of all heads, or of each group of them.
    attentions: Vec<Attending>,
    /// What comes between the attentions and the addition.
    after: Vec<usize>,
    add: usize,
}

/// An attention of a branch.
struct Attending {
    attention: usize,
    /// What makes query, key and value from the map, in order.
    ways: [Vec<usize>; 3],
}

impl Branch {
    /// The branch of an attention, or of the first of several whose outputs lie side by side, if it can be made sequence by sequence, and
    /// nothing else reads what is made in it.
    fn of(graph: &QuantizedGraph, attention: usize) -> Option<Self> {
        let node = &graph.nodes[attention];
        let Operation::Attention(of) = &node.operation else { return None };
        let (patch, shape) = (of.patch, graph.tensor(node.output).shape);
        let rows_begin =
            shape.height.is_multiple_of(patch[0] * patch[1]) && shape.width.is_multiple_of(patch[1]);
        if patch == [1, 1] || !rows_begin {
            return None;
        }
        let mut after = Vec::new();
        let mut attentions = vec![attention];
        let mut last = node.output;
        if let Some(concat) = only_reader(graph, last)
            && matches!(graph.nodes[concat].operation, Operation::Concat(Axis::Channels))
        {
            let parts = &graph.nodes[concat].inputs;
            attentions = parts.iter().map(|&part| maker(graph, part)).collect::<Option<_>>()?;
            after.push(concat);
            last = graph.nodes[concat].output;
        }
        let alike = |&other: &usize| match &graph.nodes[other].operation {
            Operation::Attention(of) => of.patch == patch && of.key_patch == patch,
            _ => false,
        };
        if attentions.first() != Some(&attention) || !attentions.iter().all(alike) {
            return None;
        }
        let add = loop {
            let next = only_reader(graph, last)?;
            match &graph.nodes[next] {
                reader if matches!(reader.operation, Operation::Add(_)) => break next,
                reader if is_pixel_by_pixel(graph, reader) => {
                    after.push(next);
                    last = reader.output;
                }
                _ => return None,
            }
        };
        let &[first, second] = graph.nodes[add].inputs.as_slice() else { return None };
        let map = if first == last { second } else { first };
        let like = |id: TensorId| graph.tensor(id).shape == graph.tensor(graph.nodes[add].output).shape;
        let is_map =
            graph.tensor(map).constant.is_none() && like(first) && like(second) && !is_reshaped(graph, map);
        if first == second || !is_map {
            return None;
        }
        let attending = |attention: usize| {
            let way = |input: usize| way(graph, map, graph.nodes[attention].inputs[input]);
            Some(Attending { attention, ways: [way(0)?, way(1)?, way(2)?] })
        };
        let attentions = attentions.into_iter().map(attending).collect::<Option<_>>()?;
        let branch = Self { map, patch, attentions, after, add };
        branch.stands_alone(graph).then_some(branch)
    }

    /// All nodes but the addition.
    fn nodes(&self) -> impl Iterator<Item = usize> {
        let attending = |of: &'_ Attending| of.ways.concat().into_iter().chain([of.attention]);
        self.attentions.iter().flat_map(attending).chain(self.after.iter().copied())
    }

    /// Whether nothing else reads what is made in it, and it makes nothing twice but what is cheap.
    fn stands_alone(&self, graph: &QuantizedGraph) -> bool {
        let inside = |node: usize| node == self.add || self.nodes().any(|of| of == node);
        let mut made = BTreeSet::new();
        // What makes the queries of an attention is made by itself, and what makes keys and values.
        let ways = self.attentions.iter().flat_map(|of| {
            let [query, key, value] = &of.ways;
            [query.iter().copied().collect(), key.iter().chain(value).copied().collect::<BTreeSet<_>>()]
        });
        let costs = |node: usize| graph.macs(&graph.nodes[node]) != 0;
        ways.flatten().all(|node| made.insert(node) || !costs(node))
            && self.nodes().all(|node| {
                let made = graph.nodes[node].output;
                made != graph.output && readers(graph, made).all(inside)
            })
    }
}

/// The nodes that make a tensor from a map pixel by pixel, the first one first.
fn way(graph: &QuantizedGraph, map: TensorId, mut from: TensorId) -> Option<Vec<usize>> {
    let mut nodes = Vec::new();
    while from != map {
        let maker = maker(graph, from)?;
        if !is_pixel_by_pixel(graph, &graph.nodes[maker]) {
            return None;
        }
        nodes.push(maker);
        from = graph.nodes[maker].inputs[0];
    }
    nodes.reverse();
    Some(nodes)
}

/// Whether each pixel of a node's output is made from the pixel of its only input at the same place.
fn is_pixel_by_pixel(graph: &QuantizedGraph, node: &QuantizedNode) -> bool {
    let alone = match &node.operation {
        Operation::Conv2d(conv) => conv.window == crate::graph::Window::pointwise(),
        Operation::PackedConv2d(packed) => {
            let window = packed.window;
            matches!(packed.kind, PackedKind::Full)
                && window.kernel == [1; 2]
                && window.stride == [1; 2]
                && window.padding == [0; 2]
        }
        Operation::Table(_) | Operation::ChannelTables { .. } | Operation::PRelu { .. } => true,
        Operation::Norm(norm) => norm.over != NormExtent::Map,
        _ => false,
    };
    let &[input] = node.inputs.as_slice() else { return false };
    let [input, output] = [input, node.output].map(|id| graph.tensor(id));
    let size = |shape: crate::graph::Shape| [shape.height, shape.width];
    alone && input.constant.is_none() && size(input.shape) == size(output.shape)
}

/// Whether a tensor is made by a reshape.
fn is_reshaped(graph: &QuantizedGraph, id: TensorId) -> bool {
    graph.nodes.iter().any(|node| node.output == id && matches!(node.operation, Operation::Reshape))
}

/// The node that makes a tensor.
fn maker(graph: &QuantizedGraph, id: TensorId) -> Option<usize> {
    graph.nodes.iter().position(|node| node.output == id)
}

fn readers(graph: &QuantizedGraph, id: TensorId) -> impl Iterator<Item = usize> {
    let reads = move |(index, node): (usize, &QuantizedNode)| node.inputs.contains(&id).then_some(index);
    graph.nodes.iter().enumerate().filter_map(reads)
}

/// The only node that reads a tensor, if nothing else needs it.
fn only_reader(graph: &QuantizedGraph, id: TensorId) -> Option<usize> {
    let mut readers = readers(graph, id);
    readers.next().filter(|_| readers.next().is_none() && id != graph.output)
}

/// Writes a branch into the new network.
struct Writer<'l> {
    lowered: &'l Lowered,
    made: &'l mut Lowered,
    patch: [usize; 2],
}

impl Writer<'_> {
    fn write(&mut self, branch: &Branch) {
        let graph = &self.lowered.graph;
        let mut after = BTreeMap::new();
        let mut before: Option<TensorId> = None;
        for Attending { attention, ways: [query, key, value] } in &branch.attentions {
            // A group of heads waits for what the one before gives of a sequence.
            let waits = self.unfold([branch.map].into_iter().chain(before).collect());
            let mut unfolded = BTreeMap::from([(branch.map, waits)]);
            for &node in key.iter().chain(value) {
                if !unfolded.contains_key(&graph.nodes[node].output) {
                    self.copy(node, graph.nodes[node].operation.clone(), &mut unfolded);
                }
            }
            let node = &graph.nodes[*attention];
            let [keys, values] = [1, 2].map(|input| unfolded[&node.inputs[input]]);
            // Queries wait for the last of what they meet, whichever is made last.
            let late = keys.max(values);
            let mut of_query = BTreeMap::from([(branch.map, self.unfold(vec![branch.map, late]))]);
            for &node in query {
                self.copy(node, graph.nodes[node].operation.clone(), &mut of_query);
            }
            let queries = of_query[&node.inputs[0]];
            let Operation::Attention(operation) = &node.operation else { return };
            let output = self.tensor(node.output);
            let operation = Operation::UnfoldedAttention(operation.clone());
            self.push(*attention, operation, vec![queries, keys, values], output);
            after.insert(node.output, output);
            after.insert(branch.map, of_query[&branch.map]);
            before = Some(output);
        }
        for &node in branch.after.iter().chain([&branch.add]) {
            self.copy(node, graph.nodes[node].operation.clone(), &mut after);
        }
        let sum = graph.nodes[branch.add].output;
        let output = after[&sum];
        let name = format!("{} folded", graph.nodes[branch.add].name);
        let operation = Operation::Fold { patch: self.patch };
        self.made.graph.nodes.push(QuantizedNode { name, operation, inputs: vec![output], output: sum });
        self.made.layers.push(Layer { nodes: Vec::new(), form: Form::Common });
    }

    /// A tensor like one of the network.
    fn tensor(&mut self, like: TensorId) -> TensorId {
        let tensors = &mut self.made.graph.tensors;
        tensors.push(self.lowered.graph.tensor(like).clone());
        TensorId(tensors.len() - 1)
    }

    fn unfold(&mut self, inputs: Vec<TensorId>) -> TensorId {
        let output = self.tensor(inputs[0]);
        let name = format!("{} unfolded", self.lowered.graph.tensor(inputs[0]).name);
        let operation = Operation::Unfold { patch: self.patch };
        self.made.graph.nodes.push(QuantizedNode { name, operation, inputs, output });
        self.made.layers.push(Layer { nodes: Vec::new(), form: Form::Common });
        output
    }

    /// A node on unfolded maps.
    fn copy(&mut self, node: usize, operation: Operation, unfolded: &mut BTreeMap<TensorId, TensorId>) {
        let of = &self.lowered.graph.nodes[node];
        let inputs = of.inputs.iter().map(|input| unfolded[input]).collect();
        let output = self.tensor(of.output);
        self.push(node, operation, inputs, output);
        unfolded.insert(of.output, output);
    }

    fn push(&mut self, node: usize, operation: Operation, inputs: Vec<TensorId>, output: TensorId) {
        let name = self.lowered.graph.nodes[node].name.clone();
        self.made.graph.nodes.push(QuantizedNode { name, operation, inputs, output });
        self.made.layers.push(self.lowered.layers[node].clone());
    }
}
