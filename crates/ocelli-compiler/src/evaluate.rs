//! A packed model against the float network that it was made of.

use std::sync::atomic::{AtomicUsize, Ordering};

use ocelli::{Engine, EngineError, Model, ModelError, RunError, operator};
use ocelli_format::Operator;
use rayon::prelude::*;
use thiserror::Error;

use crate::calibrate::data::{DataError, Dataset};
use crate::float::{FloatError, FloatModel};
use crate::graph::{Quantization, Shape};
use crate::pack::AlignedBytes;

/// How a packed model does on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Accuracies; `None` for data without classes.
    pub accuracy: Option<Accuracy>,
    /// Samples for which both networks name the same class, percent.
    pub agreement_percent: f64,
    /// The power of the float logits over that of the int8 logits' error, each less its mean over the classes, decibels. Logits are what a
    /// softmax at the end is taken of; without one, the outputs.
    pub sqnr_db: f64,
    /// What each sample is taken for.
    pub predictions: Vec<Prediction>,
}

/// The classes that the two networks name for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The float network's.
    pub float: usize,
    /// The int8 network's.
    pub int8: usize,
}

/// Top-1 accuracies on the same samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Samples that the float network gets right, percent.
    pub float_percent: f64,
    /// Samples that the int8 network gets right, percent.
    pub int8_percent: f64,
    /// Standard error of the difference of the two, percent points: from the samples that only one of them gets right.
    pub standard_error: f64,
}

/// Why a model cannot be evaluated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The packed model's input has another shape than the data set's samples.
    #[error("the model takes inputs of {expected}, the data has {found}")]
    Input {
        /// The model's.
        expected: Shape,
        /// The data set's.
        found: Shape,
    },
    /// The two networks have outputs of different sizes.
    #[error(
        "the int8 model has {int8} outputs, the float network {float}: give the network that it was made of"
    )]
    Outputs {
        /// Of the packed model.
        int8: usize,
        /// Of the float network.
        float: usize,
    },
    /// A sample cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The float network does not run.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// The packed model is none.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The packed model cannot start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The packed model does not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What one sample shows.
struct Outcome {
    classes: Prediction,
    signal: f64,
    noise: f64,
}

/// Runs both networks on every sample, in parallel. The result does not depend on the number of threads.
///
/// # Errors
/// [`EvaluateError`], by the sample's file where there is one.
pub fn evaluate(
    packed: &[u8],
    float: &FloatModel,
    data: &Dataset,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Evaluation, EvaluateError> {
    let outcomes = each(packed, data, progress, |sample, int8| {
        let [output, scores] = float.run_with_scores(&data.input(sample)?)?;
        if int8.output.len() != output.len() {
            return Err(EvaluateError::Outputs { int8: int8.output.len(), float: output.len() });
        }
        let both =
            if int8.scores.len() == scores.len() { [&scores, &int8.scores] } else { [&output, &int8.output] };
        let errors: Vec<f32> = both[0].iter().zip(both[1]).map(|(float, int8)| int8 - float).collect();
        Ok(Outcome {
            classes: Prediction { float: best(&output), int8: best(&int8.output) },
            signal: power(both[0]),
            noise: power(&errors),
        })
    })?;

    let count = outcomes.len() as f64;
    let percent = |number: usize| 100.0 * number as f64 / count;
    let agreement_percent =
        percent(outcomes.iter().filter(|one| one.classes.float == one.classes.int8).count());
    let accuracy = data.is_labelled().then(|| {
        let right = |class: usize, sample: usize| data.label(sample) == Some(class);
        let pairs: Vec<(bool, bool)> = outcomes
            .iter()
            .enumerate()
            .map(|(sample, one)| (right(one.classes.float, sample), right(one.classes.int8, sample)))
            .collect();
        let float_percent = percent(pairs.iter().filter(|pair| pair.0).count());
        let int8_percent = percent(pairs.iter().filter(|pair| pair.1).count());
        let mean = (int8_percent - float_percent) / 100.0;
        let differing = pairs.iter().filter(|pair| pair.0 != pair.1).count() as f64 / count;
        let standard_error = 100.0 * ((differing - mean * mean) / count).sqrt();
        Accuracy { float_percent, int8_percent, standard_error }
    });
    let signal: f64 = outcomes.iter().map(|one| one.signal).sum();
    let noise: f64 = outcomes.iter().map(|one| one.noise).sum();
    Ok(Evaluation {
        samples: outcomes.len(),
        accuracy,
        agreement_percent,
        sqnr_db: 10.0 * (signal / noise).log10(),
        predictions: outcomes.iter().map(|one| one.classes).collect(),
    })
}

/// Runs a packed model alone on every sample, in parallel: samples that it gets right, percent; `None` for data without classes.
///
/// # Errors
/// As [`evaluate`].
pub fn accuracy(
    packed: &[u8],
    data: &Dataset,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Option<f64>, EvaluateError> {
    let classes = predict(packed, data, progress)?;
    let right =
        classes.iter().enumerate().filter(|&(sample, &class)| data.label(sample) == Some(class)).count();
    Ok(data.is_labelled().then_some(100.0 * right as f64 / classes.len() as f64))
}

/// The class that a packed model names for each sample, of samples in parallel.
///
/// # Errors
/// As [`evaluate`].
pub fn predict(
    packed: &[u8],
    data: &Dataset,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<usize>, EvaluateError> {
    each(packed, data, progress, |_, int8| Ok(best(&int8.output)))
}

/// How often a tensor takes each int8 value; the value `v` is at the index of its bits, `v as u8`.
pub type ValueCounts = [u64; 256];

/// How often the outputs of each step take each value over some samples, in parallel.
///
/// # Errors
/// As [`evaluate`].
pub fn value_counts(
    packed: &[u8],
    data: &Dataset,
    samples: &[usize],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<ValueCounts>, EvaluateError> {
    let packed = AlignedBytes::new(packed);
    let model = open(&packed, data)?;
    let quantization = Quantization { scale: model.input().scale, zero_point: model.input().zero_point };
    let steps = model.steps().count();
    let done = AtomicUsize::new(0);
    let add = |mut sums: Vec<ValueCounts>, counts: Vec<ValueCounts>| {
        for (sum, count) in sums.iter_mut().flatten().zip(counts.iter().flatten()) {
            *sum += count;
        }
        Ok(sums)
    };
    samples
        .par_iter()
        .map(|&sample| {
            let mut arena = vec![0; model.arena_bytes()];
            let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena)?;
            let mut counts = vec![[0; 256]; steps];
            engine.run_observed(&data.quantized(sample, quantization)?, |step, _, _, values| {
                for value in values {
                    counts[step][usize::from(value.cast_unsigned())] += 1;
                }
            })?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, samples.len());
            Ok(counts)
        })
        .try_reduce(|| vec![[0; 256]; steps], add)
}

/// How many of the 256 values carry a tensor: 2 to the entropy of its values in bits.
pub fn effective_levels(counts: &ValueCounts) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let part = |&count: &u64| {
        let share = count as f64 / total;
        if count == 0 { 0.0 } else { -share * share.log2() }
    };
    counts.iter().map(part).sum::<f64>().exp2()
}

/// What a packed model makes of a sample, as real numbers.
struct Found {
    output: Vec<f32>,
    /// What a softmax at the end is taken of; empty without one.
    scores: Vec<f32>,
}

/// Runs a packed model on every sample, in parallel, and gives what `judge` makes of each sample's index and outputs.
fn each<T: Send>(
    packed: &[u8],
    data: &Dataset,
    progress: &(dyn Fn(usize, usize) + Sync),
    judge: impl Fn(usize, &Found) -> Result<T, EvaluateError> + Sync,
) -> Result<Vec<T>, EvaluateError> {
    let packed = AlignedBytes::new(packed);
    let model = open(&packed, data)?;
    let quantization = Quantization { scale: model.input().scale, zero_point: model.input().zero_point };
    let logits = model.steps().last().and_then(|step| match step.operator {
        Operator::SoftmaxQ32 | Operator::SoftmaxTfLite => {
            let tensor = *step.inputs.first()?;
            Some((tensor, model.tensor(tensor)?))
        }
        _ => None,
    });
    let done = AtomicUsize::new(0);
    (0..data.len())
        .into_par_iter()
        .map_init(
            || vec![0; model.arena_bytes()],
            |arena, sample| {
                let mut engine = Engine::<{ operator::ALL }>::new(model, arena)?;
                let mut scores = Vec::new();
                let output =
                    engine.run_observed(&data.quantized(sample, quantization)?, |_, step, _, values| {
                        if let Some((_, info)) = logits.filter(|&(tensor, _)| step.output == tensor) {
                            scores.extend(values.iter().map(|&value| info.dequantize(value)));
                        }
                    })?;
                let info = output.info();
                let output = output.values().iter().map(|&value| info.dequantize(value)).collect();
                let judged = judge(sample, &Found { output, scores })?;
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, data.len());
                Ok(judged)
            },
        )
        .collect()
}

/// A model that takes the samples of a data set and starts.
fn open<'m>(packed: &'m AlignedBytes, data: &Dataset) -> Result<Model<'m>, EvaluateError> {
    let model = Model::open(packed.bytes())?;
    let input = model.input();
    let expected = Shape::new(input.height.into(), input.width.into(), input.channels.into());
    if expected != data.shape() {
        return Err(EvaluateError::Input { expected, found: data.shape() });
    }
    Engine::<{ operator::ALL }>::new(model, &mut vec![0; model.arena_bytes()])?;
    Ok(model)
}

/// The first of the greatest values.
fn best(values: &[f32]) -> usize {
    let better = |best: usize, index: usize| if values[index] > values[best] { index } else { best };
    (0..values.len()).reduce(better).unwrap_or(0)
}

/// The sum of squares about the mean.
fn power(values: &[f32]) -> f64 {
    let mean = values.iter().copied().map(f64::from).sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_wins() {
        assert_eq!(best(&[0.0, 2.0, 2.0, 1.0]), 1);
    }

    #[test]
    fn values_used_evenly_are_as_many_levels() {
        let mut counts = [0; 256];
        counts[3..7].fill(5);
        assert!((effective_levels(&counts) - 4.0).abs() < 1e-9);
        counts[3] = 1_000_000;
        assert!(effective_levels(&counts) < 1.01);
    }

    #[test]
    fn power_is_about_the_mean() {
        assert_eq!(power(&[3.0, 5.0]), 2.0);
    }
}
