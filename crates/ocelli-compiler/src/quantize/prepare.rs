//! A float graph made ready for int8: clips fused into the operation before them, and tensors that must share one scale found.

use std::collections::BTreeSet;

use crate::graph::{Activation, Graph, Node, Operator, Quantization, TensorId};

/// What [`prepare`] may not do, because an earlier attempt showed that it does not work.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    /// Outputs of clips that stay operations of their own.
    pub unfused: BTreeSet<TensorId>,
    /// Tensors that keep their own scale beside a concatenation.
    pub split: BTreeSet<TensorId>,
}

/// A graph whose nodes are those of the int8 network.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// Tensors keep their ids; new ones are at the end.
    pub graph: Graph,
    /// For each node the bounds of the clip fused into it: its output's saturation must be this clip.
    pub clips: Vec<Option<[f32; 2]>>,
    /// For each node the tensor of the float graph that it computes, but for the fused clip.
    pub unclipped: Vec<TensorId>,
    /// For each tensor the one of the float graph that has its values.
    pub source: Vec<TensorId>,
    /// For each tensor the one that stands for all of the same scale and zero point.
    pub class: Vec<TensorId>,
    /// The scale and zero point that a class must have, by the tensor that stands for it.
    pub pinned: Vec<Option<Quantization>>,
}

/// Prepares a graph of one input, which has the scale and zero point of `input` unless the file gives others.
pub(super) fn prepare(graph: &Graph, input: Option<Quantization>, refusals: &Refusals) -> Prepared {
    let (graph, clips, unclipped) = fuse_clips(graph, refusals);
    let mut pinned: Vec<Option<Quantization>> =
        graph.tensors.iter().map(|tensor| tensor.quantization).collect();
    if let Some(&id) = graph.inputs.first() {
        pinned[id.0] = pinned[id.0].or(input);
    }
    let tensors = graph.tensors.len();
    let old = graph.nodes.clone();
    let mut builder = Builder {
        prepared: Prepared {
            graph: Graph { nodes: Vec::new(), ..graph.clone() },
            clips: Vec::new(),
            unclipped: Vec::new(),
            source: (0..tensors).map(TensorId).collect(),
            class: (0..tensors).map(TensorId).collect(),
            pinned,
        },
        refusals,
        float: &graph,
    };
    for ((node, clip), unclipped) in old.into_iter().zip(clips).zip(unclipped) {
        builder.node(node, clip, unclipped);
    }
    let mut prepared = builder.prepared;
    for index in 0..prepared.class.len() {
        prepared.class[index] = prepared.root(TensorId(index));
    }
    prepared
}

/// The graph with clips drawn into the operations before them where saturation can do them: where zero is within the bounds and nothing
/// else reads the value before the clip.
fn fuse_clips(graph: &Graph, refusals: &Refusals) -> (Graph, Vec<Option<[f32; 2]>>, Vec<TensorId>) {
    let mut fused = graph.clone();
    let mut clips = vec![None; graph.nodes.len()];
    let unclipped: Vec<TensorId> = graph.nodes.iter().map(|node| node.output).collect();
    let mut removed = vec![false; graph.nodes.len()];
    for (index, clip) in clips.iter_mut().enumerate() {
        let fusible = |output: TensorId| {
            let own_scale = graph.tensor(output).quantization.is_some() || graph.outputs.contains(&output);
            let &[next] = graph.consumers(output).as_slice() else { return None };
            match graph.nodes[next].operator {
                Operator::Activation(Activation::Clip { min, max })
                    if !own_scale && min <= 0.0 && max >= 0.0 =>
                {
                    Some((next, [min, max])).filter(|_| !refusals.unfused.contains(&graph.nodes[next].output))
                }
                _ => None,
            }
        };
        if !requantizes(&graph.nodes[index].operator) {
            continue;
        }
        while let Some((next, [min, max])) = fusible(fused.nodes[index].output) {
            let [low, high] = clip.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
            *clip = Some([low.max(min), high.min(max)]);
            fused.nodes[index].output = graph.nodes[next].output;
            removed[next] = true;
        }
    }
    let kept = |index: &usize| !removed[*index];
    let nodes: Vec<usize> = (0..graph.nodes.len()).filter(kept).collect();
    fused.nodes = nodes.iter().map(|&index| fused.nodes[index].clone()).collect();
    (
        fused,
        nodes.iter().map(|&index| clips[index]).collect(),
        nodes.iter().map(|&index| unclipped[index]).collect(),
    )
}

/// Whether an operation's output has a scale and saturation of its own.
fn requantizes(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Conv2d(_)
            | Operator::Add
            | Operator::Mul
            | Operator::Mean
            | Operator::AveragePool { .. }
            | Operator::Attention(_)
            | Operator::SeparableAttention { .. }
            | Operator::Norm(_)
            | Operator::MatMul { .. }
    )
}

struct Builder<'a> {
    prepared: Prepared,
    refusals: &'a Refusals,
    /// The graph whose nodes are being taken over.
    float: &'a Graph,
}

impl Builder<'_> {
    fn node(&mut self, mut node: Node, clip: Option<[f32; 2]>, unclipped: TensorId) {
        match node.operator {
            Operator::MaxPool(_)
            | Operator::Pad { .. }
            | Operator::Reshape
            | Operator::Transpose { .. }
            | Operator::Slice { .. } => {
                self.share(&mut node, 0, true);
            }
            Operator::Concat(_) => {
                for index in 0..node.inputs.len() {
                    let input = node.inputs[index];
                    let output = self.prepared.pin(node.output);
                    // A tensor read elsewhere keeps its own finer scale; one of a given scale must not impose it on the others.
                    let free = self.float.consumers(input).len() == 1
                        && !self.refusals.split.contains(&input)
                        && (self.prepared.pin(input).is_none() || self.prepared.pin(input) == output);
                    self.share(&mut node, index, free);
                }
            }
            Operator::Softmax { .. } => {
                let softmax = Quantization { scale: 1.0 / 256.0, zero_point: -128 };
                let pin = &mut self.prepared.pinned[node.output.0];
                if pin.is_some_and(|pin| pin != softmax) {
                    let wanted = node.output;
                    let own = self.tensor_like(wanted, Some(softmax));
                    let back = requantize(&node.name, own, wanted);
                    node.output = own;
                    self.push(node, clip, unclipped);
                    self.push(back, None, unclipped);
                    return;
                }
                *pin = Some(softmax);
            }
            _ => {}
        }
        self.push(node, clip, unclipped);
    }

    /// Gives an input the scale of the output: the same one if `free`, else a copy of the input.
    fn share(&mut self, node: &mut Node, index: usize, free: bool) {
        let input = node.inputs[index];
        if self.prepared.root(input) == self.prepared.root(node.output) {
            return;
        }
        if free && self.prepared.merge(input, node.output) {
            return;
        }
        let copy = self.tensor_like(input, None);
        let output_pin = self.prepared.pin(node.output);
        self.push(requantize(&node.name, input, copy), None, input);
        node.inputs[index] = copy;
        self.prepared.pinned[copy.0] = output_pin;
        self.prepared.merge(copy, node.output);
    }

    fn push(&mut self, node: Node, clip: Option<[f32; 2]>, unclipped: TensorId) {
        self.prepared.graph.nodes.push(node);
        self.prepared.clips.push(clip);
        self.prepared.unclipped.push(unclipped);
    }

    /// A new tensor of the same real values.
    fn tensor_like(&mut self, id: TensorId, pin: Option<Quantization>) -> TensorId {
        let prepared = &mut self.prepared;
        let tensor = prepared.graph.tensor(id).clone();
        let copy = prepared.graph.add_tensor(format!("{} requantized", tensor.name), tensor.shape);
        prepared.source.push(prepared.source[id.0]);
        prepared.class.push(copy);
        prepared.pinned.push(pin);
        copy
    }
}

fn requantize(name: &str, input: TensorId, output: TensorId) -> Node {
    Node { name: format!("{name} requantize"), operator: Operator::Requantize, inputs: vec![input], output }
}

impl Prepared {
    /// Whether other tensors have this one's scale and zero point, too.
    pub fn shares_scale(&self, id: TensorId) -> bool {
        let class = self.class[id.0];
        self.class.iter().filter(|&&other| other == class).count() > 1
    }

    /// The tensor that stands for all of the same scale.
    fn root(&self, mut id: TensorId) -> TensorId {
        while self.class[id.0] != id {
            id = self.class[id.0];
        }
        id
    }

    fn pin(&self, id: TensorId) -> Option<Quantization> {
        self.pinned[self.root(id).0]
    }

    /// Gives two tensors one scale; `false` where each has another already.
    fn merge(&mut self, first: TensorId, second: TensorId) -> bool {
        let (first, second) = (self.root(first), self.root(second));
        match (self.pinned[first.0], self.pinned[second.0]) {
            (Some(a), Some(b)) if a != b => return false,
            (a, b) => self.pinned[first.0] = a.or(b),
        }
        self.class[second.0] = first;
        true
    }
}
