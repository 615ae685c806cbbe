//! Recognises activations that a file spells out as a chain of simpler steps (`x * clip(x + 3, 0, 6) / 6` is hard-swish).
//!
//! A chain of element-wise steps from one tensor is a function of one variable. It is sampled, step by step, and compared with the
//! activations that Ocelli has; so every way to spell one is recognised, whatever the order of the steps.

use crate::graph::{Activation, TensorId};

/// Points that tell the activations apart: dense where they bend, and both tails.
const SAMPLES: usize = 83;

/// A tensor as a function of another.
#[derive(Clone, Debug)]
pub(super) struct Formula {
    /// The variable.
    pub root: TensorId,
    /// The function at the sample points.
    values: Vec<f64>,
}

fn points() -> impl Iterator<Item = f64> {
    (0..SAMPLES).map(|index| (index as f64 - 41.0) * 0.2437)
}

/// The sample points as rows, for functions of a whole row (means, variances): rows of different lengths have different variances.
pub(super) fn rows() -> impl Iterator<Item = std::ops::Range<usize>> {
    const LENGTHS: [usize; 12] = [2, 13, 3, 12, 4, 11, 5, 10, 6, 9, 5, 3];
    const { assert!(2 + 13 + 3 + 12 + 4 + 11 + 5 + 10 + 6 + 9 + 5 + 3 == SAMPLES) };
    LENGTHS.iter().scan(0, |start, length| {
        let row = *start..*start + length;
        *start = row.end;
        Some(row)
    })
}

impl Formula {
    /// A tensor as the function `x` of itself.
    pub fn identity(root: TensorId) -> Self {
        Self { root, values: points().collect() }
    }

    /// `function` of this.
    pub fn then(&self, function: impl Fn(f64) -> f64) -> Self {
        Self { root: self.root, values: self.values.iter().map(|&value| function(value)).collect() }
    }

    /// `function` of this and another function of the same variable.
    pub fn with(&self, other: &Self, function: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let values = self.values.iter().zip(&other.values).map(|(&a, &b)| function(a, b)).collect();
        (self.root == other.root).then_some(Self { root: self.root, values })
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Each value replaced by `reduce` of its row of the sample ([`rows`]).
    pub fn reduced(&self, reduce: impl Fn(&[f64]) -> f64) -> Self {
        let row = |range: std::ops::Range<usize>| {
            let row = &self.values[range];
            std::iter::repeat_n(reduce(row), row.len())
        };
        Self { root: self.root, values: rows().flat_map(row).collect() }
    }

    /// The activation that this equals.
    pub fn recognise(&self) -> Option<Activation> {
        let known = [
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::HardSwish,
            Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        ];
        known.into_iter().find(|activation| {
            points().zip(&self.values).all(|(x, &value)| {
                let expected = activation.apply(x);
                (value - expected).abs() <= 2e-6 * (1.0 + expected.abs())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_out_activations_are_recognised() {
        let x = Formula::identity(TensorId(0));
        let swish = x.then(|x| (x + 3.0).clamp(0.0, 6.0)).with(&x, |a, b| a * b).unwrap();
        assert_eq!(swish.recognise(), None);
        assert_eq!(swish.then(|x| x / 6.0).recognise(), Some(Activation::HardSwish));
        let sigmoid = x.then(|x| 1.0 / (1.0 + (-x).exp()));
        assert_eq!(sigmoid.with(&x, |a, b| a * b).unwrap().recognise(), Some(Activation::Silu));
        let quick = x.then(|x| x / (1.0 + (-1.702 * x).exp()));
        assert_eq!(quick.recognise(), None, "the sigmoid approximation of GELU is another function");
        assert!(x.with(&Formula::identity(TensorId(1)), |a, b| a * b).is_none());
    }
}
