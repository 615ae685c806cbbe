//! A network as its planner sees it: steps, the rows that each reads, and the memory that tensors take.

use ocelli_format::Reach;

use super::costs::Costs;
use crate::graph::{Axis, NormExtent, Shape, TensorId};
use crate::pack::kernel_window;
use crate::quantized::{Operation, QuantizedGraph, QuantizedNode};

/// A tensor that is not constant.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Rows.
    pub height: usize,
    /// Bytes of a row.
    pub row: usize,
    /// The tensor whose bytes it has: itself, or what it is a reshape of.
    pub storage: usize,
}

/// A node that takes a step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The node's index.
    pub node: usize,
    /// Tensors, and which of their rows are read; constants are left out.
    pub inputs: Vec<(usize, Reach)>,
    /// The tensor that it makes.
    pub output: usize,
    /// Bytes that it works in, and the fewer that it takes where it makes rows in more parts; none where it needs none.
    pub scratch: Vec<usize>,
    /// What it takes to make rows so that they need less memory.
    pub costs: Costs,
    /// Whether its output may lie where its first input lies; of a step that folds, where the map lies that its stage unfolds.
    pub in_place: bool,
    /// Whether it makes all rows at once.
    pub whole: bool,
    /// What it does to the order of pixels.
    pub order: Order,
}

/// What a step does to the order of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing.
    Kept,
    /// It unfolds sequences of a patch: row `y` is made from pixels all over its first input.
    Unfolds([usize; 2]),
    /// It folds them: row `y` lies in the pixels that row `y` of the unfolded map was made from.
    Folds([usize; 2]),
}

/// What there is to plan.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// By the index of [`TensorId`].
    pub tensors: Vec<Tensor>,
    /// In order of execution.
    pub steps: Vec<Step>,
    /// The tensor fed from outside.
    pub input: usize,
    /// The tensor handed out.
    pub output: usize,
    /// Rows that the target likes to make at once.
    pub at_once: usize,
}

impl Network {
    /// What a graph gives to plan.
    pub fn of(graph: &QuantizedGraph) -> Self {
        let tensor = |index: usize| {
            let shape = graph.tensors[index].shape;
            Tensor { height: shape.height, row: shape.width * shape.channels, storage: index }
        };
        let mut tensors: Vec<Tensor> = (0..graph.tensors.len()).map(tensor).collect();
        let mut steps = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            if matches!(node.operation, Operation::Reshape) {
                tensors[node.output.0].storage = tensors[node.inputs[0].0].storage;
                continue;
            }
            let inputs =
                node.inputs.iter().enumerate().filter(|(_, id)| graph.tensor(**id).constant.is_none());
            steps.push(Step {
                node: index,
                inputs: inputs.map(|(place, id)| (id.0, reach(graph, node, place))).collect(),
                output: node.output.0,
                scratch: graph.scratch_bytes(node),
                costs: Costs::of(graph, node),
                in_place: works_in_place(graph, node),
                whole: is_whole(&node.operation),
                order: match node.operation {
                    Operation::Unfold { patch } => Order::Unfolds(patch),
                    Operation::Fold { patch } => Order::Folds(patch),
                    _ => Order::Kept,
                },
            });
        }
        Self {
            tensors,
            steps,
            input: graph.input.0,
            output: graph.output.0,
            at_once: ocelli::rows_at_once(graph.target),
        }
    }

    /// The tensor whose bytes a tensor has.
    pub fn storage(&self, tensor: usize) -> usize {
        self.tensors[tensor].storage
    }
}

/// Whether all rows of an operation are made at once.
fn is_whole(operation: &Operation) -> bool {
    match operation {
        Operation::SeparableAttention { .. } => true,
        Operation::Norm(norm) => norm.over == NormExtent::Map,
        _ => false,
    }
}

/// Whether a node may leave its output where its first input is, if that is of no use any more.
fn works_in_place(graph: &QuantizedGraph, node: &QuantizedNode) -> bool {
    let elementwise = matches!(
        node.operation,
        Operation::Table(_)
            | Operation::ChannelTables { .. }
            | Operation::PRelu { .. }
            | Operation::Add(_)
            | Operation::Mul(_)
            | Operation::Softmax { .. }
            | Operation::Norm(_)
            | Operation::Fold { .. }
    );
    let Some(&first) = node.inputs.first() else { return false };
    let same_size = graph.tensor(first).shape.len() == graph.tensor(node.output).shape.len();
    let read_twice = node.inputs.iter().filter(|&&input| input == first).count() > 1;
    elementwise && same_size && !read_twice && graph.tensor(first).constant.is_none()
}

/// The rows of an input that a row of a node's output is made from: as [`ocelli_format::Step::reach`] has it for the step.
fn reach(graph: &QuantizedGraph, node: &QuantizedNode, place: usize) -> Reach {
    let shape = |id: TensorId| graph.tensor(id).shape;
    let (input, output) = (shape(node.inputs[place]), shape(node.output));
    let row = if input.height == output.height { Reach::Row(0) } else { Reach::All };
    let window = |window: &crate::graph::Window| {
        kernel_window(window).map_or(Reach::All, |window| Reach::window(&window))
    };
    match &node.operation {
        Operation::Conv2d(conv) => window(&conv.window),
        Operation::PackedConv2d(packed) => Reach::window(&packed.window),
        Operation::MaxPool(of, _) => window(of),
        Operation::AveragePool { window: of, .. } => window(of),
        Operation::Table(_)
        | Operation::ChannelTables { .. }
        | Operation::PRelu { .. }
        | Operation::Softmax { .. } => row,
        Operation::Add(_) | Operation::Mul(_) => {
            if place == 0 || input.len() == output.len() {
                row
            } else {
                Reach::All
            }
        }
        Operation::Norm(norm) => {
            if norm.over == NormExtent::Map {
                Reach::All
            } else {
                row
            }
        }
        Operation::Concat(Axis::Height) => Reach::All,
        Operation::Concat(_) => row,
        Operation::Pad { padding, .. } => Reach::Row(-(padding.top as i32)),
        Operation::Slice { axis: Axis::Height, start } => Reach::Row(*start as i32),
        Operation::Slice { .. } => row,
        Operation::Attention(_) => {
            if place == 0 {
                row
            } else {
                Reach::All
            }
        }
        Operation::UnfoldedAttention(attention) => match place {
            0 => row,
            _ => sequence(input, attention.key_patch),
        },
        Operation::Unfold { patch } if place == 1 => sequence(output, *patch),
        Operation::Fold { .. } | Operation::MatMul { .. } => row,
        Operation::Mean
        | Operation::Unfold { .. }
        | Operation::Transpose { .. }
        | Operation::SeparableAttention { .. }
        | Operation::Reshape => Reach::All,
    }
}

/// The rows of a sequence in an unfolded map.
fn sequence(shape: Shape, [rows, columns]: [usize; 2]) -> Reach {
    let rows = shape.height.checked_div(rows * columns).and_then(|rows| u16::try_from(rows).ok());
    rows.map_or(Reach::All, Reach::Block)
}
