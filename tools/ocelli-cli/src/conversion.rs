//! From a network file to an int8 network, as `ocelli quantize` and `ocelli report` make it.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::graph::Graph;
use ocelli_compiler::import::{Format, Imported};
use ocelli_compiler::plan::{Plan, PlanOptions, plan_for};
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::quantize::{self, Effort, LayerReport, Remedy, Stage, TensorReport};
use ocelli_compiler::quantized::QuantizedGraph;
use ocelli_compiler::targets::Lowered;
use ocelli_format::{Metadata, Target};

use crate::progress::Progress;
use crate::{data, network};

/// A network file and how it becomes int8.
#[derive(Args)]
pub struct Conversion {
    /// The network: ONNX or TFLite.
    pub network: PathBuf,
    /// Inputs like those that the network will see: 100 to 200 suffice.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub calibrate: Vec<PathBuf>,
    /// The core that the model will run on: cortex-m0, cortex-m0plus, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or rv32, or
    /// `portable` for any. Every model gives the same bytes on every core; it is fast on its own.
    #[arg(long, value_name = "NAME", default_value = "portable", value_parser = parse_target)]
    target: Target,
    /// How ranges are chosen: min-max, percentile:P (such as percentile:99.99), mse (least squared error) or kl (least
    /// Kullback-Leibler divergence). [default: mse]
    #[arg(long, value_name = "METHOD", value_parser = parse_ranges)]
    ranges: Option<RangeMethod>,
    /// How long to search ranges against the error of the network's output: low tries what would help the worst five layers and says so,
    /// medium searches the quarter of the layers with most error, high all of them. [default: low]
    #[arg(long, value_name = "HOW_LONG")]
    effort: Option<EffortName>,
    /// Calibration inputs to use at most, spread over the data. [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// Leave the shift in that rounded weights cause.
    #[arg(long)]
    no_bias_correction: bool,
    /// The input's dimensions in the network's own order, batch included, where the file leaves some open.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    input_shape: Vec<usize>,
    #[command(flatten)]
    pub data: data::Options,
}

#[derive(Clone, Copy, ValueEnum)]
enum EffortName {
    Low,
    Medium,
    High,
}

/// Cores, and the targets that are made for them.
const CORES: [(&str, Target); 8] = [
    ("cortex-m0", Target::Armv6m),
    ("cortex-m0plus", Target::Armv6m),
    ("cortex-m3", Target::Armv7m),
    ("cortex-m4", Target::Dsp),
    ("cortex-m7", Target::Dsp),
    ("cortex-m33", Target::Dsp),
    ("cortex-m55", Target::Helium),
    ("riscv32", Target::Rv32),
];

fn parse_target(text: &str) -> Result<Target, String> {
    let targets = || Target::ALL.into_iter().map(|target| (target.name(), target));
    let names = || targets().chain(CORES);
    names().find(|(name, _)| *name == text).map(|(_, target)| target).ok_or_else(|| {
        let names: Vec<&str> = names().map(|(name, _)| name).collect();
        format!("choose from {}", names.join(", "))
    })
}

fn parse_ranges(text: &str) -> Result<RangeMethod, String> {
    match text {
        "min-max" => Ok(RangeMethod::MinMax),
        "mse" => Ok(RangeMethod::Mse),
        "kl" => Ok(RangeMethod::KullbackLeibler),
        _ => text
            .strip_prefix("percentile:")
            .and_then(|percent| percent.parse().ok())
            .filter(|percent| (50.0..=100.0).contains(percent))
            .map(RangeMethod::Percentile)
            .ok_or_else(|| "choose from min-max, mse, kl, percentile:P with P from 50 to 100".to_owned()),
    }
}

/// An int8 network.
pub struct Converted {
    /// The network.
    pub graph: QuantizedGraph,
    /// Its layers; none for a network that was int8 already.
    pub report: Vec<LayerReport>,
    /// Its tensors; none for a network that was int8 already.
    pub tensors: Vec<TensorReport>,
    /// Ranges that help, or would.
    pub remedies: Vec<Remedy>,
    /// Whether its inputs are pictures, so far as can be told.
    pub pictures: bool,
    /// The float network that it was made of.
    pub float: Option<Graph>,
    /// The file's format.
    pub format: Format,
    /// Calibration inputs used.
    pub samples: usize,
}

impl Conversion {
    /// Reads the network, which has one input and one output.
    pub fn load(&self) -> Result<Imported> {
        let network = network::load(&self.network, &self.input_shape)?;
        network.ends().map_err(|problem| anyhow!("cannot pack {}: {problem}", self.network.display()))?;
        Ok(network.imported)
    }

    /// Quantizes a network unless it is int8 already.
    pub fn run(&self, network: Imported, progress: &Progress) -> Result<Converted> {
        if network.int8 { self.as_it_is(&network) } else { self.quantized(network, progress) }
    }

    fn as_it_is(&self, network: &Imported) -> Result<Converted> {
        for (option, given) in [
            ("--calibrate", !self.calibrate.is_empty()),
            ("--ranges", self.ranges.is_some()),
            ("--effort", self.effort.is_some()),
            ("--samples", self.samples.is_some()),
            ("--no-bias-correction", self.no_bias_correction),
        ] {
            if given {
                bail!("{} is int8 already and packed as it is: leave {option} away", self.network.display());
            }
        }
        let graph = imported(&network.graph)
            .with_context(|| format!("cannot take {} as it is", self.network.display()))?;
        Ok(Converted {
            graph,
            report: Vec::new(),
            tensors: Vec::new(),
            remedies: Vec::new(),
            pictures: self.data.is_preprocessing_given(),
            float: None,
            format: network.format,
            samples: 0,
        })
    }

    fn quantized(&self, network: Imported, progress: &Progress) -> Result<Converted> {
        let path = self.network.display();
        if self.calibrate.is_empty() {
            bail!(
                "{path} is a float network: give --calibrate with inputs like those it will see (a folder of pictures, .npy, .npz or raw files)"
            );
        }
        let shape = network.graph.tensor(network.graph.inputs[0]).shape;
        let data = self.data.open(&self.calibrate, shape, None, self.data.class_names()?)?;
        let defaults = quantize::Options::default();
        let options = quantize::Options {
            ranges: self.ranges.unwrap_or(defaults.ranges),
            bias_correction: !self.no_bias_correction,
            effort: match self.effort {
                None | Some(EffortName::Low) => Effort::Low,
                Some(EffortName::Medium) => Effort::Medium,
                Some(EffortName::High) => Effort::High,
            },
            samples: self.samples.map_or(defaults.samples, |samples| samples as usize),
            ..defaults
        };
        let quantized = quantize::quantize(&network.graph, &data, &options, &|stage, done, total| {
            let name = match stage {
                Stage::Ranges => "calibrating ranges",
                Stage::Biases => "correcting biases",
                Stage::Search => "trying other ranges",
                Stage::Errors => "measuring errors",
            };
            progress.set(name, done, total);
        })
        .with_context(|| format!("cannot quantize {path}"))?;
        Ok(Converted {
            graph: quantized.graph,
            report: quantized.report,
            tensors: quantized.tensors,
            remedies: quantized.remedies,
            pictures: data.bytes(0)?.is_some(),
            float: Some(network.graph),
            format: network.format,
            samples: data.spread(options.samples).len(),
        })
    }

    /// The network for the target, and its memory.
    pub fn plan(&self, graph: &QuantizedGraph, options: &PlanOptions) -> (Lowered, Plan) {
        plan_for(graph, self.target, options)
    }

    /// How ranges are chosen, as the user would say it.
    pub fn range_method(&self) -> String {
        self.ranges.unwrap_or_default().to_string()
    }

    /// What the packed file says beside the network; `pictures`: whether its inputs are pictures.
    pub fn metadata(&self, graph: &QuantizedGraph, pictures: bool) -> Result<Metadata> {
        let labels = self.data.class_names()?;
        let outputs = graph.tensor(graph.output).shape.len();
        if !labels.is_empty() && labels.len() != outputs {
            bail!("the labels name {} classes, the network has {outputs} outputs", labels.len());
        }
        let input = graph.tensor(graph.input).quantization;
        Ok(Metadata {
            name: graph.name.lines().next().unwrap_or_default().to_owned(),
            labels,
            preprocessing: pictures.then(|| self.data.preprocessing().tables(input)),
            ..Metadata::default()
        })
    }
}
