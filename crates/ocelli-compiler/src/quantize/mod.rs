//! From a graph to an int8 network.
//!
//! [`quantize`] makes one of a float graph and calibration data, under `Q32` arithmetic: weights symmetric in -127..=127 with a scale an
//! output channel, activations with a scale and zero point a tensor, biases int32. [`imported`] takes the networks that are int8 already.
//!
//! In order: nodes of constants are computed (`constants`); the float network runs on calibration inputs
//! ([`crate::calibrate::ranges`]); clips fuse into the saturation of the operation before them, and tensors that operations only move
//! share a scale (`prepare`); scales are chosen within what `Q32` can compute (`activations`), with a scale a channel where its
//! readers can undo it (`channel_scales`); weights and tables become integers (`weights`, `build`); and node after node, on the outputs of the int8
//! network itself, weights are rounded so that their errors cancel (`rounding`) and biases take back what is left of the mean error
//! (`correct`). What is measured is run by the engine (`run`, `report`), also to find
//! ranges that suit the whole network better (`search`).

mod activations;
mod build;
mod channel_scales;
pub mod constant_channels;
mod constants;
mod correct;
pub mod imported;
mod limits;
mod prepare;
mod report;
mod rounding;
mod run;
mod search;
mod weighted;
mod weights;

use ocelli::RunError;
use ocelli_format::Metadata;
use thiserror::Error;

use crate::calibrate::data::Dataset;
use crate::calibrate::ranges::{self, CalibrationError, RangeMethod, Statistics};
use crate::float::{FloatError, FloatModel};
use crate::graph::{Bias, Graph, Operator, Quantization, Shape, TensorId, Weights};
use crate::pack::{AlignedBytes, PackError, pack};
use crate::plan::plan;
use crate::quantized::QuantizedGraph;
use activations::Scales;
use channel_scales::{ChannelFactors, Places};
use correct::Slope;
use prepare::{Prepared, Refusals};
pub use report::weight_bytes;
pub use search::Remedy;
use search::{Methods, Trial};

/// How to quantize.
#[derive(Clone, Debug)]
pub struct Options {
    /// How ranges are chosen.
    pub ranges: RangeMethod,
    /// Whether biases take back the shift that rounded weights cause.
    pub bias_correction: bool,
    /// Whether weights are rounded so that their errors cancel, instead of each to the nearest.
    pub adaptive_rounding: bool,
    /// Calibration inputs to use, spread over the data set; 100 to 200 suffice.
    pub samples: usize,
    /// Inputs to measure each layer's error on, at most as many.
    pub report_samples: usize,
    /// How long to search.
    pub effort: Effort,
}

/// How long ranges are searched against the error of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// What would help the five layers with most error is found out, but not done.
    #[default]
    Low,
    /// Ranges are searched for the quarter of the layers with most error.
    Medium,
    /// Ranges are searched for all layers.
    High,
}

impl Effort {
    /// How many layers are tried of so many.
    fn layers(self, all: usize) -> usize {
        match self {
            Self::Low => 5,
            Self::Medium => (all / 4).max(5),
            Self::High => all,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ranges: RangeMethod::default(),
            bias_correction: true,
            adaptive_rounding: true,
            samples: 200,
            report_samples: 32,
            effort: Effort::default(),
        }
    }
}

/// A quantized network.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The int8 network.
    pub graph: QuantizedGraph,
    /// Its layers in order of execution.
    pub report: Vec<LayerReport>,
    /// The input and what each layer makes, in order of execution.
    pub tensors: Vec<TensorReport>,
    /// What else would help, or did, the greatest gain first.
    pub remedies: Vec<Remedy>,
}

/// What values a tensor takes in the float network over the calibration inputs, and the range that int8 covers.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorReport {
    /// The tensor's name in the file.
    pub name: String,
    /// Height, width, channels.
    pub shape: Shape,
    /// The scale and zero point chosen.
    pub quantization: Quantization,
    /// The least and the greatest factor on channels, where each has a scale of its own: that of the tensor less its factor.
    pub channel_factors: Option<[f64; 2]>,
    /// The least and the greatest value.
    pub extremes: [f32; 2],
    /// How many values lie in each of as many bins of equal width between the extremes.
    pub histogram: Vec<u64>,
}

/// A layer and its error.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// The node's name in the file.
    pub name: String,
    /// What it computes.
    pub operation: String,
    /// Shape of its output.
    pub shape: Shape,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Bytes of its weights, biases, multipliers and tables.
    pub weight_bytes: usize,
    /// The power of the float values over that of the int8 network's error, decibels; infinite without error.
    pub sqnr_db: f64,
    /// Float values that lie outside the int8 range, percent.
    pub saturation_percent: f64,
    /// The cosine of the angle between the float values and the int8 network's; 1 without error.
    pub cosine: f64,
    /// How many of the 256 values carry the output: 2 to the entropy of the int8 values in bits.
    pub effective_levels: f64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Running the float network for its ranges.
    Ranges,
    /// Rounding weights and correcting biases, node by node.
    Biases,
    /// Trying other ranges.
    Search,
    /// Measuring errors.
    Errors,
}

/// Why a network cannot be quantized.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The network has another number of inputs or outputs than one.
    #[error(
        "the network has {inputs} inputs and {outputs} outputs; one of each is supported: export the network with one of each"
    )]
    Ends {
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// The data set's samples have another shape than the network's input.
    #[error("the network takes inputs of {expected}, the calibration data has {found}")]
    Input {
        /// The network's.
        expected: Shape,
        /// The data set's.
        found: Shape,
    },
    /// Weights are infinite or not numbers.
    #[error("node `{node}` has weights that are infinite or not numbers: train or export the network again")]
    Weights {
        /// The node.
        node: String,
    },
    /// A node is larger than int8 arithmetic allows.
    #[error("node `{node}`: {problem}")]
    Limit {
        /// The node.
        node: String,
        /// What is too large, the bound and the remedy.
        problem: String,
    },
    /// The file gives an output too fine a scale.
    #[error(
        "node `{node}`: the file gives its output a scale of {scale:e}, but its inputs and weights allow no less than {least:e}; import the \
         float network and let Ocelli choose the scales"
    )]
    Scale {
        /// The node.
        node: String,
        /// The output's scale.
        scale: f32,
        /// The least possible one.
        least: f32,
    },
    /// Calibration failed.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The float network does not run.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// The int8 network cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The int8 network does not run. This is a bug of the packer.
    #[error("the packed model does not run: {0}")]
    Run(#[from] RunError),
}

/// Quantizes a float graph by what it does on calibration data. `progress` gets the stage, what is done of it and the whole of it, from
/// several threads. The result is the same on any number of threads.
///
/// # Errors
/// [`QuantizeError`] names the file, tensor or node.
pub fn quantize(
    graph: &Graph,
    data: &Dataset,
    options: &Options,
    progress: &(dyn Fn(Stage, usize, usize) + Sync),
) -> Result<Quantized, QuantizeError> {
    check(graph, data)?;
    let float = FloatModel::new(graph)?;
    let samples = data.spread(options.samples.max(1));
    let graph = &constants::fold(graph, &float, &data.input(0).map_err(CalibrationError::from)?)?;
    let statistics = ranges::collect(graph, &float, data, &samples, &|done, total| {
        progress(Stage::Ranges, done, total);
    })?;

    let sources = Sources { graph, data, options, float: &float, samples: &samples, statistics: &statistics };
    let methods = Methods { usual: options.ranges, of: Default::default() };
    let free = sources.scaled(Places::Free, &methods)?;
    let all =
        Some(sources.scaled(Places::All, &methods)?).filter(|all| all.scales.factors != free.scales.factors);
    let attempts = 1 + usize::from(all.is_some());
    let attempt = |number: usize, scaled: &Scaled| {
        sources.quantized(scaled, &|done, total| {
            progress(Stage::Biases, number * total + done, attempts * total);
        })
    };
    let (mut best, mut scaled, mut places) = (attempt(0, &free)?, &free, Places::Free);
    if let Some(all) = &all {
        let other = attempt(1, all)?;
        if other.output_sqnr_db() > best.output_sqnr_db() + CLEARLY_BETTER_DB {
            (best, scaled, places) = (other, all, Places::All);
        }
    }
    if best.report.is_empty() {
        progress(Stage::Errors, 1, 1);
        return Ok(best);
    }
    let trial = Trial::new(&sources, places, scaled, &best)?;
    let mut remedies = trial.remedies(options.effort.layers(best.report.len()), &|done, total| {
        progress(Stage::Search, done, total);
    })?;
    if options.effort != Effort::Low && !remedies.is_empty() {
        let (judged, methods) = trial.together(&remedies)?;
        let searched = sources.quantized(&sources.scaled(places, &methods)?, &|done, total| {
            progress(Stage::Biases, done, total);
        })?;
        if searched.output_sqnr_db() > best.output_sqnr_db() {
            (best, remedies) = (searched, judged);
        }
    }
    best.remedies = remedies;
    progress(Stage::Errors, 1, 1);
    Ok(best)
}

impl Quantized {
    /// The SQNR of the network's output, before a softmax: behind one, most errors do not show, and few are all there is.
    fn output_sqnr_db(&self) -> f64 {
        let before = self.report.iter().rfind(|layer| layer.operation != "Softmax");
        before.map_or(f64::INFINITY, |layer| layer.sqnr_db)
    }
}

/// The error is measured on the inputs that chose the ranges, which flatters the finer ones: a smaller gain may be none.
const CLEARLY_BETTER_DB: f64 = 2.0;

/// What an int8 network is made of.
struct Sources<'a> {
    graph: &'a Graph,
    data: &'a Dataset,
    options: &'a Options,
    float: &'a FloatModel,
    samples: &'a [usize],
    statistics: &'a Statistics,
}

/// A network with scales.
struct Scaled {
    prepared: Prepared,
    scales: Scales,
}

impl Sources<'_> {
    fn scaled(&self, places: Places, methods: &Methods) -> Result<Scaled, QuantizeError> {
        let mut refusals = Refusals::default();
        loop {
            let prepared = prepare::prepare(self.graph, self.data.grid(), &refusals);
            let scales = activations::assign(&prepared, self.statistics, methods, places)?;
            let Some(tensor) = activations::lost_clip(&prepared, &scales.quantizations) else {
                return Ok(Scaled { prepared, scales });
            };
            if !prepared.shares_scale(tensor) || !refusals.split.insert(tensor) {
                refusals.unfused.insert(tensor);
            }
        }
    }

    fn quantized(
        &self,
        Scaled { prepared, scales: Scales { quantizations, factors } }: &Scaled,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Quantized, QuantizeError> {
        let &Self { data, options, samples, .. } = self;
        let (mut quantized, origins) = build::build(prepared, quantizations, factors);
        let corrections =
            correct::Corrections { rounding: options.adaptive_rounding, bias: options.bias_correction };
        if corrections.rounding || corrections.bias {
            let input = quantized.tensor(quantized.input).quantization;
            let inputs = samples
                .iter()
                .map(|&sample| data.quantized(sample, input))
                .collect::<Result<Vec<_>, _>>()
                .map_err(CalibrationError::from)?;
            let reference = |node: usize| reference(prepared, self.statistics, factors, origins[node]);
            correct::correct(&mut quantized, inputs, corrections, &reference, progress)?;
        }
        let packed = pack(&quantized, &plan(&quantized), Metadata::default())?;
        let networks = report::Networks {
            prepared,
            quantized: &quantized,
            origins: &origins,
            factors,
            float: self.float,
        };
        let report = report::report(
            &networks,
            &AlignedBytes::new(&packed),
            data,
            &data.spread(options.report_samples.clamp(1, samples.len())),
        )?;
        let tensors = report::tensors(&networks, self.statistics);
        Ok(Quantized { graph: quantized, report, tensors, remedies: Vec::new() })
    }
}

/// What a convolution of float weights computes; `None` for other nodes.
fn reference<'a>(
    prepared: &Prepared,
    statistics: &'a Statistics,
    factors: &'a ChannelFactors,
    node: usize,
) -> Option<correct::Reference<'a>> {
    let unclipped = prepared.unclipped[node];
    let clip = prepared.clips[node];
    let node = &prepared.graph.nodes[node];
    let Operator::Conv2d(conv) = &node.operator else { return None };
    let of = |id: TensorId| factors[id.0].as_deref();
    let samples = statistics.output(unclipped)?;
    let conv = channel_scales::scaled(conv, of(node.inputs[0]), of(node.output));
    let Weights::Float(weights) = conv.weights else { return None };
    let mut means = statistics.tensor(unclipped)?.channel_means.clone();
    for (mean, factor) in means.iter_mut().zip(of(node.output).into_iter().flatten()) {
        *mean *= factor;
    }
    let follows = match prepared.graph.consumers(node.output).as_slice() {
        &[next] => match prepared.graph.nodes[next].operator {
            Operator::Activation(activation) => Some(Slope::Activation(activation)),
            _ => None,
        },
        _ => None,
    };
    let slope = clip.map(Slope::Clip).or(follows);
    Some(correct::Reference { weights, means, samples, factors: of(node.output), slope })
}

fn check(graph: &Graph, data: &Dataset) -> Result<(), QuantizeError> {
    let (&[input], &[_]) = (graph.inputs.as_slice(), graph.outputs.as_slice()) else {
        return Err(QuantizeError::Ends { inputs: graph.inputs.len(), outputs: graph.outputs.len() });
    };
    let (expected, found) = (graph.tensor(input).shape, data.shape());
    if expected != found {
        return Err(QuantizeError::Input { expected, found });
    }
    for node in &graph.nodes {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let good = match &node.operator {
            Operator::Conv2d(conv) => {
                let weights = match &conv.weights {
                    Weights::Float(values) => finite(values),
                    Weights::Int8 { scales, .. } => finite(scales),
                };
                let bias = match &conv.bias {
                    Bias::Float(values) => finite(values),
                    Bias::Int32(_) => true,
                };
                weights && bias
            }
            Operator::PRelu { slopes, .. } => finite(slopes),
            _ => true,
        };
        if !good {
            return Err(QuantizeError::Weights { node: node.name.clone() });
        }
        graph.check(node).map_err(FloatError::from)?;
        limits::check(graph, node)
            .map_err(|problem| QuantizeError::Limit { node: node.name.clone(), problem })?;
    }
    Ok(())
}
