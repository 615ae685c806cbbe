//! Rewrites a network into fewer nodes that compute the same.
//!
//! Float networks: scales and offsets (batch normalization, arithmetic with constants) fold into the convolutions and norms around them,
//! and convolutions that are read in parts (fused query, key and value) fall apart. Int8
//! networks keep their arithmetic to the byte: only what moves or copies values changes there.

mod affine;
mod identities;
mod padding;
mod split;
mod unused;

use crate::graph::{Graph, TensorId};

pub use unused::remove_unused;

/// Simplifies until nothing changes, and says in one line each what was done.
pub fn simplify(graph: &mut Graph) -> Vec<String> {
    let rules = [identities::remove, padding::fold, affine::fold, split::split];
    let mut done = Vec::new();
    while let Some(what) = rules.iter().find_map(|rule| rule(graph)) {
        done.push(what);
    }
    let before = graph.nodes.len();
    remove_unused(graph, |_| false);
    let unused = before - graph.nodes.len();
    if unused > 0 {
        done.push(format!("removed {unused} nodes that nothing reads any more"));
    }
    done
}

/// The node that alone reads what `node` computes, where that is not handed out.
fn only_reader(graph: &Graph, node: usize) -> Option<usize> {
    let output = graph.nodes[node].output;
    match graph.consumers(output).as_slice() {
        &[reader] if !graph.outputs.contains(&output) => Some(reader),
        _ => None,
    }
}

/// Whether a tensor is real: no scale or zero point says how it is rounded.
fn is_float(graph: &Graph, tensor: TensorId) -> bool {
    graph.tensor(tensor).quantization.is_none()
}

/// Makes every reader of `old` read `new`.
fn replace(graph: &mut Graph, old: TensorId, new: TensorId) {
    if graph.outputs.contains(&old) {
        graph.tensors[new.0].name = graph.tensors[old.0].name.clone();
    }
    let inputs = graph.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    inputs.chain(&mut graph.outputs).filter(|id| **id == old).for_each(|id| *id = new);
}
