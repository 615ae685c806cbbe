//! Recognises normalizations that a file spells out (means, differences, squares, a root), as `formula.rs` does activations.
//!
//! A step from one tensor, reduced along some of its axes, is a function of a whole row of it. It is sampled on a few rows. Whatever the order
//! of the steps, `g * (x - mean) / sqrt(variance + epsilon)` is known by its values: the squared ratio of `x - mean` to the result is
//! linear in the row's variance, which gives `g` and `epsilon`.

use super::builder::{Builder, Value};
use super::formula::{Formula, rows};
use crate::graph::{Norm, NormExtent, Operator};

/// A normalization without its parameters a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Normalization {
    pub centered: bool,
    pub factor: f64,
    pub epsilon: f64,
}

/// Smallest epsilon: a norm that has none (division by a length) is 0 for rows of zeros instead of not a number.
const MIN_EPSILON: f64 = 1e-12;

/// `result` as a normalization of the rows of `base`.
pub(super) fn recognise(base: &Formula, result: &Formula) -> Option<Normalization> {
    (base.root == result.root).then_some(())?;
    [true, false].into_iter().find_map(|centered| matching(base.values(), result.values(), centered))
}

fn matching(base: &[f64], result: &[f64], centered: bool) -> Option<Normalization> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // Of each row: its values without the mean, their mean square, the results.
    let all: Vec<(Vec<f64>, f64, &[f64])> = rows()
        .map(|range| {
            let row = &base[range.clone()];
            let shift = if centered { mean(row) } else { 0.0 };
            let parts: Vec<f64> = row.iter().map(|value| value - shift).collect();
            let square = mean(&parts.iter().map(|part| part * part).collect::<Vec<_>>());
            (parts, square, &result[range])
        })
        .collect();
    // The squared ratio at the largest value of a row.
    let mut points: Vec<(f64, f64, f64)> = all
        .iter()
        .filter_map(|(parts, square, results)| {
            let (part, value) = parts.iter().zip(*results).max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))?;
            (*part != 0.0 && *value != 0.0).then(|| (*square, (part / value).powi(2), part / value))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (points.first()?, points.last()?);
    let slope = (last.1 - first.1) / (last.0 - first.0);
    // Of rows of different variance there must be two.
    if !(slope.is_finite() && slope > 1e-12 && last.0 > 1.5 * first.0) {
        return None;
    }
    let epsilon = (first.1 / slope - first.0).max(MIN_EPSILON);
    let factor = first.2.signum() / slope.sqrt();
    let fits = all.iter().all(|(parts, square, results)| {
        let root = (square + epsilon).sqrt();
        parts.iter().zip(*results).all(|(part, value)| {
            let expected = factor * part / root;
            (value - expected).abs() <= 2e-6 * (factor.abs() + expected.abs())
        })
    });
    fits.then_some(Normalization { centered, factor, epsilon })
}

impl Builder {
    /// Normalization over some axes together. The result has the value's dimensions.
    pub fn normalization(
        &mut self,
        name: &str,
        value: &Value,
        axes: &[usize],
        normalization: &Normalization,
    ) -> Value {
        let whole = value.layout.factors_of(axes).len() == value.layout.factor_sizes().len();
        let over = if whole && self.shape(value.tensor).pixels() > 1 {
            NormExtent::Map
        } else {
            NormExtent::Channels
        };
        let input = match over {
            NormExtent::Map => value.clone(),
            NormExtent::Channels => self.with_innermost(value, axes, name),
        };
        let shape = self.shape(input.tensor);
        let operator = Operator::Norm(Norm {
            centered: normalization.centered,
            over,
            epsilon: normalization.epsilon as f32,
            gamma: vec![normalization.factor as f32; shape.channels],
            beta: vec![0.0; shape.channels],
        });
        let tensor = self.emit(name, operator, vec![input.tensor], shape, None);
        Value { tensor, layout: input.layout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TensorId;

    fn mean(row: &[f64]) -> f64 {
        row.iter().sum::<f64>() / row.len() as f64
    }

    #[test]
    fn norms_are_recognised_with_their_epsilon() {
        for epsilon in [1e-12, 1e-6, 1e-3, 0.5] {
            let x = Formula::identity(TensorId(0));
            let centered = x.with(&x.reduced(mean), |x, mean| x - mean).unwrap();
            assert_eq!(recognise(&x, &centered), None);
            let variance = centered.then(|d| d * d).reduced(mean);
            let normal = centered.with(&variance, |d, v| -0.5 * d / (v + epsilon).sqrt()).unwrap();
            let found = recognise(&x, &normal).unwrap();
            assert!(found.centered && (found.factor + 0.5).abs() < 1e-9, "{found:?}");
            assert!((found.epsilon - epsilon).abs() < 1e-3 * epsilon, "{found:?}");
            let square = x.then(|x| x * x).reduced(mean);
            let rms = x.with(&square, |x, s| x / (s + epsilon).sqrt()).unwrap();
            let found = recognise(&x, &rms).unwrap();
            assert!(!found.centered && (found.epsilon - epsilon).abs() < 1e-3 * epsilon, "{found:?}");
            let outside = centered.with(&variance, |d, v| d / (v.sqrt() + 0.1)).unwrap();
            assert_eq!(recognise(&x, &outside), None, "epsilon outside the root is another function");
        }
    }

    #[test]
    fn the_norm_of_a_function_of_the_root_is_recognised() {
        let x = Formula::identity(TensorId(0)).then(|x| x.max(0.0));
        let square = x.then(|x| x * x).reduced(mean);
        let rms = x.with(&square, |x, s| x / (s + 1e-5).sqrt()).unwrap();
        assert!(recognise(&x, &rms).is_some());
        assert_eq!(recognise(&Formula::identity(TensorId(0)), &rms), None);
    }
}
