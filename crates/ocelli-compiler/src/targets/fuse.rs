//! Depthwise convolutions that become one layer with the 1x1 convolution after them.

use std::collections::{BTreeMap, BTreeSet};

use ocelli_kernels::Window;
use ocelli_kernels::arch::Arch;

use super::Convolution;
use crate::graph::TensorId;
use crate::quantized::{Operation, PackedConv2d, QuantizedGraph};

/// Layers by the index of their last node: the indices of all their nodes, and what they become.
pub(super) type Fused = BTreeMap<usize, (Vec<usize>, PackedConv2d)>;

/// Depthwise convolutions, each with the table after it, if any, and the 1x1 convolution of stride 1 without padding after that; but for those to leave
/// `apart`.
pub(super) fn fused<A: Arch>(
    graph: &QuantizedGraph,
    convolutions: &[Option<Result<Convolution<'_>, &'static str>>],
    apart: &BTreeSet<usize>,
) -> Fused {
    let convolution = |node: usize| convolutions[node].as_ref().and_then(|conv| conv.as_ref().ok());
    let mut fused = Fused::new();
    for first in 0..graph.nodes.len() {
        let Some(depthwise) = convolution(first).filter(|conv| conv.depthwise && !apart.contains(&first))
        else {
            continue;
        };
        let mut nodes = vec![first];
        let mut table = None;
        let last = loop {
            let Some(next) = only_reader(graph, graph.nodes[nodes[nodes.len() - 1]].output) else {
                break None;
            };
            nodes.push(next);
            match &graph.nodes[next].operation {
                Operation::Table(values) if table.is_none() => table = Some(values.as_ref()),
                _ => break convolution(next),
            }
        };
        let pointwise = last.filter(|conv| {
            let alone = Window { kernel: [1; 2], stride: [1; 2], padding: [0; 2], ..conv.shape.window };
            !conv.depthwise
                && conv.shape.window == alone
                && conv.shape.input == depthwise.shape.output
                && conv.shape.output[..2] == conv.shape.input[..2]
        });
        if let Some(packed) = pointwise.and_then(|pointwise| depthwise.pack_separable::<A>(table, pointwise))
        {
            fused.insert(nodes[nodes.len() - 1], (nodes, packed));
        }
    }
    fused
}

/// The only node that reads a tensor, if there is one and nothing else needs it.
fn only_reader(graph: &QuantizedGraph, id: TensorId) -> Option<usize> {
    let mut readers = graph.nodes.iter().enumerate().filter(|(_, node)| node.inputs.contains(&id));
    let (reader, node) = readers.next()?;
    (readers.next().is_none() && node.inputs.len() == 1 && id != graph.output).then_some(reader)
}
