//! Nodes that are a whole norm.

use super::super::builder::Value;
use super::super::constant::Constant;
use super::super::elementwise::in_storage_order;
use super::super::error::Refusal;
use super::super::maps::window_number;
use super::super::norm::Normalization;
use super::Importer;
use super::node::NodeView;

impl Importer<'_> {
    /// `LayerNormalization` and norms by the mean square alone.
    pub(super) fn layer_norm_node(&mut self, node: &NodeView<'_>, centered: bool) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        if node.proto.output.iter().skip(1).any(|name| !name.is_empty()) {
            return Err(Refusal::unsupported("the mean and deviation as outputs"));
        }
        let axes: Vec<usize> = (node.axis(node.int("axis", -1), rank)?..rank).collect();
        let dims = value.layout.dims()[axes[0]..].to_vec();
        self.norm(node, value, &axes, centered, &dims)
    }

    /// `InstanceNormalization`: each channel over its pixels.
    pub(super) fn instance_norm_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let dims = value.layout.dims();
        if dims.len() < 3 {
            return Err(Refusal::malformed(format!("an instance norm of shape {dims:?}")));
        }
        let axes: Vec<usize> = (2..dims.len()).collect();
        let parameters: Vec<usize> =
            (1..dims.len()).map(|axis| if axis == 1 { dims[1] } else { 1 }).collect();
        self.norm(node, value, &axes, true, &parameters)
    }

    /// `GroupNormalization`: a group of channels over all pixels. Its parameters are a group's up to operator set 20, a channel's after.
    pub(super) fn group_norm_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let dims = value.layout.dims();
        let groups = window_number(node.int("num_groups", 0), "num_groups")?;
        let channels = *dims.get(1).ok_or_else(|| Refusal::malformed("no channel axis"))?;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Refusal::malformed(format!("{groups} groups of {channels} channels")));
        }
        let grouped = [dims[0], groups, value.layout.len() / (dims[0] * groups)];
        let value = self.builder.reshaped(value, &grouped, &node.name);
        let normal = self.builder.normalization(&node.name, &value, &[2], &normalization(node, true)?);
        let normal = self.builder.reshaped(&normal, &dims, &node.name);
        let parameter = |index: usize| -> Result<Constant, Refusal> {
            let constant =
                node.weights(index)?.ok_or_else(|| Refusal::malformed("a parameter is missing"))?;
            let values = constant.floats();
            if values.len() != groups && values.len() != channels {
                return Err(Refusal::malformed(format!(
                    "{} parameters for {channels} channels",
                    values.len()
                )));
            }
            let each = channels / values.len();
            let mut shape = vec![1; dims.len() - 1];
            shape[0] = channels;
            let values = values.iter().flat_map(|&value| std::iter::repeat_n(value, each)).collect();
            Ok(Constant::float(shape, values))
        };
        self.scaled(node, &normal, Some(&parameter(1)?), Some(&parameter(2)?))
    }

    fn norm(
        &mut self,
        node: &NodeView<'_>,
        value: &Value,
        axes: &[usize],
        centered: bool,
        dims: &[usize],
    ) -> Result<Value, Refusal> {
        let parameter = |index: usize| -> Result<Option<Constant>, Refusal> {
            let Some(constant) = node.weights(index)? else { return Ok(None) };
            if constant.len() != dims.iter().product::<usize>() {
                return Err(Refusal::malformed(format!(
                    "a parameter of shape {:?} where {dims:?} is needed",
                    constant.dims
                )));
            }
            Ok(Some(Constant::float(dims.to_vec(), constant.floats())))
        };
        let (factors, summands) = (parameter(1)?, parameter(2)?);
        let normal = self.builder.normalization(&node.name, value, axes, &normalization(node, centered)?);
        self.scaled(node, &normal, factors.as_ref(), summands.as_ref())
    }

    fn scaled(
        &mut self,
        node: &NodeView<'_>,
        value: &Value,
        factors: Option<&Constant>,
        summands: Option<&Constant>,
    ) -> Result<Value, Refusal> {
        let stored = |constant: Option<&Constant>, neutral: f32| match constant {
            Some(constant) => in_storage_order(&value.layout, constant),
            None => Ok(vec![neutral; value.layout.len()]),
        };
        let name = format!("{}/scale", node.name);
        self.builder.affine(&name, value, stored(factors, 1.0)?, stored(summands, 0.0)?)
    }
}

fn normalization(node: &NodeView<'_>, centered: bool) -> Result<Normalization, Refusal> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    if !(epsilon.is_finite() && epsilon > 0.0) {
        return Err(Refusal::new(format!("epsilon {epsilon}"), "export with the usual epsilon of 1e-5"));
    }
    Ok(Normalization { centered, factor: 1.0, epsilon })
}
