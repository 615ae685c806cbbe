//! Normalization steps: factors and summands as the integers of `ocelli_kernels`.

use ocelli_format::Operator;
use ocelli_format::operator::NormQ32Record;
use ocelli_kernels::Q32Channel;
use ocelli_kernels::norm::EPSILON_BITS;

use super::lower::Lowering;
use crate::graph::{Norm, NormExtent};

/// Fraction bits of the output before it is rounded, at most: more change nothing.
const MOST_BITS: u32 = 14;

/// The least scale of the output of a norm over `count` values: multipliers and sums fit 32 bits.
pub(crate) fn least_scale(norm: &Norm, count: usize) -> f64 {
    let largest =
        |values: &[f32]| f64::from(values.iter().fold(0.0_f32, |most, value| most.max(value.abs())));
    let (gamma, beta) = (largest(&norm.gamma), largest(&norm.beta));
    // No value is more than sqrt(count) standard deviations off. Two fraction bits at least.
    (gamma * 18f64.exp2()).max(((count as f64).sqrt() * gamma + beta) * 4.0) / 30f64.exp2()
}

impl Lowering<'_, '_> {
    pub(super) fn norm(&mut self, norm: &Norm) -> Result<(), String> {
        let shape = self.graph.tensor(self.node.output).shape;
        let (input, output) = (self.input(0), self.result());
        let count = match norm.over {
            NormExtent::Channels => shape.channels,
            NormExtent::Map => shape.len(),
        };
        let scale = f64::from(output.scale);
        let deviations = (count as f64).sqrt();
        let reals: Vec<[f64; 2]> = norm
            .gamma
            .iter()
            .zip(&norm.beta)
            .map(|(&gamma, &beta)| {
                [f64::from(gamma) / scale, f64::from(beta) / scale + f64::from(output.zero_point)]
            })
            .collect();
        let fits = |&shift: &u32| {
            let unit = f64::from(shift).exp2();
            let limit = f64::from(i32::MAX);
            reals.iter().all(|[factor, summand]| {
                factor.abs() * unit * 16f64.exp2() < limit
                    && (factor.abs() * deviations + summand.abs() + 1.0) * unit < limit
            })
        };
        let shift =
            (1..=MOST_BITS).rev().find(fits).ok_or("its output's scale is too small for its factors")?;
        let unit = f64::from(shift).exp2();
        let channels: Vec<Q32Channel> = reals
            .iter()
            .map(|[factor, summand]| Q32Channel {
                bias: (summand * unit).round() as i32 + (1 << (shift - 1)),
                multiplier: (factor * unit * 16f64.exp2()).round() as i32,
            })
            .collect();
        let steps = (count as f64 / f64::from(input.scale)).powi(2) * f64::from(norm.epsilon);
        // Beyond 64 bits, the map's own variance is nothing beside it.
        let epsilon = (steps * f64::from(EPSILON_BITS).exp2()).round() as u64;
        let mut flags = if norm.centered { NormQ32Record::CENTERED } else { 0 };
        if norm.over == NormExtent::Map {
            flags |= NormQ32Record::MAP;
        }
        let record = NormQ32Record {
            channels: self.writer.weights(channels.as_slice()),
            epsilon: [epsilon as u32, (epsilon >> 32) as u32],
            shift,
            flags,
        };
        self.emit(Operator::NormQ32, &record)
    }
}
