//! Element-wise operators, means, softmax, concatenation, and conversions between types.

use super::super::builder::Value;
use super::super::constant::Constant;
use super::super::elementwise::Arithmetic;
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::Importer;
use super::node::{NodeView, Operand};
use super::tensors::TensorInfo;
use crate::graph::{Activation, Constant as GraphConstant, Operator, Quantization, QuantizedSlopes, Shape};

impl Importer<'_> {
    /// The activation fused into an operator, as a node of its own under the same quantization.
    pub(super) fn fused(
        &mut self,
        node: &NodeView<'_>,
        value: Value,
        field: usize,
    ) -> Result<Value, Refusal> {
        let (activation, suffix) = match node.option_byte(field)? {
            0 => return Ok(value),
            1 => (Activation::RELU, "relu"),
            2 => (Activation::Clip { min: -1.0, max: 1.0 }, "relu_n1_to_1"),
            3 => (Activation::RELU6, "relu6"),
            4 if !self.is_int8(&value) => (Activation::Tanh, "tanh"),
            other => return Err(Refusal::unsupported(format!("the fused activation number {other}"))),
        };
        let quantization = self.builder.graph.tensor(value.tensor).quantization;
        Ok(self.builder.activation(&format!("{}/{suffix}", node.name), &value, activation, quantization))
    }

    pub(super) fn activation(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let activation = match node.operator {
            "RELU" => Activation::RELU,
            "RELU6" => Activation::RELU6,
            "RELU_N1_TO_1" => Activation::Clip { min: -1.0, max: 1.0 },
            "RELU_0_TO_1" => Activation::Clip { min: 0.0, max: 1.0 },
            "LOGISTIC" => Activation::Sigmoid,
            "TANH" => Activation::Tanh,
            "HARD_SWISH" => Activation::HardSwish,
            "GELU" if node.option_byte(0)? != 0 => Activation::GeluTanh,
            "GELU" => Activation::Gelu,
            "NEG" => Activation::Affine { scale: -1.0, offset: 0.0 },
            _ => match node.option_float(0)? {
                slope if slope.is_finite() => Activation::LeakyRelu { slope },
                slope => return Err(Refusal::malformed(format!("a slope of {slope}"))),
            },
        };
        Ok(self.builder.activation(&node.name, node.value(0)?, activation, node.quantization()?))
    }

    pub(super) fn arithmetic(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let arithmetic = match node.operator {
            "ADD" => Arithmetic::Add,
            "SUB" => Arithmetic::Sub,
            "MUL" => Arithmetic::Mul,
            _ => Arithmetic::Div,
        };
        let quantization = node.quantization()?;
        let result = match (node.operand(0)?, node.operand(1)?, quantization) {
            (Operand::Value(_, left), Operand::Value(_, right), _) => {
                self.of_two(node, arithmetic, left, right, quantization)?
            }
            (Operand::Value(_, value), Operand::Constant(constant), None) => self.builder.with_constant(
                &node.name,
                arithmetic,
                value,
                &constant.real_weights(0)?,
                false,
            )?,
            (Operand::Constant(constant), Operand::Value(_, value), None) => {
                self.builder.with_constant(&node.name, arithmetic, value, &constant.real_weights(0)?, true)?
            }
            (Operand::Value(_, value), Operand::Constant(constant), _) => {
                let constant = self.int8_constant(&node.name, constant, &value.layout.dims())?;
                self.of_two(node, arithmetic, value, &constant, quantization)?
            }
            (Operand::Constant(constant), Operand::Value(_, value), _) => {
                let constant = self.int8_constant(&node.name, constant, &value.layout.dims())?;
                self.of_two(node, arithmetic, &constant, value, quantization)?
            }
            _ => return Err(Refusal::unsupported("arithmetic on constants only")),
        };
        self.fused(node, result, 0)
    }

    fn of_two(
        &mut self,
        node: &NodeView<'_>,
        arithmetic: Arithmetic,
        left: &Value,
        right: &Value,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let own = self.builder.graph.tensor(right.tensor).quantization;
        if let (Arithmetic::Sub, Some(own)) = (arithmetic, own) {
            // -1 - q stands for the negative of what q stands for, under the zero point -1 - zero_point; both always fit int8.
            let mirrored = Quantization { zero_point: -1 - own.zero_point, ..own };
            let negative = Activation::Affine { scale: -1.0, offset: 0.0 };
            let right =
                self.builder.activation(&format!("{}/negative", node.name), right, negative, Some(mirrored));
            return self.builder.of_two(&node.name, Arithmetic::Add, left, &right, quantization);
        }
        self.builder.of_two(&node.name, arithmetic, left, right, quantization)
    }

    /// An int8 constant as a tensor that broadcasts to `dims` over whole pixels or channels only.
    fn int8_constant(&mut self, name: &str, info: &TensorInfo<'_>, dims: &[usize]) -> Result<Value, Refusal> {
        let values = info.int8_data()?.into_iter().map(i64::from).collect();
        let mut constant = Constant::int(info.dims()?, values);
        let varying = (0..constant.dims.len()).filter(|&axis| constant.dims[axis] != 1);
        let is_row = varying.clone().all(|axis| axis + 1 == constant.dims.len());
        if !is_row && let Some(full) = constant.broadcast(dims) {
            constant = full;
        }
        let quantization = info.activation_quantization()?;
        self.constant_value(name, constant, quantization)
    }

    fn constant_value(
        &mut self,
        name: &str,
        constant: Constant,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let layout = Layout::in_file_order(&constant.dims);
        let operator = Operator::Constant(match quantization {
            Some(_) => GraphConstant::Int8(constant.ints()?.iter().map(|&value| value as i8).collect()),
            None => GraphConstant::Float(constant.floats()),
        });
        // Stored as the operator that reads it most likely wants it.
        let shape = match super::arrangement(layout.rank()) {
            Ok([h, w, c]) if layout.size(&[h, w, c].concat()) == layout.len() => {
                Shape::new(layout.size(h), layout.size(w), layout.size(c))
            }
            _ => Shape::new(1, 1, layout.len()),
        };
        let tensor =
            self.builder.emit(&format!("{name}/constant"), operator, Vec::new(), shape, quantization);
        Ok(Value { tensor, layout })
    }

    pub(super) fn bound(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let (value, bound) = match (node.operand(0)?, node.operand(1)?) {
            (Operand::Value(_, value), Operand::Constant(bound))
            | (Operand::Constant(bound), Operand::Value(_, value)) => (value, bound),
            _ => return Err(Refusal::unsupported("a minimum or maximum of two tensors")),
        };
        let bound = bound.constant()?.scalar().filter(|bound| !bound.is_nan());
        let bound = bound.ok_or_else(|| Refusal::unsupported("a bound that is not one number"))?;
        let activation = match node.operator {
            "MINIMUM" => Activation::Clip { min: f32::NEG_INFINITY, max: bound },
            _ => Activation::Clip { min: bound, max: f32::INFINITY },
        };
        Ok(self.builder.activation(&node.name, value, activation, node.quantization()?))
    }

    pub(super) fn prelu(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let info = node.required_constant(1)?;
        let slopes = info.constant()?;
        let Some(quantization) = node.quantization()? else {
            return self.builder.prelu(&node.name, value, &slopes);
        };
        let own = info.activation_quantization()?;
        let own = own.ok_or_else(|| Refusal::unsupported("float slopes on an int8 input"))?;
        let steps = slopes
            .broadcast_strides(&value.layout.dims())
            .ok_or_else(|| Refusal::malformed(format!("slopes of shape {:?}", slopes.dims)))?;
        let places = value.layout.gather(&steps);
        let (real, raw) = (slopes.floats(), info.int8_data()?);
        let shape = self.builder.shape(value.tensor);
        // Where slopes differ within a channel every element is a channel of its own.
        let per_channel = places.iter().zip(&places[shape.channels..]).all(|(a, b)| a == b);
        let flat = if per_channel { shape } else { Shape::new(1, 1, shape.len()) };
        let input = self.builder.reshape(value.tensor, flat, &node.name);
        let operator = Operator::PRelu {
            slopes: places[..flat.channels].iter().map(|&place| real[place]).collect(),
            quantized: Some(QuantizedSlopes {
                values: places[..flat.channels].iter().map(|&place| raw[place]).collect(),
                quantization: own,
            }),
        };
        let result = self.builder.emit(&node.name, operator, vec![input], flat, Some(quantization));
        let tensor = self.builder.reshape(result, shape, &node.name);
        Ok(Value { tensor, layout: value.layout.clone() })
    }

    pub(super) fn mean(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let axes = node
            .integers(1)?
            .into_iter()
            .map(|axis| super::axis(axis, rank))
            .collect::<Result<Vec<_>, _>>()?;
        let mean = self.builder.mean(&node.name, value, &axes, node.quantization()?)?;
        self.as_stated(node, &mean)
    }

    pub(super) fn softmax(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let beta = node.option_float(0)?;
        if !(beta.is_finite() && beta > 0.0) {
            return Err(Refusal::malformed(format!("a beta of {beta}")));
        }
        let last =
            value.layout.rank().checked_sub(1).ok_or_else(|| Refusal::malformed("an input without axes"))?;
        Ok(self.builder.softmax(&node.name, value, &[last], beta, node.quantization()?))
    }

    pub(super) fn concatenation(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let rank = node.output.dims()?.len();
        let axis = super::axis(i64::from(node.option_int(0, 0)?), rank)?;
        let mut values = Vec::with_capacity(node.operands.len());
        for index in 0..node.operands.len() {
            let value = match node.operand(index)? {
                Operand::Value(_, value) => value.clone(),
                Operand::Constant(info) if info.is_quantized() => {
                    let dims = info.dims()?;
                    let raw = Constant::int(dims, info.int8_data()?.into_iter().map(i64::from).collect());
                    self.constant_value(&node.name, raw, info.activation_quantization()?)?
                }
                Operand::Constant(info) => self.constant_value(&node.name, info.real_weights(0)?, None)?,
            };
            if value.layout.rank() != rank {
                return Err(Refusal::malformed("operands with different numbers of axes"));
            }
            values.push(value);
        }
        let quantization = node.quantization()?;
        let candidates = [super::arrangement(rank)?];
        let result = self.builder.concat(&node.name, &values, axis, &candidates, quantization)?;
        self.fused(node, result, 1)
    }

    pub(super) fn transpose(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let order = node
            .integers(1)?
            .into_iter()
            .map(|axis| super::axis(axis, rank))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(Refusal::malformed(format!("{order:?} is no order of {rank} axes")));
        }
        Ok(Value { tensor: value.tensor, layout: value.layout.transposed(&order) })
    }

    /// A value under the dimensions that the file states for the node's output (reshape, squeeze, a mean that drops its axes).
    pub(super) fn as_stated(&mut self, node: &NodeView<'_>, value: &Value) -> Result<Value, Refusal> {
        let dims = node.output.dims()?;
        if dims.iter().product::<usize>() != value.layout.len() {
            return Err(Refusal::malformed(format!(
                "the output '{}' is {dims:?}, where {:?} is computed",
                node.output.name,
                value.layout.dims()
            )));
        }
        Ok(self.builder.reshaped(value, &dims, &node.name))
    }

    /// `QUANTIZE`: at the input of a network with float edges it vanishes, between int8 tensors it rescales.
    pub(super) fn quantize(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let quantization = node.quantization()?;
        let quantization = quantization.ok_or_else(|| Refusal::malformed("an output that is not int8"))?;
        let is_input = self.builder.graph.inputs.contains(&value.tensor);
        let tensor = &mut self.builder.graph.tensors[value.tensor.0];
        match tensor.quantization {
            Some(own) if own == quantization => Ok(value.clone()),
            None if is_input => {
                tensor.quantization = Some(quantization);
                Ok(value.clone())
            }
            None => Err(Refusal::new(
                "int8 after a float operator",
                "convert the whole network to int8, or none of it",
            )),
            Some(_) => {
                let shape = tensor.shape;
                let output = self.builder.emit(
                    &node.name,
                    Operator::Requantize,
                    vec![value.tensor],
                    shape,
                    Some(quantization),
                );
                Ok(Value { tensor: output, layout: value.layout.clone() })
            }
        }
    }
}
