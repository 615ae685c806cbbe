//! What the operators on sequences need of their inputs.

use super::attention::{check_separable, matmul_output};
use super::{Axis, Graph, Node, Operator, Shape};

/// A node whose inputs do not fit its operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}` ({operator}): {problem}")]
pub struct GraphError {
    /// The node.
    pub node: String,
    /// What it computes.
    pub operator: String,
    /// What does not fit, and the remedy.
    pub problem: String,
}

impl Graph {
    /// Whether the shapes and parameters of a node fit its operator. Convolutions and operators on single elements are not looked at:
    /// importers make these with shapes that fit.
    ///
    /// # Errors
    /// [`GraphError`] says what does not fit.
    pub fn check(&self, node: &Node) -> Result<(), GraphError> {
        let inputs: Vec<Shape> = node.inputs.iter().map(|&input| self.tensor(input).shape).collect();
        let output = self.tensor(node.output).shape;
        check(&node.operator, &inputs, output).map_err(|problem| GraphError {
            node: node.name.clone(),
            operator: self.describe(node),
            problem,
        })
    }
}

fn check(operator: &Operator, inputs: &[Shape], output: Shape) -> Result<(), String> {
    match operator {
        Operator::Attention(attention) => attention.check(exactly(inputs)?, output),
        Operator::SeparableAttention { patch } => check_separable(*patch, exactly(inputs)?, output),
        Operator::Norm(norm) => {
            let [input] = exactly(inputs)?;
            if input != output {
                return Err(format!("its output is {output}, not {input}"));
            }
            norm.check(input.channels)
        }
        &Operator::MatMul { transpose_second } => {
            let [first, second] = exactly(inputs)?;
            let fits = matmul_output(first, second, transpose_second);
            if fits != Some(output) {
                let second =
                    if transpose_second { format!("{second} transposed") } else { second.to_string() };
                return Err(format!("{first} times {second} is not {output}"));
            }
            Ok(())
        }
        &Operator::Slice { axis, start } => {
            let [input] = exactly(inputs)?;
            let extents = |shape: Shape| [shape.height, shape.width, shape.channels];
            let (mut whole, mut part) = (extents(input), extents(output));
            let place = match axis {
                Axis::Height => 0,
                Axis::Width => 1,
                Axis::Channels => 2,
            };
            let inside = part[place] > 0 && start + part[place] <= whole[place];
            [whole[place], part[place]] = [0, 0];
            if !inside || whole != part {
                return Err(format!("{output} from {start} on is no part of {input}"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn exactly<const N: usize>(inputs: &[Shape]) -> Result<[Shape; N], String> {
    inputs.try_into().map_err(|_| format!("it has {} inputs, not {N}", inputs.len()))
}
