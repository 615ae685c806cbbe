//! Steps of norms: reductions, and arithmetic with what they reduce. `norm.rs` knows the whole.

use super::super::builder::Value;
use super::super::elementwise::Arithmetic;
use super::super::formula::Formula;
use super::super::layout::Layout;
use super::super::norm;
use super::Importer;
use super::deferred::{Meaning, Stop};
use super::node::{Entry, NodeView};
use crate::graph::TensorId;

/// A tensor as a function of the rows of another.
#[derive(Clone)]
pub(super) struct Row {
    formula: Formula,
    /// The tensors that went in, any of which may be what is normalized.
    tensors: Vec<TensorId>,
    /// What was reduced first, and along which axes; all of `tensors` are stored like it.
    base: Value,
    axes: Vec<usize>,
    /// The layout over the storage of `base`, in which a reduced tensor has no place along its rows.
    layout: Layout,
    is_reduced: bool,
}

impl Row {
    fn then(mut self, function: impl Fn(f64) -> f64) -> Self {
        self.formula = self.formula.then(function);
        self
    }

    /// With another tensor, where rows meet rows.
    fn with(mut self, other: &Self, arithmetic: Arithmetic) -> Option<Self> {
        let rank = self.layout.rank().max(other.layout.rank());
        let widened = |layout: &Layout| {
            let mut dims = vec![1; rank - layout.rank()];
            dims.extend(layout.dims());
            layout.reshaped(&dims)
        };
        let (own, others) = (widened(&self.layout)?, widened(&other.layout)?);
        let axes_meet = (0..rank).all(|axis| {
            let (a, b) = (own.factors_of(&[axis]), others.factors_of(&[axis]));
            a == b || (a.is_empty() && self.is_reduced) || (b.is_empty() && other.is_reduced)
        });
        if own.factor_sizes() != others.factor_sizes() || self.axes != other.axes || !axes_meet {
            return None;
        }
        self.formula = self.formula.with(&other.formula, |a, b| arithmetic.apply(a, b))?;
        self.tensors.extend(&other.tensors);
        self.layout = if self.is_reduced { others } else { own };
        self.is_reduced &= other.is_reduced;
        Some(self)
    }
}

impl<'a> Importer<'a> {
    fn row(&self, value: &Value) -> Option<Row> {
        match self.meaning(value.tensor)? {
            Meaning::Row(row) => Some(Row { layout: row.layout.through(&value.layout)?, ..row.clone() }),
            _ => None,
        }
    }

    /// A tensor that is computed, as the variable that `other` is of.
    fn whole(&self, value: &Value, other: &Row) -> Option<Row> {
        let computed = !self.deferred.contains_key(&value.tensor);
        computed.then(|| Row {
            formula: self.builder.formula(value),
            tensors: vec![value.tensor],
            base: other.base.clone(),
            axes: other.axes.clone(),
            layout: value.layout.clone(),
            is_reduced: false,
        })
    }

    /// A mean or sum over some axes.
    pub(super) fn reduction_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let Some(Some(Entry::Value(value))) = node.inputs.first() else { return Ok(None) };
        let rank = value.layout.rank();
        let Some(axes) = super::math::reduced_axes(node, rank)? else { return Ok(None) };
        let row = match self.row(value) {
            Some(row) => row,
            None if self.deferred.contains_key(&value.tensor) => return Ok(None),
            None => Row {
                formula: self.builder.formula(value),
                tensors: vec![value.tensor],
                base: value.clone(),
                axes: axes.clone(),
                layout: value.layout.clone(),
                is_reduced: false,
            },
        };
        let sorted = |layout: &Layout, axes: &[usize]| {
            let mut factors = layout.factors_of(axes);
            factors.sort_unstable();
            factors
        };
        let rows_differ = sorted(&row.layout, &axes) != sorted(&row.base.layout, &row.axes)
            || row.layout.factor_sizes() != row.base.layout.factor_sizes();
        if row.is_reduced || rows_differ {
            return Ok(None);
        }
        let count = row.layout.size(&axes) as f64;
        let mean = |row: &[f64]| row.iter().sum::<f64>() / row.len() as f64;
        let squares = |row: &[f64]| count * row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
        let formula = match node.operator {
            "ReduceMean" => row.formula.reduced(mean),
            "ReduceSum" => row.formula.reduced(|row| count * mean(row)),
            "ReduceL2" => row.formula.reduced(|row| squares(row).sqrt()),
            _ => row.formula.reduced(squares),
        };
        let mut layout = row.layout.without(&axes);
        if node.int("keepdims", 1) == 0 {
            layout = layout.transposed(&(0..rank).filter(|axis| !axes.contains(axis)).collect::<Vec<_>>());
        }
        let dims = layout.dims();
        let row = Row { formula, layout, is_reduced: true, ..row };
        Ok(Some(self.defer(node, Meaning::Row(row), &dims)))
    }

    /// Arithmetic with rows; the last step of a norm gives it.
    pub(super) fn row_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let Some(row) = self.row_arithmetic(node) else { return Ok(None) };
        if !row.is_reduced {
            for &tensor in row.tensors.iter().rev() {
                let base = Value { tensor, layout: row.base.layout.clone() };
                let Some(found) = norm::recognise(&self.builder.formula(&base), &row.formula) else {
                    continue;
                };
                let result = self.builder.normalization(&node.name, &base, &row.axes, &found);
                if result.layout == base.layout {
                    return Ok(Some(Value { tensor: result.tensor, layout: row.layout }));
                }
                if row.layout == base.layout {
                    return Ok(Some(result));
                }
            }
        }
        let dims = row.layout.dims();
        Ok(Some(self.defer(node, Meaning::Row(row), &dims)))
    }

    fn row_arithmetic(&self, node: &NodeView<'_>) -> Option<Row> {
        let arithmetic = match node.operator {
            "Add" => Some(Arithmetic::Add),
            "Sub" => Some(Arithmetic::Sub),
            "Mul" => Some(Arithmetic::Mul),
            "Div" => Some(Arithmetic::Div),
            _ => None,
        };
        match node.inputs.as_slice() {
            [Some(Entry::Value(first)), Some(Entry::Value(second))] => {
                let (first, second) = match (self.row(first), self.row(second)) {
                    (Some(first), Some(second)) => (first, second),
                    (Some(row), None) => (row.clone(), self.whole(second, &row)?),
                    (None, Some(row)) => (self.whole(first, &row)?, row),
                    (None, None) => return None,
                };
                first.with(&second, arithmetic?)
            }
            [Some(Entry::Value(value)), Some(Entry::Constant(constant))] => {
                let (row, number) = (self.row(value)?, f64::from(constant.scalar()?));
                let keeps_rank = constant.dims.len() <= value.layout.rank();
                match node.operator {
                    "Pow" => Some(row.then(|x| x.powf(number))),
                    "Max" | "Clip" => Some(row.then(|x| x.max(number))),
                    _ => {
                        let arithmetic = arithmetic?;
                        Some(row.then(|x| arithmetic.apply(x, number)))
                    }
                }
                .filter(|_| keeps_rank)
            }
            [Some(Entry::Constant(constant)), Some(Entry::Value(value))] => {
                let (row, number) = (self.row(value)?, f64::from(constant.scalar()?));
                let (arithmetic, keeps_rank) = (arithmetic?, constant.dims.len() <= value.layout.rank());
                Some(row.then(|x| arithmetic.apply(number, x))).filter(|_| keeps_rank)
            }
            [Some(Entry::Value(value))] => {
                let row = self.row(value)?;
                match node.operator {
                    "Sqrt" => Some(row.then(f64::sqrt)),
                    "Reciprocal" => Some(row.then(f64::recip)),
                    "Neg" => Some(row.then(|x| -x)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
