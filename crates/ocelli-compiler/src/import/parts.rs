//! Parts of tensors along one axis.

use super::builder::{Builder, Value};
use super::error::Refusal;
use crate::graph::{Activation, Axis, Operator, Shape};

impl Builder {
    /// `size` elements from `start` on along an axis of the file.
    pub fn part(
        &mut self,
        name: &str,
        value: &Value,
        axis: usize,
        start: usize,
        size: usize,
    ) -> Result<Value, Refusal> {
        let whole = value.layout.size(&[axis]);
        if size == 0 || start + size > whole {
            return Err(Refusal::malformed(format!("elements {start} to {} of {whole}", start + size)));
        }
        if size == whole {
            return Ok(value.clone());
        }
        let value = self.with_one_factor(value, axis, name)?;
        let factors = value.layout.factors_of(&[axis]);
        let &[factor] = factors.as_slice() else {
            return Err(Refusal::unsupported("part of an axis that is stored in pieces"));
        };
        let sizes = value.layout.factor_sizes();
        let inner: usize = sizes[factor + 1..].iter().product();
        let outer: usize = sizes[..factor].iter().product();
        let own = self.shape(value.tensor);
        // The map's own shape serves where the part is one of rows, columns or channels.
        let row = own.width * own.channels;
        let (shape, axis_of_map, unit) = if own.channels == whole * inner {
            (own, Axis::Channels, inner)
        } else if row == whole * inner && inner.is_multiple_of(own.channels) {
            (own, Axis::Width, inner / own.channels)
        } else if own.len() == whole * inner && inner.is_multiple_of(row) {
            (own, Axis::Height, inner / row)
        } else if inner == 1 {
            (Shape::new(1, outer, whole), Axis::Channels, 1)
        } else {
            (Shape::new(outer, whole, inner), Axis::Width, 1)
        };
        let tensor = self.reshape(value.tensor, shape, name);
        let mut result = shape;
        match axis_of_map {
            Axis::Height => result.height = size * unit,
            Axis::Width => result.width = size * unit,
            Axis::Channels => result.channels = size * unit,
        }
        let operator = Operator::Slice { axis: axis_of_map, start: start * unit };
        let quantization = self.graph.tensor(tensor).quantization;
        let tensor = self.emit(name, operator, vec![tensor], result, quantization);
        Ok(Value { tensor, layout: value.layout.cut(factor, size) })
    }

    /// The value with an axis that is one factor of the storage, moved together where it is not.
    fn with_one_factor(&mut self, value: &Value, axis: usize, name: &str) -> Result<Value, Refusal> {
        let layout = &value.layout;
        let factors = layout.factors_of(&[axis]);
        if factors.len() == 1 {
            return Ok(value.clone());
        }
        let place = factors.iter().copied().min().unwrap_or(0);
        let count = layout.factor_sizes().len();
        let others = |range: std::ops::Range<usize>| range.filter(|factor| !factors.contains(factor));
        let order: Vec<usize> =
            others(0..place).chain(factors.iter().copied()).chain(others(place..count)).collect();
        let stored = self.store(value, &order, self.shape(value.tensor), name);
        let layout = stored.layout.reshaped(&stored.layout.dims());
        let layout =
            layout.ok_or_else(|| Refusal::unsupported("part of an axis that is stored in pieces"))?;
        Ok(Value { tensor: stored.tensor, layout })
    }

    /// The value without a factor that the file multiplies it by, and that factor.
    pub fn unscaled(&self, value: &Value) -> (Value, f64) {
        let mut value = value.clone();
        let mut factor = 1.0;
        while let Some(node) = self.graph.producer(value.tensor).map(|index| &self.graph.nodes[index]) {
            let Operator::Activation(Activation::Affine { scale, offset: 0.0 }) = node.operator else {
                break;
            };
            factor *= f64::from(scale);
            value.tensor = node.inputs[0];
        }
        (value, factor)
    }
}
