//! What each node costs.

use super::{Graph, Node, Operator, Shape};

/// One row of `ocelli inspect`.
#[derive(Clone, Debug)]
pub struct NodeSummary {
    /// The node's name.
    pub name: String,
    /// The operator with what distinguishes it (`Conv2d 3x3 /2`).
    pub operator: String,
    /// Shape of the result.
    pub shape: Shape,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: usize,
}

impl Graph {
    /// Multiply-accumulate operations of a node: those of convolutions, attention and matrix products, and one an element of a product.
    pub fn macs(&self, node: &Node) -> u64 {
        let output = self.tensor(node.output).shape;
        match &node.operator {
            Operator::Conv2d(conv) => {
                let taps = conv.weights.len().checked_div(output.channels).unwrap_or(0);
                (output.len() * taps) as u64
            }
            Operator::Mul => output.len() as u64,
            Operator::Attention(attention) => match node.inputs.as_slice() {
                &[query, key, value] => {
                    attention.macs(self.tensor(query).shape, self.tensor(key).shape, self.tensor(value).shape)
                }
                _ => 0,
            },
            Operator::SeparableAttention { .. } => 2 * output.len() as u64,
            Operator::MatMul { .. } => {
                let inner = node.inputs.first().map_or(0, |&input| self.tensor(input).shape.channels);
                (output.len() * inner) as u64
            }
            _ => 0,
        }
    }

    /// One row a node, in order.
    pub fn summary(&self) -> Vec<NodeSummary> {
        self.nodes
            .iter()
            .map(|node| NodeSummary {
                name: node.name.clone(),
                operator: self.describe(node),
                shape: self.tensor(node.output).shape,
                macs: self.macs(node),
                parameters: parameters(&node.operator),
            })
            .collect()
    }

    /// The operator of a node with its window and groups.
    pub(super) fn describe(&self, node: &Node) -> String {
        match &node.operator {
            Operator::Conv2d(conv) if conv.fully_connected => "FullyConnected".to_owned(),
            Operator::Conv2d(conv) => {
                let inputs = node.inputs.first().map_or(0, |&input| self.tensor(input).shape.channels);
                let kind = match conv.groups {
                    1 => "Conv2d".to_owned(),
                    groups if groups == inputs => "Depthwise".to_owned(),
                    groups => format!("Conv2d in {groups} groups"),
                };
                windowed(&kind, conv.window.kernel, conv.window.stride)
            }
            Operator::MaxPool(window) => windowed("MaxPool", window.kernel, window.stride),
            Operator::AveragePool { window, .. } => windowed("AveragePool", window.kernel, window.stride),
            Operator::Activation(activation) => activation.name().to_owned(),
            Operator::PRelu { .. } => "PReLU".to_owned(),
            Operator::Add => "Add".to_owned(),
            Operator::Mul => "Mul".to_owned(),
            Operator::Mean => "Mean".to_owned(),
            Operator::Concat(_) => "Concat".to_owned(),
            Operator::Pad { .. } => "Pad".to_owned(),
            Operator::Reshape => "Reshape".to_owned(),
            Operator::Transpose { .. } => "Transpose".to_owned(),
            Operator::Softmax { .. } => "Softmax".to_owned(),
            Operator::Attention(attention) => {
                let causal = if attention.causal { ", causal" } else { "" };
                let heads = if attention.heads == 1 { "head" } else { "heads" };
                format!("Attention {} {heads}{}{causal}", attention.heads, patched(attention.patch))
            }
            Operator::SeparableAttention { patch } => format!("SeparableAttention{}", patched(*patch)),
            Operator::Norm(norm) => norm.name().to_owned(),
            Operator::MatMul { .. } => "MatMul".to_owned(),
            Operator::Slice { .. } => "Slice".to_owned(),
            Operator::Requantize => "Requantize".to_owned(),
            Operator::Constant(_) => "Constant".to_owned(),
        }
    }
}

fn patched([rows, columns]: [usize; 2]) -> String {
    if [rows, columns] == [1, 1] { String::new() } else { format!(", patches {rows}x{columns}") }
}

fn windowed(kind: &str, kernel: [usize; 2], stride: [usize; 2]) -> String {
    let size = format!("{kind} {}x{}", kernel[0], kernel[1]);
    match stride {
        [1, 1] => size,
        [vertical, horizontal] if vertical == horizontal => format!("{size} /{vertical}"),
        [vertical, horizontal] => format!("{size} /{vertical}x{horizontal}"),
    }
}

fn parameters(operator: &Operator) -> usize {
    match operator {
        Operator::Conv2d(conv) => conv.weights.len() + conv.bias.len(),
        Operator::PRelu { slopes, .. } => slopes.len(),
        Operator::Norm(norm) => norm.gamma.len() + norm.beta.len(),
        Operator::Attention(attention) => attention.bias.as_ref().map_or(0, |bias| bias.values.len()),
        Operator::Constant(super::Constant::Float(values)) => values.len(),
        Operator::Constant(super::Constant::Int8(values)) => values.len(),
        _ => 0,
    }
}
