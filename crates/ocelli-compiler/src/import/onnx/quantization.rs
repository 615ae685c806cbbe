//! `QuantizeLinear` and `DequantizeLinear`: of weights they are folded; of activations they become the tensor's scale and zero point.

use super::super::builder::Value;
use super::super::constant::{Constant, walk};
use super::super::error::Refusal;
use super::Importer;
use super::node::NodeView;
use crate::graph::{Activation, Operator, Quantization};

impl Importer<'_> {
    /// Either node of a pair around an activation.
    pub(super) fn quantization_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let scale = node.required_constant(1)?;
        let zero_point = node.constant(2)?;
        let Some(scale_value) = scale.scalar() else {
            return Err(Refusal::new(
                "an activation with more than one scale",
                "quantize activations per tensor, or import the float network and let Ocelli quantize it",
            ));
        };
        let (zero, is_uint8) = match zero_point {
            Some(constant) => match constant.ints()? {
                [zero] => (*zero, constant.is_uint8),
                _ => return Err(Refusal::malformed("a zero point of more than one element")),
            },
            None => (0, node.int("output_dtype", 2) == 2),
        };
        let zero = if is_uint8 { zero.saturating_sub(128) } else { zero };
        let Ok(zero_point) = i8::try_from(zero) else {
            return Err(Refusal::new(
                format!("a zero point of {zero}, outside 8 bits"),
                "quantize to int8 or uint8, or import the float network",
            ));
        };
        if !(scale_value.is_finite() && scale_value > 0.0) {
            return Err(Refusal::malformed(format!("a scale of {scale_value}")));
        }
        let quantization = Quantization { scale: scale_value, zero_point };
        match self.builder.graph.tensor(value.tensor).quantization {
            None => return Ok(self.saturated(node, value, quantization)),
            Some(own) if own == quantization => {}
            Some(_) => {
                let shape = self.builder.shape(value.tensor);
                let output = self.builder.emit(
                    &node.name,
                    Operator::Requantize,
                    vec![value.tensor],
                    shape,
                    Some(quantization),
                );
                return Ok(Value { tensor: output, layout: value.layout.clone() });
            }
        }
        Ok(value.clone())
    }

    /// The value under a scale and zero point. Quantizers leave a ReLU to the range that these can show, so the range is kept as a clip.
    fn saturated(&mut self, node: &NodeView<'_>, value: &Value, quantization: Quantization) -> Value {
        let graph = &mut self.builder.graph;
        graph.tensors[value.tensor.0].quantization = Some(quantization);
        let real = |steps: f32| quantization.scale * (steps - f32::from(quantization.zero_point));
        let (low, high) = (real(-128.0), real(127.0));
        let keeps_range = match graph.producer(value.tensor).map(|index| &mut graph.nodes[index].operator) {
            // An input is quantized by whoever feeds it; pooling and moving data stays within the range of what came in.
            None | Some(Operator::MaxPool(_) | Operator::Reshape | Operator::Transpose { .. }) => true,
            Some(Operator::Activation(Activation::Clip { min, max })) => {
                (*min, *max) = (min.max(low), max.min(high));
                true
            }
            Some(_) => false,
        };
        if keeps_range {
            return value.clone();
        }
        let clip = Activation::Clip { min: low, max: high };
        self.builder.activation(&format!("{}/range", node.name), value, clip, Some(quantization))
    }
}

/// Scale and zero point for each element of a constant.
fn parameters(node: &NodeView<'_>, constant: &Constant) -> Result<(Vec<f32>, Vec<f32>, bool), Refusal> {
    let scale = node.required_constant(1)?;
    let zero_point = node.constant(2)?;
    let spread = |parameter: &Constant| -> Result<Vec<f32>, Refusal> {
        let values = parameter.floats();
        if values.len() == 1 {
            return Ok(vec![values[0]; constant.len()]);
        }
        let axis = node.axis(node.int("axis", 1), constant.dims.len())?;
        if parameter.dims.len() != 1 || values.len() != constant.dims[axis] {
            return Err(Refusal::unsupported("scales that are neither one nor one a channel"));
        }
        let mut steps = vec![0; constant.dims.len()];
        steps[axis] = 1;
        Ok(walk(&constant.dims, &steps).into_iter().map(|index| values[index]).collect())
    };
    let zeros = zero_point.map_or_else(|| Ok(vec![0.0; constant.len()]), spread)?;
    Ok((spread(scale)?, zeros, zero_point.is_none_or(|constant| constant.is_uint8)))
}

pub(super) fn quantize_constant(node: &NodeView<'_>) -> Result<Constant, Refusal> {
    let constant = node.required_constant(0)?;
    let (scales, zeros, is_uint8) = parameters(node, constant)?;
    let (low, high) = if is_uint8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let values = constant
        .floats()
        .into_iter()
        .zip(scales)
        .zip(zeros)
        .map(|((value, scale), zero)| ((value / scale).round_ties_even() + zero).clamp(low, high) as i64);
    Ok(Constant { is_uint8, ..Constant::int(constant.dims.clone(), values.collect()) })
}

pub(super) fn dequantize_constant(node: &NodeView<'_>) -> Result<Constant, Refusal> {
    let constant = node.required_constant(0)?;
    let (scales, zeros, _) = parameters(node, constant)?;
    let values = constant
        .floats()
        .into_iter()
        .zip(scales)
        .zip(zeros)
        .map(|((value, scale), zero)| scale * (value - zero));
    Ok(Constant::float(constant.dims.clone(), values.collect()))
}
