//! Weights of an output channel rounded where some places matter more than others.
//!
//! What a clip behind a convolution cuts off needs no precision, and where the function behind it is flat, little: an error at a place counts as
//! much as the function is steep there. Folded batch norms leave channels of which most values are clipped; their weights' few steps are
//! then spent on the rest. The covariance of the inputs would be another for each channel, so errors are kept place by place.

/// Sweeps over the weights; few change after the third.
const SWEEPS: usize = 4;

/// The least importance of a place: the calibration inputs are not all that there are.
const LEAST_IMPORTANCE: f32 = 0.02;

/// Products summed in single precision at once.
const CHUNK: usize = 1024;

/// An output channel whose weights are wanted. With `m` the importance of a place, `x` the int8 inputs under the taps there, `scale` that of
/// the weights `w` and `real` what these stand for, the mean of `m ((scale w - real)^T (x - mean x))^2` is to be least.
pub(super) struct WeightedProblem<'a> {
    /// `[tap][place]`.
    patches: &'a [Vec<i8>],
    real: &'a [f32],
    scale: f32,
    /// Of each place, above 0.
    importance: Vec<f32>,
    /// The sum of all importance.
    total: f64,
    /// The mean input of each tap, weighted by importance.
    means: Vec<f32>,
    /// The variance of each tap, damped.
    variances: Vec<f64>,
    damping: f64,
}

impl<'a> WeightedProblem<'a> {
    /// `outputs` is what the float network makes at each place, over the input's scale; `slope` is that of the function behind. `None` where
    /// nothing varies.
    pub fn new(
        patches: &'a [Vec<i8>],
        real: &'a [f32],
        scale: f32,
        outputs: &[f32],
        slope: impl Fn(f32) -> f32,
    ) -> Option<Self> {
        // Without errors of weights, the int8 network differs from the float one by errors of its inputs: both have a say.
        let own = products(patches, real);
        let shift = outputs.iter().zip(&own).map(|(&output, &own)| f64::from(output - own)).sum::<f64>();
        let shift = (shift / outputs.len() as f64) as f32;
        let steepest = |(&output, &own): (&f32, &f32)| slope(output).abs().max(slope(own + shift).abs());
        let importance: Vec<f32> =
            outputs.iter().zip(&own).map(|both| steepest(both).powi(2).max(LEAST_IMPORTANCE)).collect();
        let total: f64 = importance.iter().copied().map(f64::from).sum();
        let mean = |values: &[i8], of: &dyn Fn(f32) -> f32| -> f64 {
            let sum = |(values, importance): (&[i8], &[f32])| {
                let products = values.iter().zip(importance).map(|(&value, m)| of(f32::from(value)) * m);
                f64::from(products.sum::<f32>())
            };
            values.chunks(CHUNK).zip(importance.chunks(CHUNK)).map(sum).sum::<f64>() / total
        };
        let means: Vec<f32> = patches.iter().map(|values| mean(values, &|value| value) as f32).collect();
        let mut variances: Vec<f64> = patches
            .iter()
            .zip(&means)
            .map(|(values, &tap)| mean(values, &|value| (value - tap).powi(2)))
            .collect();
        let taps = patches.len() as f64;
        let mean_variance = variances.iter().sum::<f64>() / taps;
        // Against chance in few places, and so that taps that never vary round to the nearest.
        let damping = 1e-3 * mean_variance * (1.0 + 50.0 * taps / total);
        variances.iter_mut().for_each(|variance| *variance += damping);
        (mean_variance > 0.0).then_some(Self {
            patches,
            real,
            scale,
            importance,
            total,
            means,
            variances,
            damping,
        })
    }

    /// Coordinate descent: one weight at a time takes the value that is best for all others as they are.
    pub fn descend(&self, weights: &mut [i8]) {
        let scale = f64::from(self.scale);
        let off = |weights: &[i8], tap: usize| f64::from(weights[tap]) * scale - f64::from(self.real[tap]);
        let errors_of_weights: Vec<f32> = (0..weights.len()).map(|tap| off(weights, tap) as f32).collect();
        let mut errors = products(self.patches, &errors_of_weights);
        let mean = errors_of_weights.iter().zip(&self.means).map(|(off, mean)| off * mean).sum::<f32>();
        // Errors times their importance.
        errors.iter_mut().zip(&self.importance).for_each(|(error, m)| *error = (*error - mean) * m);
        for _ in 0..SWEEPS {
            let mut changed = false;
            for (tap, values) in self.patches.iter().enumerate() {
                let sum = |(values, errors): (&[i8], &[f32])| {
                    let products = values.iter().zip(errors).map(|(&value, error)| f32::from(value) * error);
                    f64::from(products.sum::<f32>())
                };
                let gradient = values.chunks(CHUNK).zip(errors.chunks(CHUNK)).map(sum).sum::<f64>()
                    / self.total
                    + self.damping * off(weights, tap);
                let old = f64::from(weights[tap]);
                let new = (old - gradient / (self.variances[tap] * scale)).round().clamp(-127.0, 127.0);
                if new != old {
                    weights[tap] = new as i8;
                    changed = true;
                    let (step, mean) = (((new - old) * scale) as f32, self.means[tap]);
                    for ((error, &value), m) in errors.iter_mut().zip(values).zip(&self.importance) {
                        *error += step * (f32::from(value) - mean) * m;
                    }
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// The bias, over the input's scale, with which the weighted mean error from `outputs` is zero beside these weights.
    pub fn bias(&self, weights: &[i8], outputs: &[f32], zero_point: i8) -> f64 {
        let real: Vec<f32> = weights.iter().map(|&weight| f32::from(weight) * self.scale).collect();
        let zero = f64::from(zero_point) * real.iter().copied().map(f64::from).sum::<f64>();
        let own = products(self.patches, &real);
        let errors = outputs.iter().zip(own).zip(&self.importance);
        errors.map(|((output, own), m)| f64::from((output - own) * m)).sum::<f64>() / self.total + zero
    }
}

/// Weights times inputs at each place.
fn products(patches: &[Vec<i8>], weights: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0_f32; patches.first().map_or(0, Vec::len)];
    for (values, &weight) in patches.iter().zip(weights) {
        sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f32::from(value) * weight);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two taps move together below zero and apart above; the third never moves.
    fn patches() -> Vec<Vec<i8>> {
        let first: Vec<i8> = (-100..100).collect();
        let second = first.iter().map(|&x| if x < 0 { x } else { -x }).collect();
        vec![first, second, vec![5; 200]]
    }

    /// The weights found where only values of this sign matter.
    fn rounded(matters: impl Fn(f32) -> bool) -> [i8; 3] {
        let (patches, real) = (patches(), [30.4, 3.4, 2.2]);
        let outputs = products(&patches, &real);
        let slope = |value: f32| f32::from(u8::from(matters(value)));
        let problem = WeightedProblem::new(&patches, &real, 1.0, &outputs, slope).unwrap();
        let mut weights = [30, 3, 2];
        problem.descend(&mut weights);
        weights
    }

    #[test]
    fn errors_cancel_where_they_matter() {
        // Where taps move together, one is rounded up for the other; where they move apart, both go the same way.
        let together = rounded(|value| value < 0.0);
        assert_eq!(i32::from(together[0]) + i32::from(together[1]), 34);
        let apart = rounded(|value| value > 12.0);
        assert_eq!(apart[0] - apart[1], 27);
        assert_eq!([together[2], apart[2]], [2, 2]);
    }

    #[test]
    fn the_bias_makes_up_for_rounding_where_it_matters() {
        let (patches, real) = (patches(), [30.4, 3.4, 2.2]);
        let outputs: Vec<f32> = products(&patches, &real).iter().map(|output| output + 7.0).collect();
        let problem = WeightedProblem::new(&patches, &real, 1.0, &outputs, |_| 1.0).unwrap();
        let exact = WeightedProblem { scale: 0.2, ..problem };
        let bias = exact.bias(&[127, 17, 11], &outputs, -3);
        let own = products(&patches, &[25.4, 3.4, 2.2]);
        let mean = outputs.iter().zip(own).map(|(output, own)| f64::from(output - own)).sum::<f64>() / 200.0;
        assert!((bias - (mean - 3.0 * 31.0)).abs() < 1e-3, "{bias}");
    }

    #[test]
    fn what_never_varies_is_no_problem() {
        assert!(WeightedProblem::new(&[vec![7; 10]], &[1.0], 1.0, &[7.0; 10], |_| 1.0).is_none());
    }
}
