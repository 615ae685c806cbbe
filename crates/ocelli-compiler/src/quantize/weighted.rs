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

/// Sums side by side: one sum alone would wait for each addition before the next.
const LANES: usize = 16;

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
    /// The mean of what the float network makes beyond these inputs times the real weights, weighted by importance.
    shift: f64,
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
        let means: Vec<f32> = patches
            .iter()
            .map(|values| (sum_of_products(values, &importance, |value| value) / total) as f32)
            .collect();
        let mut variances: Vec<f64> = patches
            .iter()
            .zip(&means)
            .map(|(values, &mean)| {
                sum_of_products(values, &importance, |value| (value - mean).powi(2)) / total
            })
            .collect();
        let taps = patches.len() as f64;
        let mean_variance = variances.iter().sum::<f64>() / taps;
        // Against chance in few places, and so that taps that never vary round to the nearest.
        let damping = 1e-3 * mean_variance * (1.0 + 50.0 * taps / total);
        variances.iter_mut().for_each(|variance| *variance += damping);
        let beyond = outputs.iter().zip(&own).zip(&importance);
        let shift = beyond.map(|((output, own), m)| f64::from((output - own) * m)).sum::<f64>() / total;
        (mean_variance > 0.0).then_some(Self {
            patches,
            real,
            scale,
            importance,
            total,
            means,
            shift,
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
                let gradient = sum_of_products(values, &errors, |value| value) / self.total
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

    /// The bias, over the input's scale, with which the weighted mean error is zero beside these weights.
    pub fn bias(&self, weights: &[i8], zero_point: i8) -> f64 {
        let scale = f64::from(self.scale);
        let zero =
            f64::from(zero_point) * scale * weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        let off =
            weights.iter().zip(self.real).map(|(&weight, &real)| f64::from(weight) * scale - f64::from(real));
        self.shift - off.zip(&self.means).map(|(off, &mean)| off * f64::from(mean)).sum::<f64>() + zero
    }
}

/// The sum of a function of each value times its factor.
fn sum_of_products(values: &[i8], factors: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let sum = |(values, factors): (&[i8], &[f32])| {
        let ((values, values_left), (factors, factors_left)) =
            (values.as_chunks::<LANES>(), factors.as_chunks::<LANES>());
        let mut sums = [0.0_f32; LANES];
        for (values, factors) in values.iter().zip(factors) {
            for lane in 0..LANES {
                sums[lane] += of(f32::from(values[lane])) * factors[lane];
            }
        }
        let left = values_left.iter().zip(factors_left).map(|(&value, factor)| of(f32::from(value)) * factor);
        f64::from(sums.iter().sum::<f32>() + left.sum::<f32>())
    };
    values.chunks(CHUNK).zip(factors.chunks(CHUNK)).map(sum).sum()
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
        let bias = exact.bias(&[127, 17, 11], -3);
        let own = products(&patches, &[25.4, 3.4, 2.2]);
        let mean = outputs.iter().zip(own).map(|(output, own)| f64::from(output - own)).sum::<f64>() / 200.0;
        assert!((bias - (mean - 3.0 * 31.0)).abs() < 1e-3, "{bias}");
    }

    #[test]
    fn what_never_varies_is_no_problem() {
        assert!(WeightedProblem::new(&[vec![7; 10]], &[1.0], 1.0, &[7.0; 10], |_| 1.0).is_none());
    }
}
