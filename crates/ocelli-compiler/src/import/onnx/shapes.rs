//! Operators that only change how a tensor is seen, and concatenation.

use super::super::builder::Value;
use super::super::constant::bounded_count;
use super::super::error::Refusal;
use super::Importer;
use super::node::{Entry, NodeView};

/// The dimensions after a `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze` of a tensor of `dims`.
pub(super) fn new_dims(node: &NodeView<'_>, dims: &[usize]) -> Result<Vec<usize>, Refusal> {
    match node.operator {
        "Flatten" => {
            let axis = match node.int("axis", 1) {
                axis if axis == dims.len() as i64 => dims.len(),
                axis => node.axis(axis, dims.len())?,
            };
            Ok(vec![dims[..axis].iter().product(), dims[axis..].iter().product()])
        }
        "Squeeze" => {
            let axes = match node.axes("axes", 1, dims.len())? {
                Some(axes) => axes,
                None => (0..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
            };
            if let Some(&axis) = axes.iter().find(|&&axis| dims[axis] != 1) {
                return Err(Refusal::malformed(format!("axis {axis} of size {} cannot go", dims[axis])));
            }
            Ok((0..dims.len()).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect())
        }
        "Unsqueeze" => {
            let count = node.ints("axes").map(<[i64]>::len);
            let count = match count {
                Some(count) => count,
                None => node.required_constant(1)?.len(),
            };
            let rank = dims.len() + count;
            let axes = node.axes("axes", 1, rank)?.unwrap_or_default();
            if axes.len() != count {
                return Err(Refusal::malformed("an axis named twice"));
            }
            let mut rest = dims.iter().copied();
            Ok((0..rank)
                .map(|axis| if axes.contains(&axis) { 1 } else { rest.next().unwrap_or(1) })
                .collect())
        }
        _ => {
            let target = node.required_constant(1)?.ints()?.to_vec();
            reshape_dims(node, dims, &target)
        }
    }
}

fn reshape_dims(node: &NodeView<'_>, dims: &[usize], target: &[i64]) -> Result<Vec<usize>, Refusal> {
    let bad = || Refusal::malformed(format!("cannot reshape {dims:?} to {target:?}"));
    let keep_zero = node.int("allowzero", 0) == 0;
    let mut result = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, &size) in target.iter().enumerate() {
        result.push(match size {
            0 if keep_zero => *dims.get(axis).ok_or_else(bad)?,
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            size => usize::try_from(size).map_err(|_| bad())?,
        });
    }
    let total: usize = dims.iter().product();
    let known = result.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).ok_or_else(bad)?;
    match open {
        Some(axis) => {
            result[axis] = total.checked_div(known).filter(|size| size * known == total).ok_or_else(bad)?;
        }
        // A batch of more than one is refused at the input; exporters may still have written the batch they saw.
        None if known == total => {}
        None => return Err(bad()),
    }
    bounded_count(&result)?;
    Ok(result)
}

/// The order of axes of a `Transpose`.
pub(super) fn permutation(node: &NodeView<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    let order = match node.ints("perm") {
        Some(order) => order.iter().map(|&axis| node.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(Refusal::malformed(format!("{order:?} is no order of {rank} axes")));
    }
    Ok(order)
}

impl Importer<'_> {
    /// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`.
    pub(super) fn reshape_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let dims = new_dims(node, &value.layout.dims())?;
        Ok(self.builder.reshaped(value, &dims, &node.name))
    }

    pub(super) fn transpose_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let order = permutation(node, value.layout.rank())?;
        Ok(Value { tensor: value.tensor, layout: value.layout.transposed(&order) })
    }

    /// `Resize` to the size that the tensor has.
    pub(super) fn resize_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let dims = value.layout.dims();
        let sizes: Vec<i64> = match (node.constant(3)?, node.constant(2)?) {
            (Some(sizes), _) if sizes.len() > 0 => sizes.ints()?.to_vec(),
            (_, Some(scales)) if scales.len() == dims.len() => {
                scales.floats().iter().zip(&dims).map(|(&scale, &dim)| (scale * dim as f32) as i64).collect()
            }
            _ => return Err(Refusal::malformed("neither sizes nor scales")),
        };
        if sizes.iter().map(|&size| size as usize).ne(dims.iter().copied()) {
            return Err(Refusal::new(
                format!("a change of size from {dims:?} to {sizes:?}"),
                "feed the network at a size that needs none, for MobileViT a multiple of its patches",
            ));
        }
        Ok(value.clone())
    }

    pub(super) fn concat_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let rank = match node.inputs.first() {
            Some(Some(Entry::Value(value))) => value.layout.rank(),
            Some(Some(Entry::Constant(constant))) => constant.dims.len(),
            _ => return Err(Refusal::malformed("no operands")),
        };
        let axis = node.axis(node.int("axis", 0), rank)?;
        let mut values = Vec::new();
        for entry in node.inputs.iter().flatten() {
            values.push(match entry {
                Entry::Value(value) if value.layout.rank() == rank => value.clone(),
                Entry::Constant(constant) if constant.dims.len() == rank => self.as_value(node, entry),
                _ => return Err(Refusal::malformed("operands with different numbers of axes")),
            });
        }
        let candidates = super::arrangements(rank);
        self.builder.concat(&node.name, &values, axis, &candidates, None)
    }
}
