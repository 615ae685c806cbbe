//! Nodes and tensors that nothing reads.

use crate::graph::{Graph, TensorId};

/// Removes nodes whose result reaches no output, and tensors that no node, input or output names. Returns the tensors (by their old
/// ids) that some remaining node reads or that are outputs, and for which `wanted` holds.
pub fn remove_unused(graph: &mut Graph, wanted: impl Fn(TensorId) -> bool) -> Vec<TensorId> {
    let mut live = vec![false; graph.tensors.len()];
    for output in &graph.outputs {
        live[output.0] = true;
    }
    for node in graph.nodes.iter().rev() {
        if live[node.output.0] {
            node.inputs.iter().for_each(|input| live[input.0] = true);
        }
    }
    let reported =
        (0..live.len()).filter(|&index| live[index]).map(TensorId).filter(|&id| wanted(id)).collect();
    graph.nodes.retain(|node| live[node.output.0]);
    for input in &graph.inputs {
        live[input.0] = true;
    }
    let mut places = vec![0; live.len()];
    let mut next = 0;
    for (place, &live) in places.iter_mut().zip(&live) {
        *place = next;
        next += usize::from(live);
    }
    let mut flags = live.iter();
    graph.tensors.retain(|_| flags.next().copied().unwrap_or(false));
    let renumber = |id: &mut TensorId| id.0 = places[id.0];
    graph.inputs.iter_mut().chain(&mut graph.outputs).for_each(renumber);
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(renumber);
        renumber(&mut node.output);
    }
    reported
}
