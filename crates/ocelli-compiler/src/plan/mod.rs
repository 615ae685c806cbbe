//! Where each tensor lies in the arena, laid out before the model is packed.
//!
//! Tensors live from the node that makes them to the last that reads them; tensors of overlapping lives get different bytes. Operations on
//! single elements, softmax and norms write over their first input where nothing else reads it, and a reshape is no copy. The memory that
//! attention works in lives for its step alone.

use crate::graph::TensorId;
use crate::quantized::{Operation, QuantizedGraph, QuantizedNode};

/// Offsets of all tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// First byte of each tensor in the arena, by [`TensorId`]; `None` for constants and tensors that nothing uses.
    pub offsets: Vec<Option<usize>>,
    /// First byte of the memory that each node works in, by its index; `None` for those that need none.
    pub scratch: Vec<Option<usize>>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Index of the node at which most bytes are in use.
    pub busiest: usize,
}

/// Bytes that one or more tensors share, and the nodes between which they are in use.
#[derive(Clone, Debug)]
struct Buffer {
    bytes: usize,
    first: usize,
    last: usize,
}

/// Lays out the arena.
pub fn plan(graph: &QuantizedGraph) -> Plan {
    let (mut buffers, buffer_of) = buffers(graph);
    let scratch_of: Vec<Option<usize>> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(step, node)| {
            let bytes = graph.scratch_bytes(node);
            (bytes > 0).then(|| {
                buffers.push(Buffer { bytes, first: step, last: step });
                buffers.len() - 1
            })
        })
        .collect();
    let steps = graph.nodes.len().max(1);
    let in_use = |step: usize| -> usize {
        buffers
            .iter()
            .filter(|buffer| buffer.first <= step && step <= buffer.last)
            .map(|buffer| buffer.bytes)
            .sum()
    };
    let busiest = (0..steps).max_by_key(|&step| (in_use(step), std::cmp::Reverse(step))).unwrap_or(0);

    let (offsets, arena_bytes) = orders(&buffers)
        .into_iter()
        .map(|order| place(&buffers, &order))
        .min_by_key(|(_, arena_bytes)| *arena_bytes)
        .unwrap_or_default();
    Plan {
        offsets: buffer_of.iter().map(|buffer| buffer.map(|index| offsets[index])).collect(),
        scratch: scratch_of.iter().map(|buffer| buffer.map(|index| offsets[index])).collect(),
        arena_bytes,
        busiest,
    }
}

/// The buffers of a graph, and the buffer of each tensor.
fn buffers(graph: &QuantizedGraph) -> (Vec<Buffer>, Vec<Option<usize>>) {
    let last_use = |id: TensorId| {
        let read = graph.nodes.iter().rposition(|node| node.inputs.contains(&id));
        if id == graph.output { Some(graph.nodes.len()) } else { read }
    };
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut buffer_of = vec![None; graph.tensors.len()];
    let add = |buffers: &mut Vec<Buffer>, id: TensorId, first: usize| {
        let last = last_use(id).unwrap_or(first).max(first);
        buffers.push(Buffer { bytes: graph.tensor(id).shape.len(), first, last });
        buffers.len() - 1
    };
    buffer_of[graph.input.0] = Some(add(&mut buffers, graph.input, 0));
    for (step, node) in graph.nodes.iter().enumerate() {
        let shared = node.inputs.first().and_then(|input| buffer_of[input.0]).filter(|&buffer| {
            matches!(node.operation, Operation::Reshape)
                || writes_over_input(graph, node, buffers[buffer].last == step)
        });
        let buffer = match shared {
            Some(buffer) => {
                let last = last_use(node.output).unwrap_or(step);
                buffers[buffer].last = buffers[buffer].last.max(last);
                buffer
            }
            None => add(&mut buffers, node.output, step),
        };
        buffer_of[node.output.0] = Some(buffer);
    }
    (buffers, buffer_of)
}

/// Whether a node may leave its output where its first input was, which nothing reads later if `dies`.
fn writes_over_input(graph: &QuantizedGraph, node: &QuantizedNode, dies: bool) -> bool {
    let elementwise = matches!(
        node.operation,
        Operation::Table(_)
            | Operation::ChannelTables { .. }
            | Operation::PRelu { .. }
            | Operation::Add(_)
            | Operation::Mul(_)
            | Operation::Softmax { .. }
            | Operation::Norm(_)
    );
    let same_size = node
        .inputs
        .first()
        .is_some_and(|&input| graph.tensor(input).shape.len() == graph.tensor(node.output).shape.len());
    let read_twice =
        node.inputs.iter().filter(|input| Some(input) == node.inputs.first().as_ref()).count() > 1;
    elementwise && dies && same_size && !read_twice
}

/// Orders worth trying: large buffers first, long-lived first, and in order of execution.
fn orders(buffers: &[Buffer]) -> Vec<Vec<usize>> {
    let sorted = |key: &dyn Fn(&Buffer) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(key(&buffers[index])));
        order
    };
    vec![
        sorted(&|buffer| (buffer.bytes, buffer.last - buffer.first)),
        sorted(&|buffer| (buffer.last - buffer.first, buffer.bytes)),
        sorted(&|buffer| (buffer.bytes * (buffer.last - buffer.first + 1), buffer.bytes)),
        (0..buffers.len()).collect(),
    ]
}

/// Gives each buffer, in an order, the lowest offset where it overlaps none in use at the same time.
fn place(buffers: &[Buffer], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena_bytes = 0;
    for &index in order {
        let buffer = &buffers[index];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| buffers[other].first <= buffer.last && buffer.first <= buffers[other].last)
            .map(|&other| (offsets[other], offsets[other] + buffers[other].bytes))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if start >= offset + buffer.bytes {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        offsets[index] = offset;
        arena_bytes = arena_bytes.max(offset + buffer.bytes);
        placed.push(index);
    }
    (offsets, arena_bytes)
}

/// Tensors start at multiples of this many bytes, so that word-wise kernels can read them.
const ALIGNMENT: usize = 4;
