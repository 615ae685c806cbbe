//! Says which patterns a network holds as plain operators, and what that costs.

use std::collections::HashMap;

use crate::graph::{Graph, Operator, TensorId};

/// A sentence for each product of softmax weights and values that runs as it stands. `reasons` are by the softmax's name.
pub(super) fn notes(graph: &Graph, reasons: &HashMap<String, String>) -> Vec<String> {
    let missed = |operand: TensorId| {
        let softmax = upstream(graph, operand, |operator| matches!(operator, Operator::Softmax { .. }))?;
        let node = &graph.nodes[softmax];
        let scores = upstream(graph, node.inputs[0], |operator| matches!(operator, Operator::MatMul { .. }))?;
        let reason = reasons.get(&node.name).map_or(
            "what stands between its products is not a scale, a constant mask and a softmax over the keys",
            String::as_str,
        );
        let bytes = graph.tensor(graph.nodes[scores].output).shape.len();
        Some(format!(
            "attention at node '{}' was not recognised because {reason}; it runs as 2 MatMuls and a Softmax, with {bytes} bytes of arena for \
             its weights that attention does without",
            node.name
        ))
    };
    let products = graph.nodes.iter().filter(|node| matches!(node.operator, Operator::MatMul { .. }));
    products.filter_map(|node| node.inputs.iter().find_map(|&input| missed(input))).collect()
}

/// The node of a kind that makes a tensor, looking through what moves, scales or shifts it.
fn upstream(graph: &Graph, mut tensor: TensorId, wanted: impl Fn(&Operator) -> bool) -> Option<usize> {
    loop {
        let index = graph.producer(tensor)?;
        let node = &graph.nodes[index];
        match &node.operator {
            operator if wanted(operator) => return Some(index),
            Operator::Reshape
            | Operator::Transpose { .. }
            | Operator::Activation(_)
            | Operator::Add
            | Operator::Mul
            | Operator::Conv2d(_) => tensor = *node.inputs.first()?,
            _ => return None,
        }
    }
}
