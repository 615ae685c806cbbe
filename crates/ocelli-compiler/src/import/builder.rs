//! Builds the graph: emits nodes, and moves data only where an operator needs another order of storage.

use std::collections::HashMap;

use super::error::{Problem, Refusal};
use super::formula::Formula;
use super::layout::Layout;
use crate::graph::{Graph, Node, Operator, Quantization, Shape, TensorId};

/// A tensor of the file that flows between nodes.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub tensor: TensorId,
    pub layout: Layout,
}

/// The file axes that become height, width and channels of a stored tensor; all others have size 1.
pub(super) type Arrangement<'a> = [&'a [usize]; 3];

/// A graph under construction.
#[derive(Default)]
pub(super) struct Builder {
    pub graph: Graph,
    pub problems: Vec<Problem>,
    /// What each tensor is as a function of one other, for chains that spell out an activation.
    pub(super) formulas: HashMap<TensorId, Formula>,
    /// Tensors of steps that only exist as part of a known activation (the `Erf` of a GELU): node name, operator.
    pub(super) partial: HashMap<TensorId, (String, String)>,
    rearranged: HashMap<(TensorId, Vec<usize>, Shape), TensorId>,
}

impl Builder {
    pub fn shape(&self, tensor: TensorId) -> Shape {
        self.graph.tensor(tensor).shape
    }

    /// Adds a node and its output tensor.
    pub fn emit(
        &mut self,
        name: &str,
        operator: Operator,
        inputs: Vec<TensorId>,
        shape: Shape,
        quantization: Option<Quantization>,
    ) -> TensorId {
        let output = self.graph.add_tensor(name, shape);
        self.graph.tensors[output.0].quantization = quantization;
        self.graph.nodes.push(Node { name: name.to_owned(), operator, inputs, output });
        output
    }

    /// The same value stored with these file axes as height, width and channels.
    pub fn arrange(&mut self, value: &Value, axes: Arrangement<'_>, name: &str) -> Result<Value, Refusal> {
        let layout = &value.layout;
        let order: Vec<usize> = axes.iter().flat_map(|group| layout.factors_of(group)).collect();
        if order.len() != layout.factor_sizes().len() {
            return Err(Refusal::unsupported(format!(
                "shape {:?} has more axes above 1 than height, width and channels, or a batch above 1",
                layout.dims()
            )));
        }
        let shape = Shape::new(layout.size(axes[0]), layout.size(axes[1]), layout.size(axes[2]));
        Ok(self.store(value, &order, shape, name))
    }

    /// The same value with its storage factors in `order`, as a tensor of `shape`.
    pub fn store(&mut self, value: &Value, order: &[usize], shape: Shape, name: &str) -> Value {
        let key = (value.tensor, order.to_vec(), shape);
        let tensor = match self.rearranged.get(&key) {
            Some(&tensor) => tensor,
            None => {
                let moved = self.permute(value, order, name);
                let tensor = self.reshape(moved, shape, name);
                self.rearranged.insert(key, tensor);
                tensor
            }
        };
        Value { tensor, layout: value.layout.restored(order) }
    }

    /// The same value with some axes innermost, as the stored channels (in any order among themselves), and the others in front as
    /// they are. Moves nothing where they are innermost already.
    pub fn with_innermost(&mut self, value: &Value, inner: &[usize], name: &str) -> Value {
        let layout = &value.layout;
        let channels = layout.size(inner);
        let shape = self.shape(value.tensor);
        let tail = layout.factors_of(inner);
        let (mut order, mut last): (Vec<usize>, Vec<usize>) =
            (0..layout.factor_sizes().len()).partition(|factor| !tail.contains(factor));
        let unmoved = order.iter().chain(&last).copied().eq(0..layout.factor_sizes().len());
        order.append(&mut last);
        let keep = unmoved && shape.channels == channels;
        let shape = if keep { shape } else { Shape::new(1, layout.len() / channels, channels) };
        self.store(value, &order, shape, name)
    }

    /// The same elements in the same order under another shape.
    pub fn reshape(&mut self, tensor: TensorId, shape: Shape, name: &str) -> TensorId {
        if self.shape(tensor) == shape {
            return tensor;
        }
        let quantization = self.graph.tensor(tensor).quantization;
        self.emit(&format!("{name}/reshape"), Operator::Reshape, vec![tensor], shape, quantization)
    }

    /// The value under other dimensions of the file: nothing moves, unless the new axes cut across the storage.
    pub fn reshaped(&mut self, value: &Value, dims: &[usize], name: &str) -> Value {
        if let Some(layout) = value.layout.reshaped(dims) {
            return Value { tensor: value.tensor, layout };
        }
        let all: Vec<usize> = (0..value.layout.rank()).collect();
        let order = value.layout.factors_of(&all);
        let stored = self.store(value, &order, Shape::new(1, 1, value.layout.len()), name);
        Value { tensor: stored.tensor, layout: Layout::in_file_order(dims) }
    }

    /// Moves the storage factors into `order` by transposes of at most three blocks.
    fn permute(&mut self, value: &Value, order: &[usize], name: &str) -> TensorId {
        let sizes = value.layout.factor_sizes();
        // Blocks of factors that stay neighbours, in their new order.
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        for &factor in order {
            match blocks.last_mut() {
                Some(block) if block.last().is_some_and(|&last| last + 1 == factor) => block.push(factor),
                _ => blocks.push(vec![factor]),
            }
        }
        let size = |block: &[usize]| block.iter().map(|&factor| sizes[factor]).product::<usize>();
        let mut current = blocks.clone();
        current.sort();
        let mut tensor = value.tensor;
        if blocks.len() <= 3 {
            if current != blocks {
                let place = |block: &Vec<usize>| current.iter().position(|other| other == block).unwrap_or(0);
                let lead = 3 - blocks.len();
                let mut extents = [1; 3];
                let mut axes = [0, 1, 2];
                for (index, block) in current.iter().enumerate() {
                    extents[lead + index] = size(block);
                }
                for (index, block) in blocks.iter().enumerate() {
                    axes[lead + index] = lead + place(block);
                }
                tensor = self.transpose(tensor, extents, axes, name);
            }
            return tensor;
        }
        // Each block in turn goes to the end, so that in the end they stand in their new order.
        for block in &blocks {
            let place = current.iter().position(|other| other == block).unwrap_or(0);
            let total = |blocks: &[Vec<usize>]| blocks.iter().map(|block| size(block)).product::<usize>();
            let extents = [total(&current[..place]), size(block), total(&current[place + 1..])];
            if extents[2] != 1 {
                tensor = self.transpose(tensor, extents, [0, 2, 1], name);
            }
            let moved = current.remove(place);
            current.push(moved);
        }
        tensor
    }

    fn transpose(
        &mut self,
        tensor: TensorId,
        extents: [usize; 3],
        order: [usize; 3],
        name: &str,
    ) -> TensorId {
        let tensor = self.reshape(tensor, Shape::new(extents[0], extents[1], extents[2]), name);
        let shape = Shape::new(extents[order[0]], extents[order[1]], extents[order[2]]);
        let quantization = self.graph.tensor(tensor).quantization;
        self.emit(
            &format!("{name}/transpose"),
            Operator::Transpose { order },
            vec![tensor],
            shape,
            quantization,
        )
    }

    /// The graph with what nothing reads removed, and a problem for each step that only makes sense inside an activation.
    pub fn finish(mut self) -> (Graph, Vec<Problem>) {
        crate::simplify::remove_unused(&mut self.graph, |tensor| self.partial.contains_key(&tensor))
            .into_iter()
            .filter_map(|tensor| self.partial.remove(&tensor))
            .for_each(|(node, operator)| {
                self.problems.push(Problem {
                    node: Some(node),
                    reason: format!(
                        "{operator} is only known as a step of an activation (GELU, SiLU or another in the list) or of a norm"
                    ),
                    operator: Some(operator),
                    remedy: "replace the activation by one that Ocelli has (ReLU, ReLU6, hard-swish, SiLU, GELU, sigmoid, tanh), the norm \
                             by LayerNorm, GroupNorm of one group or RMSNorm"
                        .to_owned(),
                });
            });
        (self.graph, self.problems)
    }
}
