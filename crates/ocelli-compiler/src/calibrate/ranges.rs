//! What values the tensors of a float network take, and the ranges that int8 should cover.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use thiserror::Error;

use super::data::{DataError, Dataset};
use super::divergence::least_divergence;
use super::places::PlaceValues;
use super::unseen::{Excess, Unseen};
use crate::float::{FloatError, FloatModel};
use crate::graph::{Graph, TensorId};

/// How a tensor's range is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RangeMethod {
    /// The least and the greatest value seen.
    MinMax,
    /// As many percent of the values lie at or below the upper end, and at or above the lower end. 99.9 and less can cost much accuracy.
    Percentile(f64),
    /// The range of the least squared error, of rounding and of clipping together.
    #[default]
    Mse,
    /// The range of the least Kullback-Leibler divergence of the values before from those after int8.
    KullbackLeibler,
}

impl fmt::Display for RangeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.write_str("min-max"),
            Self::Percentile(percent) => write!(f, "percentile:{percent}"),
            Self::Mse => f.write_str("mse"),
            Self::KullbackLeibler => f.write_str("kl"),
        }
    }
}

/// Why a network's ranges are not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// An input cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The float network does not run.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// A value is infinite or not a number.
    #[error(
        "tensor `{tensor}` is infinite or not a number on calibration input {sample}: check the preprocessing and the model's weights"
    )]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// Index of the input in the data set.
        sample: usize,
    },
}

/// The values of each tensor over a set of inputs.
#[derive(Clone, Debug)]
pub struct Statistics {
    tensors: Vec<Option<TensorStatistics>>,
    /// What half of the inputs does not show of each tensor.
    unseen: Vec<Unseen>,
    /// Values of convolutions' outputs at some places.
    outputs: Vec<Option<PlaceValues>>,
}

/// The values of a tensor over a set of inputs.
#[derive(Clone, Debug)]
pub struct TensorStatistics {
    /// The least value.
    pub min: f32,
    /// The greatest value.
    pub max: f32,
    /// The mean of each channel.
    pub channel_means: Vec<f64>,
    /// The mean square of each channel.
    pub channel_squares: Vec<f64>,
    /// The least and the greatest value of each channel.
    pub channel_ranges: Vec<[f32; 2]>,
    /// How often values fall between `min` and `max`, zeros apart.
    histogram: Vec<u64>,
    /// Values that are zero: they have no error in any range.
    zeros: u64,
}

const BINS: usize = 2048;

/// Runs the float network on some inputs of a data set, in parallel. The result does not depend on the number of threads.
///
/// # Errors
/// [`CalibrationError`] where an input cannot be read, or values are not finite.
pub fn collect(
    graph: &Graph,
    model: &FloatModel,
    data: &Dataset,
    samples: &[usize],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Statistics, CalibrationError> {
    // The first pass finds where the bins of the second lie.
    let total = 2 * samples.len();
    let done = AtomicUsize::new(0);
    let run = |sample: usize| -> Result<Vec<Option<Vec<f32>>>, CalibrationError> {
        let values = model.run_all(&data.input(sample)?)?;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        Ok(values)
    };

    let mut statistics = Statistics {
        tensors: vec![None; graph.tensors.len()],
        unseen: (0..graph.tensors.len()).map(|id| Unseen::of_tensor(graph, TensorId(id))).collect(),
        outputs: PlaceValues::of_graph(graph, samples.len()),
    };
    // Sums of floats depend on their order: each sample is summed apart, and the sums are added in the order of the samples.
    for chunk in samples.chunks(CHUNK) {
        let of_samples: Vec<Statistics> = chunk
            .par_iter()
            .map(|&sample| Statistics::of_sample(graph, run(sample)?, sample))
            .collect::<Result<_, _>>()?;
        for (index, of_sample) in of_samples.into_iter().enumerate() {
            // Chunks are even.
            statistics.merge(of_sample, index % 2);
        }
    }
    for tensor in statistics.tensors.iter_mut().flatten() {
        let means = tensor.channel_means.iter_mut().chain(&mut tensor.channel_squares);
        means.for_each(|mean| *mean /= samples.len() as f64);
    }
    let mut histograms = vec![(Vec::new(), 0); graph.tensors.len()];
    for (number, chunk) in samples.chunks(CHUNK).enumerate() {
        let of_samples: Vec<_> = chunk
            .par_iter()
            .enumerate()
            .map(|(index, &sample)| {
                let values = run(sample)?;
                let at_places: Vec<Vec<f32>> = statistics
                    .outputs
                    .iter()
                    .zip(&values)
                    .map(|(places, values)| match (places, values) {
                        (Some(places), Some(values)) => places.of_image(number * CHUNK + index, values),
                        _ => Vec::new(),
                    })
                    .collect();
                let excess: Vec<Vec<Excess>> = statistics
                    .unseen
                    .iter()
                    .zip(&values)
                    .map(|(unseen, values)| {
                        unseen.excess_of(index % 2, values.as_deref().unwrap_or_default())
                    })
                    .collect();
                Ok((statistics.histograms(&values), excess, at_places))
            })
            .collect::<Result<_, CalibrationError>>()?;
        for (counts, excess, at_places) in of_samples {
            for ((unseen, excess), tensor) in statistics.unseen.iter_mut().zip(excess).zip(&graph.tensors) {
                unseen.add(&excess, tensor.shape.pixels());
            }
            histograms = add_histograms(histograms, counts);
            for (places, values) in statistics.outputs.iter_mut().zip(at_places) {
                places.iter_mut().for_each(|places| places.values.extend_from_slice(&values));
            }
        }
    }
    for (tensor, (histogram, zeros)) in statistics.tensors.iter_mut().zip(histograms) {
        if let Some(tensor) = tensor {
            (tensor.histogram, tensor.zeros) = (histogram, zeros);
        }
    }
    Ok(statistics)
}

/// Samples in memory at once.
const CHUNK: usize = 32;

/// The counts of a tensor's bins, and of its zeros.
type Counts = (Vec<u64>, u64);

fn add_histograms(mut first: Vec<Counts>, second: Vec<Counts>) -> Vec<Counts> {
    for ((sum, sum_zeros), (counts, zeros)) in first.iter_mut().zip(second) {
        *sum_zeros += zeros;
        if sum.is_empty() {
            *sum = counts;
        } else {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    first
}

impl Statistics {
    /// Of a tensor; `None` where nothing computes it.
    pub fn tensor(&self, id: TensorId) -> Option<&TensorStatistics> {
        self.tensors.get(id.0)?.as_ref()
    }

    /// The mean square of what values of a channel would lie beyond its range of so much room, had only half of the inputs been seen.
    pub fn clipping(&self, id: TensorId, channel: usize, room: f64) -> f64 {
        self.unseen.get(id.0).map_or(0.0, |unseen| unseen.clipping(channel, room))
    }

    /// The output of a convolution at some places, before what follows it.
    pub fn output(&self, id: TensorId) -> Option<&PlaceValues> {
        self.outputs.get(id.0)?.as_ref()
    }

    fn of_sample(
        graph: &Graph,
        values: Vec<Option<Vec<f32>>>,
        sample: usize,
    ) -> Result<Self, CalibrationError> {
        let tensors = graph.tensors.iter().zip(values).map(|(tensor, values)| {
            let statistics = values.map(|values| TensorStatistics::of(&values, tensor.shape.channels));
            match statistics {
                Some(TensorStatistics { min, max, .. }) if !min.is_finite() || !max.is_finite() => {
                    Err(CalibrationError::NotFinite { tensor: tensor.name.clone(), sample })
                }
                statistics => Ok(statistics),
            }
        });
        Ok(Self { tensors: tensors.collect::<Result<_, _>>()?, unseen: Vec::new(), outputs: Vec::new() })
    }

    /// Adds an input of one half of all.
    fn merge(&mut self, other: Self, half: usize) {
        for (unseen, other) in self.unseen.iter_mut().zip(&other.tensors) {
            if let Some(other) = other {
                unseen.widen(half, &other.channel_ranges);
            }
        }
        for (tensor, other) in self.tensors.iter_mut().zip(other.tensors) {
            match (tensor.as_mut(), other) {
                (Some(tensor), Some(other)) => tensor.merge(&other),
                (None, other) => *tensor = other,
                (Some(_), None) => {}
            }
        }
    }

    fn histograms(&self, values: &[Option<Vec<f32>>]) -> Vec<Counts> {
        let counts = |(statistics, values): (&Option<TensorStatistics>, &Option<Vec<f32>>)| {
            let (Some(statistics), Some(values)) = (statistics, values) else {
                return (Vec::new(), 0);
            };
            let mut bins = vec![0; BINS];
            let mut zeros = 0;
            let factor = BINS as f32 / (statistics.max - statistics.min).max(f32::MIN_POSITIVE);
            for &value in values {
                if value == 0.0 {
                    zeros += 1;
                } else {
                    let bin = ((value - statistics.min) * factor) as usize;
                    bins[bin.min(BINS - 1)] += 1;
                }
            }
            (bins, zeros)
        };
        self.tensors.iter().zip(values).map(counts).collect()
    }
}

impl TensorStatistics {
    fn of(values: &[f32], channels: usize) -> Self {
        let mut channel_means = vec![0.0; channels];
        let mut channel_squares = vec![0.0; channels];
        let mut channel_ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; channels];
        let mut finite = true;
        for pixel in values.chunks_exact(channels) {
            let moments = channel_means.iter_mut().zip(&mut channel_squares);
            for ((&value, (mean, square)), range) in pixel.iter().zip(moments).zip(&mut channel_ranges) {
                finite &= value.is_finite();
                *mean += f64::from(value);
                *square += f64::from(value) * f64::from(value);
                *range = [range[0].min(value), range[1].max(value)];
            }
        }
        let means = channel_means.iter_mut().chain(&mut channel_squares);
        means.for_each(|mean| *mean *= channels as f64 / values.len() as f64);
        let [min, max] = if finite { union(&channel_ranges) } else { [f32::NAN; 2] };
        Self { min, max, channel_means, channel_squares, channel_ranges, histogram: Vec::new(), zeros: 0 }
    }

    fn merge(&mut self, other: &Self) {
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
        let means = self.channel_means.iter_mut().chain(&mut self.channel_squares);
        means
            .zip(other.channel_means.iter().chain(&other.channel_squares))
            .for_each(|(sum, mean)| *sum += mean);
        for (range, other) in self.channel_ranges.iter_mut().zip(&other.channel_ranges) {
            *range = union(&[*range, *other]);
        }
    }

    /// How many values lie in each of some bins of equal width from `min` to `max`, zeros included. At most 2048 bins.
    pub fn histogram(&self, bins: usize) -> Vec<u64> {
        let bins = bins.clamp(1, BINS);
        let mut counts = vec![0; bins];
        for (bin, count) in self.histogram.iter().enumerate() {
            counts[bin * bins / BINS] += count;
        }
        let place = -f64::from(self.min) / f64::from(self.max - self.min).max(f64::MIN_POSITIVE);
        counts[((place.max(0.0) * bins as f64) as usize).min(bins - 1)] += self.zeros;
        counts
    }

    /// The range that int8 should cover, zero included.
    pub fn range(&self, method: RangeMethod) -> [f32; 2] {
        let [low, high] = match method {
            RangeMethod::Percentile(percent) if !self.histogram.is_empty() => {
                self.percentile(percent / 100.0)
            }
            RangeMethod::Mse if !self.histogram.is_empty() => self.least_error(),
            RangeMethod::KullbackLeibler if !self.histogram.is_empty() => {
                let ends = [self.min, self.max].map(f64::from);
                let full = [ends[0].min(0.0), ends[1].max(0.0)];
                least_divergence(&self.histogram, ends, full).map(|end| end as f32)
            }
            _ => [self.min, self.max],
        };
        [low.min(0.0), high.max(0.0)]
    }

    /// The real value in the middle of each bin, and its count.
    fn bins(&self) -> impl DoubleEndedIterator<Item = (f64, u64)> + '_ {
        let (low, width) = (f64::from(self.min), f64::from(self.max - self.min) / BINS as f64);
        self.histogram.iter().enumerate().map(move |(bin, &count)| (low + (bin as f64 + 0.5) * width, count))
    }

    fn percentile(&self, share: f64) -> [f32; 2] {
        let total = self.zeros + self.histogram.iter().sum::<u64>();
        let outside = ((1.0 - share) * total as f64) as u64;
        let half_width = f64::from(self.max - self.min) / BINS as f64 / 2.0;
        let first_beyond = |mut bins: Box<dyn Iterator<Item = (f64, u64)> + '_>| {
            let mut seen = 0;
            bins.find(|(_, count)| {
                seen += count;
                seen > outside
            })
        };
        let low = first_beyond(Box::new(self.bins())).map_or(0.0, |(value, _)| value - half_width);
        let high = first_beyond(Box::new(self.bins().rev())).map_or(0.0, |(value, _)| value + half_width);
        [(low as f32).max(self.min), (high as f32).min(self.max)]
    }

    fn least_error(&self) -> [f32; 2] {
        let full = [f64::from(self.min.min(0.0)), f64::from(self.max.max(0.0))];
        let mut best = full;
        let mut least = self.error(best);
        // Each end in turn, as the other's best place depends on it.
        for end in [0, 1, 0, 1] {
            for step in 1..=40 {
                let mut range = best;
                range[end] = full[end] * (1.0 - 0.02 * f64::from(step));
                let error = self.error(range);
                if error < least {
                    (best, least) = (range, error);
                }
            }
        }
        best.map(|end| end as f32)
    }

    /// The sum of squared errors of all values in a range: of clipping outside, of rounding inside.
    fn error(&self, [low, high]: [f64; 2]) -> f64 {
        let step = (high - low) / 255.0;
        let rounding = step * step / 12.0;
        self.bins()
            .map(|(value, count)| {
                let beyond = (low - value).max(value - high);
                count as f64 * if beyond > 0.0 { beyond * beyond } else { rounding }
            })
            .sum()
    }
}

fn union(ranges: &[[f32; 2]]) -> [f32; 2] {
    ranges
        .iter()
        .fold([f32::INFINITY, f32::NEG_INFINITY], |all, range| [all[0].min(range[0]), all[1].max(range[1])])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statistics of values that many samples of one channel take.
    fn statistics(values: &[f32]) -> TensorStatistics {
        let mut all = Statistics {
            tensors: vec![Some(TensorStatistics::of(values, 1))],
            unseen: Vec::new(),
            outputs: Vec::new(),
        };
        let (histogram, zeros) = all.histograms(&[Some(values.to_vec())]).remove(0);
        let tensor = all.tensors[0].take().unwrap();
        TensorStatistics { histogram, zeros, ..tensor }
    }

    #[test]
    fn ranges_hold_zero() {
        let methods = [
            RangeMethod::MinMax,
            RangeMethod::Percentile(99.0),
            RangeMethod::Mse,
            RangeMethod::KullbackLeibler,
        ];
        for method in methods {
            let [low, high] = statistics(&[2.0, 3.0, 5.0]).range(method);
            assert_eq!(low, 0.0);
            assert!(high >= 4.9, "{method:?} {high}");
        }
    }

    #[test]
    fn an_outlier_among_many_values_is_clipped_by_least_error_but_not_by_min_max() {
        let mut values: Vec<f32> = (0..200_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        values.push(20.0);
        let statistics = statistics(&values);
        assert_eq!(statistics.range(RangeMethod::MinMax), [0.0, 20.0]);
        let [_, high] = statistics.range(RangeMethod::Mse);
        assert!((0.9..19.0).contains(&high), "{high}");
        let [_, high] = statistics.range(RangeMethod::Percentile(99.0));
        assert!((0.9..1.1).contains(&high), "{high}");
    }

    #[test]
    fn uniform_values_are_not_clipped() {
        let values: Vec<f32> = (0..100_000).map(|i| i as f32 / 50_000.0 - 1.0).collect();
        let [low, high] = statistics(&values).range(RangeMethod::Mse);
        assert!(low < -0.95 && high > 0.95, "{low} {high}");
    }
}
