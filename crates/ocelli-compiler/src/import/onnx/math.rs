//! Element-wise operators, linear layers, normalization, reductions and softmax.

use super::super::builder::Value;
use super::super::constant::Constant;
use super::super::elementwise::{Arithmetic, expanded, in_storage_order};
use super::super::error::Refusal;
use super::Importer;
use super::node::{Entry, NodeView};
use crate::graph::{Activation, Bias, Weights};

impl<'a> Importer<'a> {
    /// A function of one tensor without further operands (or with scalar ones).
    pub(super) fn activation_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let activation = match node.operator {
            "Relu" => Activation::RELU,
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "HardSwish" => Activation::HardSwish,
            "HardSigmoid" => {
                Activation::HardSigmoid { alpha: node.float("alpha", 0.2), beta: node.float("beta", 0.5) }
            }
            "LeakyRelu" => Activation::LeakyRelu { slope: node.float("alpha", 0.01) },
            "Gelu" if node.text("approximate") == Some("tanh") => Activation::GeluTanh,
            "Gelu" => Activation::Gelu,
            "Swish" if node.float("alpha", 1.0) == 1.0 => Activation::Silu,
            "Neg" => Activation::Affine { scale: -1.0, offset: 0.0 },
            "Clip" => {
                let bound = |index: usize, attribute: &str, default: f32| match node.constant(index)? {
                    Some(constant) => {
                        constant.scalar().ok_or_else(|| Refusal::unsupported("a bound that is not one value"))
                    }
                    None => Ok(node.float(attribute, default)),
                };
                let min = bound(1, "min", f32::NEG_INFINITY)?;
                let max = bound(2, "max", f32::INFINITY)?;
                if min.is_nan() || max.is_nan() || min > max {
                    return Err(Refusal::malformed(format!("bounds {min} to {max}")));
                }
                // Exporters write the largest finite number for "no bound".
                let min = if min == f32::MIN { f32::NEG_INFINITY } else { min };
                let max = if max == f32::MAX { f32::INFINITY } else { max };
                Activation::Clip { min, max }
            }
            other => return Err(Refusal::unsupported(format!("{other} with these attributes"))),
        };
        let parameters = match activation {
            Activation::LeakyRelu { slope } => [slope, 0.0],
            Activation::HardSigmoid { alpha, beta } => [alpha, beta],
            _ => [0.0; 2],
        };
        if parameters.iter().any(|parameter| !parameter.is_finite()) {
            return Err(Refusal::malformed("an attribute that is not a finite number"));
        }
        Ok(self.builder.activation(&node.name, node.value(0)?, activation, None))
    }

    /// Functions that have no operator here but are steps of activations that have.
    pub(super) fn partial_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let exponent = match node.operator {
            "Pow" => {
                let exponent = node.required_constant(1)?.scalar();
                exponent
                    .map(f64::from)
                    .ok_or_else(|| Refusal::unsupported("an exponent that is not one value"))?
            }
            _ => 1.0,
        };
        if exponent == 2.0 {
            return self.builder.of_two(&node.name, Arithmetic::Mul, value, value, None);
        }
        let builder = &mut self.builder;
        Ok(match node.operator {
            "Erf" => builder.partial(&node.name, "Erf", value, erf),
            "Exp" => builder.partial(&node.name, "Exp", value, f64::exp),
            "Sqrt" => builder.partial(&node.name, "Sqrt", value, f64::sqrt),
            "Reciprocal" => builder.partial(&node.name, "Reciprocal", value, f64::recip),
            _ => builder.partial(&node.name, "Pow", value, |x| x.powf(exponent)),
        })
    }

    pub(super) fn arithmetic_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let arithmetic = match node.operator {
            "Add" | "Sum" => Arithmetic::Add,
            "Sub" => Arithmetic::Sub,
            "Mul" => Arithmetic::Mul,
            _ => Arithmetic::Div,
        };
        let mut entries = node.inputs.iter().flatten();
        let mut sum = entries.next().cloned().ok_or_else(|| Refusal::malformed("no operands"))?;
        for (index, entry) in entries.enumerate() {
            let value = match (&sum, entry) {
                (Entry::Value(left), Entry::Value(right)) => {
                    self.builder.of_two(&node.name, arithmetic, left, right, None)?
                }
                (Entry::Value(value), Entry::Constant(_)) => {
                    let constant =
                        node.weights(index + 1)?.ok_or_else(|| Refusal::malformed("no operand"))?;
                    self.builder.with_constant(&node.name, arithmetic, value, constant, false)?
                }
                (Entry::Constant(constant), Entry::Value(value)) => {
                    self.builder.with_constant(&node.name, arithmetic, value, constant, true)?
                }
                _ => return Err(Refusal::unsupported("a sum of constants among others")),
            };
            sum = Entry::Value(value);
        }
        match sum {
            Entry::Value(value) => Ok(value),
            Entry::Constant(_) => Err(Refusal::malformed("no tensor operand")),
        }
    }

    /// `Min` and `Max` with one scalar constant.
    pub(super) fn bound_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let (value, bound) = match node.inputs.as_slice() {
            [Some(Entry::Value(value)), Some(Entry::Constant(bound))]
            | [Some(Entry::Constant(bound)), Some(Entry::Value(value))] => (value, bound),
            _ => return Err(Refusal::unsupported("a minimum or maximum of tensors")),
        };
        let bound = bound.scalar().filter(|bound| !bound.is_nan());
        let bound = bound.ok_or_else(|| Refusal::unsupported("a bound that is not one number"))?;
        let activation = match node.operator {
            "Min" => Activation::Clip { min: f32::NEG_INFINITY, max: bound },
            _ => Activation::Clip { min: bound, max: f32::INFINITY },
        };
        Ok(self.builder.activation(&node.name, value, activation, None))
    }

    pub(super) fn prelu_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let slopes = node.weights(1)?.ok_or_else(|| Refusal::malformed("no slopes"))?;
        self.builder.prelu(&node.name, node.value(0)?, slopes)
    }

    pub(super) fn gemm(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        if value.layout.rank() != 2 {
            return Err(Refusal::malformed("a left operand that has not two axes"));
        }
        let flipped;
        let value = if node.int("transA", 0) != 0 {
            flipped = Value { tensor: value.tensor, layout: value.layout.transposed(&[1, 0]) };
            &flipped
        } else {
            value
        };
        let matrix = node.weights(1)?.ok_or_else(|| Refusal::malformed("no weights"))?;
        let transposed = node.int("transB", 0) != 0;
        let (weights, outputs) = self.matrix(matrix, transposed, value.layout.dims()[1])?;
        let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
        let bias = match node.weights(2)? {
            Some(bias) => bias
                .broadcast(&[1, outputs])
                .ok_or_else(|| {
                    Refusal::malformed(format!("a bias of shape {:?} for {outputs} outputs", bias.dims))
                })?
                .floats(),
            None => vec![0.0; outputs],
        };
        let weights = weights.into_iter().map(|weight| alpha * weight).collect();
        let bias = bias.into_iter().map(|bias| beta * bias).collect();
        self.builder.linear(&node.name, value, 1, Weights::Float(weights), Bias::Float(bias), None)
    }

    /// A product with a matrix of weights on either side, or of two tensors.
    pub(super) fn matmul(&mut self, node: &NodeView<'a>) -> Result<Value, Refusal> {
        if let Some(product) = self.product_of(node)? {
            let stored = self.builder.matmul(&node.name, &product);
            return Ok(stored);
        }
        let from_left = matches!(node.inputs.first(), Some(Some(Entry::Constant(_))));
        let (value, matrix) = if from_left { (1, 0) } else { (0, 1) };
        let value = node.value(value)?;
        let matrix = node.weights(matrix)?.ok_or_else(|| Refusal::malformed("no weights"))?;
        let axis = value
            .layout
            .rank()
            .checked_sub(1 + usize::from(from_left))
            .ok_or_else(|| Refusal::malformed("an operand with too few axes"))?;
        let (weights, outputs) = self.matrix(matrix, from_left, value.layout.dims()[axis])?;
        let bias = Bias::Float(vec![0.0; outputs]);
        self.builder.linear(&node.name, value, axis, Weights::Float(weights), bias, None)
    }

    /// Weights as `[outputs][inputs]`, from `[inputs, outputs]` or its transpose.
    fn matrix(
        &self,
        matrix: &Constant,
        transposed: bool,
        inputs: usize,
    ) -> Result<(Vec<f32>, usize), Refusal> {
        let (batch, shape) = matrix.dims.split_at(matrix.dims.len().saturating_sub(2));
        let &[rows, columns] = shape else {
            return Err(Refusal::unsupported(format!("weights of shape {:?}", matrix.dims)));
        };
        let (own_inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        if batch.iter().any(|&size| size != 1) || own_inputs != inputs {
            return Err(Refusal::malformed(format!(
                "weights of shape {:?} for {inputs} inputs",
                matrix.dims
            )));
        }
        let matrix = Constant::float(vec![rows, columns], matrix.floats());
        let rows = if transposed { matrix } else { matrix.transposed(&[1, 0]) };
        Ok((rows.floats(), outputs))
    }

    pub(super) fn batch_normalization(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        if node.int("training_mode", 0) != 0 {
            return Err(Refusal::new(
                "batch normalization in training mode",
                "export the network in evaluation mode",
            ));
        }
        let parameter = |index: usize| -> Result<Vec<f32>, Refusal> {
            Ok(node.weights(index)?.ok_or_else(|| Refusal::malformed("a parameter is missing"))?.floats())
        };
        let (gamma, beta, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let rank = value.layout.rank();
        let channels = *value.layout.dims().get(1).ok_or_else(|| Refusal::malformed("no channel axis"))?;
        if [&gamma, &beta, &mean, &variance].iter().any(|parameter| parameter.len() != channels) {
            return Err(Refusal::malformed(format!("parameters that do not fit {channels} channels")));
        }
        let epsilon = f64::from(node.float("epsilon", 1e-5));
        let scales: Vec<f32> = gamma
            .iter()
            .zip(&variance)
            .map(|(&gamma, &variance)| (f64::from(gamma) / (f64::from(variance) + epsilon).sqrt()) as f32)
            .collect();
        let offsets =
            beta.iter().zip(&mean).zip(&scales).map(|((beta, mean), scale)| beta - mean * scale).collect();
        let mut dims = vec![1; rank];
        dims[1] = channels;
        let scales = in_storage_order(&value.layout, &Constant::float(dims.clone(), scales))?;
        let offsets = in_storage_order(&value.layout, &Constant::float(dims, offsets))?;
        self.builder.affine(&node.name, value, scales, offsets)
    }

    /// `ReduceMean`, `ReduceSum` and `GlobalAveragePool`.
    pub(super) fn mean_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        if node.operator == "GlobalAveragePool" {
            return self.builder.mean(&node.name, value, &(2..rank).collect::<Vec<_>>(), None);
        }
        let Some(axes) = reduced_axes(node, rank)? else { return Ok(value.clone()) };
        let mut mean = self.builder.mean(&node.name, value, &axes, None)?;
        if node.operator == "ReduceSum" {
            let count = Activation::Affine { scale: value.layout.size(&axes) as f32, offset: 0.0 };
            mean = self.builder.activation(&format!("{}/sum", node.name), &mean, count, None);
        }
        if node.int("keepdims", 1) != 0 {
            return Ok(mean);
        }
        let dims = mean.layout.dims();
        let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect();
        Ok(self.builder.reshaped(&mean, &kept, &node.name))
    }

    pub(super) fn softmax_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let axes = softmax_axes(node, rank)?;
        Ok(self.builder.softmax(&node.name, value, &axes, 1.0, None))
    }

    /// `Expand` of a tensor that has that shape already.
    pub(super) fn expand_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let target = node.required_constant(1)?.ints()?;
        let dims = value.layout.dims();
        let layout = expanded(&value.layout, target.len().max(dims.len()))?;
        let dims = layout.dims();
        let own = &dims[dims.len() - target.len()..];
        if target.iter().zip(own).any(|(&target, &own)| target != 1 && target != own as i64) {
            return Err(Refusal::unsupported(format!("an expansion of {dims:?} to {target:?}")));
        }
        Ok(Value { tensor: value.tensor, layout })
    }
}

/// The axes of a `Softmax`: before operator set 13 those from `axis` on were flattened into one.
pub(super) fn softmax_axes(node: &NodeView<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    if node.opset < 13 {
        return Ok((node.axis(node.int("axis", 1), rank)?..rank).collect());
    }
    Ok(vec![node.axis(node.int("axis", -1), rank)?])
}

/// The axes of a reduction; `None` where there are none and the node does nothing.
pub(super) fn reduced_axes(node: &NodeView<'_>, rank: usize) -> Result<Option<Vec<usize>>, Refusal> {
    Ok(match node.axes("axes", 1, rank)? {
        Some(axes) if !axes.is_empty() => Some(axes),
        _ if node.int("noop_with_empty_axes", 0) != 0 => None,
        _ => Some((0..rank).collect()),
    })
}

fn erf(x: f64) -> f64 {
    // GELU(x) = x / 2 (1 + erf(x / sqrt 2)), so the graph's own GELU gives the error function.
    match x * std::f64::consts::SQRT_2 {
        0.0 => 0.0,
        y => 2.0 * Activation::Gelu.apply(y) / y - 1.0,
    }
}

/// What the operator set calls these; for the list in messages.
pub(super) const SUPPORTED: &str = "Conv, Gemm, MatMul, BatchNormalization, Add, Sub, Mul, Div, Sum, Relu, Clip, Min, Max, LeakyRelu, \
PRelu, Sigmoid, Tanh, HardSwish, HardSigmoid, Gelu, Swish, Softmax, AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceSum, \
LayerNormalization, GroupNormalization, InstanceNormalization, RMSNormalization, Einsum, Concat, Split, Slice, Gather, Pad, Col2Im, \
Reshape, Flatten, Squeeze, Unsqueeze, Transpose, QuantizeLinear, DequantizeLinear";
