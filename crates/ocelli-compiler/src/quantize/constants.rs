//! Nodes that read nothing but constants become constants.

use super::QuantizeError;
use crate::float::FloatModel;
use crate::graph::{Constant, Graph, Operator};

/// The graph with everything computed that does not depend on the input; `input` may be any one.
pub(super) fn fold(graph: &Graph, float: &FloatModel, input: &[f32]) -> Result<Graph, QuantizeError> {
    let mut folded = graph.clone();
    let mut constant = vec![false; graph.tensors.len()];
    let mut values = None;
    for node in &mut folded.nodes {
        let given = matches!(node.operator, Operator::Constant(_));
        constant[node.output.0] =
            given || !node.inputs.is_empty() && node.inputs.iter().all(|id| constant[id.0]);
        if given || !constant[node.output.0] {
            continue;
        }
        let all = match values.take() {
            Some(all) => all,
            None => float.run_all(input)?,
        };
        if let Some(value) = &all[node.output.0] {
            node.operator = Operator::Constant(Constant::Float(value.clone()));
            node.inputs.clear();
        }
        values = Some(all);
    }
    Ok(folded)
}
