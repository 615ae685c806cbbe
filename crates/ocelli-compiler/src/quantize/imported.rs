//! Int8 networks as the file gives them (TFLite), without changing a bit: every operator under the arithmetic of TFLite's reference
//! kernels. `tests/golden/README.md` has the formulas and how they were found.

mod tables;

use ocelli_format::{Numerics, Target};
use thiserror::Error;

use crate::graph::{
    Activation, Bias, Constant, Conv2d, Graph, Node, Operator, Quantization, Tensor, TensorId, Weights,
};
use crate::quantized::{
    Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode, QuantizedTensor, UNBOUNDED,
};

/// Why an int8 network cannot be taken as it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportedError {
    /// A tensor has no scale and zero point.
    #[error(
        "tensor `{tensor}` has no scale and zero point: the network is not int8 throughout; give its float version instead"
    )]
    NotQuantized {
        /// The tensor.
        tensor: String,
    },
    /// An operator has no exact int8 counterpart.
    #[error("node `{node}`: {problem}; give the float network instead")]
    Node {
        /// The node.
        node: String,
        /// What it lacks.
        problem: String,
    },
    /// The network has another number of inputs or outputs than one.
    #[error("the network has {inputs} inputs and {outputs} outputs; one of each is supported")]
    Ends {
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
}

/// Takes an int8 graph as it is, under [`Numerics::TfLite`].
///
/// # Errors
/// [`ImportedError`] names the tensor or node that is not int8.
pub fn imported(graph: &Graph) -> Result<QuantizedGraph, ImportedError> {
    let (&[input], &[output]) = (graph.inputs.as_slice(), graph.outputs.as_slice()) else {
        return Err(ImportedError::Ends { inputs: graph.inputs.len(), outputs: graph.outputs.len() });
    };
    let tensors = graph.tensors.iter().map(quantized_tensor).collect::<Vec<_>>();
    let mut import = Import {
        graph,
        tensors,
        nodes: Vec::new(),
        renamed: (0..graph.tensors.len()).map(TensorId).collect(),
    };
    for node in &graph.nodes {
        import.node(node)?;
    }
    let used = |id: TensorId| id == input || import.nodes.iter().any(|node| node.output == id);
    if let Some(index) = (0..graph.tensors.len())
        .find(|&index| used(TensorId(index)) && graph.tensors[index].quantization.is_none())
    {
        return Err(ImportedError::NotQuantized { tensor: graph.tensors[index].name.clone() });
    }
    let output = import.renamed[output.0];
    Ok(QuantizedGraph {
        name: graph.name.clone(),
        numerics: Numerics::TfLite,
        target: Target::Portable,
        tensors: import.tensors,
        nodes: import.nodes,
        input,
        output,
    })
}

/// The tensor with its scale; one without gets a stand-in that [`imported`] refuses if anything uses it.
fn quantized_tensor(tensor: &Tensor) -> QuantizedTensor {
    QuantizedTensor {
        name: tensor.name.clone(),
        shape: tensor.shape,
        quantization: tensor.quantization.unwrap_or(Quantization { scale: 1.0, zero_point: 0 }),
        constant: None,
    }
}

struct Import<'g> {
    graph: &'g Graph,
    tensors: Vec<QuantizedTensor>,
    nodes: Vec<QuantizedNode>,
    /// Where the value of each tensor of the graph is: an activation that became a bound leaves its input's tensor.
    renamed: Vec<TensorId>,
}

impl Import<'_> {
    fn node(&mut self, node: &Node) -> Result<(), ImportedError> {
        let refuse = |problem: String| ImportedError::Node { node: node.name.clone(), problem };
        let operation = match &node.operator {
            Operator::Constant(Constant::Int8(values)) => {
                self.tensors[node.output.0].constant = Some(values.clone());
                return Ok(());
            }
            Operator::Constant(Constant::Float(values)) => {
                let quantization = self.tensors[node.output.0].quantization;
                let values = values.iter().map(|&value| quantize(value, quantization)).collect();
                self.tensors[node.output.0].constant = Some(values);
                return Ok(());
            }
            Operator::Conv2d(conv) => Operation::Conv2d(self.conv(node, conv).map_err(refuse)?),
            Operator::Activation(activation) => match self.fuse(node, *activation) {
                true => return Ok(()),
                false => {
                    let [input, output] = self.ends(node);
                    Operation::Table(tables::activation(*activation, input, output).map_err(refuse)?)
                }
            },
            Operator::Requantize => {
                let [input, output] = self.ends(node);
                Operation::Table(tables::requantize(input, output))
            }
            Operator::PRelu { quantized: Some(slopes), .. } => {
                Operation::PRelu { slopes: slopes.values.clone(), quantization: slopes.quantization }
            }
            Operator::PRelu { quantized: None, .. } => return Err(refuse("its slopes are float".into())),
            Operator::Add => Operation::Add(UNBOUNDED),
            Operator::Mul => Operation::Mul(UNBOUNDED),
            Operator::MaxPool(window) => Operation::MaxPool(*window, UNBOUNDED),
            Operator::AveragePool { window, count_include_pad } => Operation::AveragePool {
                window: *window,
                count_include_pad: *count_include_pad,
                bounds: UNBOUNDED,
            },
            Operator::Mean => Operation::Mean,
            Operator::Concat(axis) => Operation::Concat(*axis),
            Operator::Pad { padding, value } => {
                let [_, output] = self.ends(node);
                Operation::Pad { padding: *padding, value: quantize(*value, output) }
            }
            Operator::Reshape => {
                if let Some(values) = self.tensors[self.renamed[node.inputs[0].0].0].constant.clone() {
                    self.tensors[node.output.0].constant = Some(values);
                    return Ok(());
                }
                Operation::Reshape
            }
            Operator::Transpose { order } => Operation::Transpose { order: *order },
            Operator::Softmax { beta } => Operation::Softmax { beta: *beta },
            &Operator::Slice { axis, start } => {
                let [input, output] = self.ends(node);
                if input != output {
                    return Err(refuse("its output has another scale or zero point than its input".into()));
                }
                Operation::Slice { axis, start }
            }
            Operator::Attention(_)
            | Operator::SeparableAttention { .. }
            | Operator::Norm(_)
            | Operator::MatMul { .. } => {
                return Err(refuse("there is no int8 arithmetic of TFLite for its operator".into()));
            }
        };
        let inputs = node.inputs.iter().map(|input| self.renamed[input.0]).collect();
        self.nodes.push(QuantizedNode { name: node.name.clone(), operation, inputs, output: node.output });
        Ok(())
    }

    /// Scales and zero points of a node's first input and of its output.
    fn ends(&self, node: &Node) -> [Quantization; 2] {
        [
            self.tensors[self.renamed[node.inputs[0].0].0].quantization,
            self.tensors[node.output.0].quantization,
        ]
    }

    fn conv(&self, node: &Node, conv: &Conv2d) -> Result<QuantizedConv2d, String> {
        let Weights::Int8 { values, scales } = &conv.weights else {
            return Err("its weights are float".into());
        };
        let channels = self.tensors[node.output.0].shape.channels;
        let weight_scales: Vec<f32> = match scales.as_slice() {
            [scale] => vec![*scale; channels],
            scales if scales.len() == channels => scales.to_vec(),
            scales => {
                return Err(format!("it has {channels} output channels but {} weight scales", scales.len()));
            }
        };
        let bias = match &conv.bias {
            Bias::Int32(values) => values.clone(),
            Bias::Float(values) => {
                let [input, _] = self.ends(node);
                let unit = |scale: f32| f64::from(input.scale) * f64::from(scale);
                values
                    .iter()
                    .zip(&weight_scales)
                    .map(|(&value, &scale)| (f64::from(value) / unit(scale)).round() as i32)
                    .collect()
            }
        };
        Ok(QuantizedConv2d {
            window: conv.window,
            groups: conv.groups,
            weights: values.clone(),
            weight_scales,
            bias,
            bounds: UNBOUNDED,
            fully_connected: conv.fully_connected,
        })
    }

    /// Makes an activation a bound of the node before it, as TFLite's fused activations are, where the scale stays and nothing else reads
    /// the value between.
    fn fuse(&mut self, node: &Node, activation: Activation) -> bool {
        let Activation::Clip { min, max } = activation else {
            return false;
        };
        let [input, output] = self.ends(node);
        let only_reader =
            self.graph.consumers(node.inputs[0]).len() == 1 && !self.graph.outputs.contains(&node.inputs[0]);
        let source = self.renamed[node.inputs[0].0];
        let Some(producer) = self.nodes.iter_mut().find(|producer| producer.output == source) else {
            return false;
        };
        if input != output || !only_reader {
            return false;
        }
        let bounds = match &mut producer.operation {
            Operation::Conv2d(conv) => &mut conv.bounds,
            Operation::Add(bounds)
            | Operation::Mul(bounds)
            | Operation::MaxPool(_, bounds)
            | Operation::AveragePool { bounds, .. } => bounds,
            _ => return false,
        };
        let [low, high] = tables::bounds(min, max, output);
        *bounds = [bounds[0].max(low), bounds[1].min(high)];
        producer.output = node.output;
        true
    }
}

/// The int8 value nearest to a real one: `zero_point + round(value / scale)`, halves away from zero, saturated.
fn quantize(value: f32, quantization: Quantization) -> i8 {
    ((value / quantization.scale).round() + f32::from(quantization.zero_point)).clamp(-128.0, 127.0) as i8
}
