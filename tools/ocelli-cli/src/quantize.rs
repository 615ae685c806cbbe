//! `ocelli quantize`: from a network file to a packed model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ocelli::Target;
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::import::Imported;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan_with;
use ocelli_compiler::quantize::constant_channels;
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::quantize::{self, LayerReport, Stage};
use ocelli_compiler::quantized::{Operation, QuantizedGraph, QuantizedNode};
use ocelli_compiler::targets::{Form, Layer, Lowered, lower};
use ocelli_format::Metadata;
use serde::Serialize;

use crate::progress::Progress;
use crate::table::{grouped, short, table};
use crate::{data, files, memory, network, print};

/// Quantize a float network to int8 and pack it; an int8 TFLite network is packed as it is, byte for byte.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli quantize model.onnx --calibrate pictures/ --preprocess symmetric -o model.ocelli
  ocelli quantize model.onnx --calibrate inputs.npy --ranges mse --samples 200 -o model.ocelli
  ocelli quantize model_int8.tflite -o model.ocelli

Calibration data: a folder of pictures, strips of pictures (--tile W,H), .npy and .npz arrays, or raw files (--raw TYPE).")]
pub struct Arguments {
    /// The network: ONNX or TFLite.
    network: PathBuf,
    /// Inputs like those that the network will see: 100 to 200 suffice.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// The packed model to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The core that the model will run on: cortex-m0, cortex-m0plus, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or rv32, or
    /// `portable` for any. Every model gives the same bytes on every core; it is fast on its own.
    #[arg(long, value_name = "NAME", default_value = "portable", value_parser = parse_target)]
    target: Target,
    /// How ranges are chosen: min-max, percentile:P (such as percentile:99.99), or mse. [default: mse]
    #[arg(long, value_name = "METHOD", value_parser = parse_ranges)]
    ranges: Option<RangeMethod>,
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
    memory: memory::Options,
    #[command(flatten)]
    data: data::Options,
    /// Print JSON: a line a layer, then one for the model.
    #[arg(long)]
    json: bool,
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
        _ => text
            .strip_prefix("percentile:")
            .and_then(|percent| percent.parse().ok())
            .filter(|percent| (50.0..=100.0).contains(percent))
            .map(RangeMethod::Percentile)
            .ok_or_else(|| "choose from min-max, mse, percentile:P with P from 50 to 100".to_owned()),
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    operation: &'static str,
    shape: [usize; 3],
    macs: u64,
    /// Whether a convolution has the target's own kernel, and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<String>,
    /// Of a layer that was quantized here.
    #[serde(flatten)]
    quality: Option<Quality>,
}

#[derive(Serialize)]
struct Quality {
    weight_bytes: usize,
    /// `None`: no error at all.
    sqnr_db: Option<f64>,
    saturation_percent: f64,
}

#[derive(Serialize)]
struct Summary {
    model: String,
    file: String,
    target: &'static str,
    numerics: &'static str,
    macs: u64,
    /// Before constant channels were left out.
    macs_before: u64,
    constant_channels: usize,
    arena_bytes: usize,
    feed: &'static str,
    file_bytes: usize,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_folder(&arguments.output)?;
    let network = network::load(&arguments.network, &arguments.input_shape)?;
    network.ends().map_err(|problem| anyhow!("cannot pack {}: {problem}", arguments.network.display()))?;
    let network = network.imported;
    let Quantized { mut graph, report, pictures } =
        if network.int8 { as_it_is(&network, arguments)? } else { from_float(&network, arguments)? };
    let macs = graph.nodes.iter().map(|node| graph.macs(node)).sum::<u64>();
    let constant_channels = constant_channels::fold(&mut graph);
    let lowered = lower(&graph, arguments.target).with_context(|| {
        format!("there are no kernels for {} yet: leave --target away", arguments.target.name())
    })?;
    let layers = layers(&graph, &lowered, &report);
    let graph = lowered.graph;
    let layout = plan_with(&graph, &arguments.memory.plan());
    arguments.memory.check(&graph, &layout)?;
    let input = graph.tensor(graph.input);
    let metadata = Metadata {
        name: graph.name.lines().next().unwrap_or_default().to_owned(),
        labels: arguments.data.class_names()?,
        preprocessing: pictures.then(|| arguments.data.preprocessing().tables(input.quantization)),
        ..Metadata::default()
    };
    check_labels(&graph, &metadata)?;
    let file = pack(&graph, &layout, metadata)
        .with_context(|| format!("cannot pack {}", arguments.network.display()))?;
    files::write_whole(&arguments.output, &file)?;
    let summary = Summary {
        model: graph.name.clone(),
        file: arguments.output.display().to_string(),
        target: arguments.target.name(),
        numerics: graph.numerics.name(),
        macs: graph.nodes.iter().map(|node| graph.macs(node)).sum(),
        macs_before: macs,
        constant_channels,
        arena_bytes: layout.arena_bytes,
        feed: layout.feed.name(),
        file_bytes: file.len(),
    };
    let busiest = graph.nodes.get(layout.busiest).map_or_else(String::new, |node| short(&node.name));
    print(&summary, &layers, &busiest, arguments.json)
}

/// An int8 network on its way.
struct Quantized {
    graph: QuantizedGraph,
    report: Vec<LayerReport>,
    /// Whether its inputs are pictures, so far as can be told.
    pictures: bool,
}

fn as_it_is(network: &Imported, arguments: &Arguments) -> Result<Quantized> {
    for (option, given) in [
        ("--calibrate", !arguments.calibrate.is_empty()),
        ("--ranges", arguments.ranges.is_some()),
        ("--samples", arguments.samples.is_some()),
        ("--no-bias-correction", arguments.no_bias_correction),
    ] {
        if given {
            bail!("{} is int8 already and packed as it is: leave {option} away", arguments.network.display());
        }
    }
    let graph = imported(&network.graph)
        .with_context(|| format!("cannot take {} as it is", arguments.network.display()))?;
    Ok(Quantized { graph, report: Vec::new(), pictures: arguments.data.is_preprocessing_given() })
}

fn from_float(network: &Imported, arguments: &Arguments) -> Result<Quantized> {
    let path = arguments.network.display();
    if arguments.calibrate.is_empty() {
        bail!(
            "{path} is a float network: give --calibrate with inputs like those it will see (a folder of pictures, .npy, .npz or raw files)"
        );
    }
    let shape = network.graph.tensor(network.graph.inputs[0]).shape;
    let data = arguments.data.open(&arguments.calibrate, shape, None, arguments.data.class_names()?)?;
    let defaults = quantize::Options::default();
    let options = quantize::Options {
        ranges: arguments.ranges.unwrap_or(defaults.ranges),
        bias_correction: !arguments.no_bias_correction,
        samples: arguments.samples.map_or(defaults.samples, |samples| samples as usize),
        ..defaults
    };
    let progress = Progress::new(!arguments.json);
    let quantized = quantize::quantize(&network.graph, &data, &options, &|stage, done, total| {
        let name = match stage {
            Stage::Ranges => "calibrating ranges",
            Stage::Biases => "correcting biases",
            Stage::Errors => "measuring errors",
        };
        progress.set(name, done, total);
    })
    .with_context(|| format!("cannot quantize {path}"))?;
    Ok(Quantized { graph: quantized.graph, report: quantized.report, pictures: data.bytes(0)?.is_some() })
}

fn check_labels(graph: &QuantizedGraph, metadata: &Metadata) -> Result<()> {
    let outputs = graph.tensor(graph.output).shape.len();
    if !metadata.labels.is_empty() && metadata.labels.len() != outputs {
        bail!("the labels name {} classes, the network has {outputs} outputs", metadata.labels.len());
    }
    Ok(())
}

/// A row for each layer of the packed model; `report` has one for each node of the network that takes a step.
fn layers(graph: &QuantizedGraph, lowered: &Lowered, report: &[LayerReport]) -> Vec<Row> {
    let takes_a_step = |node: &QuantizedNode| !matches!(node.operation, Operation::Reshape);
    let steps = (0..graph.nodes.len()).filter(|&node| takes_a_step(&graph.nodes[node]));
    let report: BTreeMap<usize, &LayerReport> = steps.zip(report).collect();
    let rows = lowered.graph.nodes.iter().zip(&lowered.layers).filter(|(node, _)| takes_a_step(node));
    rows.map(|(node, Layer { nodes, form })| {
        let shape = lowered.graph.tensor(node.output).shape;
        let reports: Vec<&LayerReport> = nodes.iter().filter_map(|node| report.get(node).copied()).collect();
        Row {
            name: node.name.clone(),
            operation: node.operation.name(),
            shape: [shape.height, shape.width, shape.channels],
            macs: lowered.graph.macs(node),
            kernel: match form {
                _ if lowered.graph.target == Target::Portable => None,
                Form::Common => None,
                Form::Packed => Some("packed".to_owned()),
                Form::Portable(reason) => Some(format!("portable: {reason}")),
            },
            quality: reports.last().map(|last| Quality {
                weight_bytes: reports.iter().map(|report| report.weight_bytes).sum(),
                sqnr_db: last.sqnr_db.is_finite().then_some(last.sqnr_db),
                saturation_percent: last.saturation_percent,
            }),
        }
    })
    .collect()
}

fn print(summary: &Summary, layers: &[Row], busiest: &str, json: bool) -> Result<()> {
    if json {
        for layer in layers {
            print::line(format_args!("{}", serde_json::to_string(layer)?))?;
        }
        print::line(format_args!("{}", serde_json::to_string(summary)?))?;
        return Ok(());
    }
    let kernels = layers.iter().any(|layer| layer.kernel.is_some());
    let qualities = layers.iter().any(|layer| layer.quality.is_some());
    let mut header = vec!["layer", "operation", "output", "MACs"];
    if qualities {
        header.extend(["bytes", "SQNR dB", "saturated %"]);
    }
    if kernels {
        header.push("kernel");
    }
    let mut rows = table(&header, 3);
    for layer in layers {
        let [height, width, channels] = layer.shape;
        let mut row = vec![
            layer.name.split(" + ").map(short).collect::<Vec<_>>().join(" + "),
            layer.operation.to_owned(),
            format!("{height}x{width}x{channels}"),
            grouped(layer.macs),
        ];
        if let Some(quality) = &layer.quality {
            row.push(grouped(quality.weight_bytes as u64));
            row.push(quality.sqnr_db.map_or("exact".to_owned(), |ratio| format!("{ratio:.1}")));
            row.push(format!("{:.2}", quality.saturation_percent));
        }
        if kernels {
            row.push(layer.kernel.clone().unwrap_or_default());
        }
        rows.add_row(row);
    }
    print::line(format_args!("{rows}"))?;
    if summary.constant_channels > 0 {
        print::line(format_args!(
            "{} channels provably never change or matter and were left out: {} MACs become {}",
            grouped(summary.constant_channels as u64),
            grouped(summary.macs_before),
            grouped(summary.macs)
        ))?;
    }
    print::line(format_args!(
        "{}: {} MACs, {} arithmetic, {} layout",
        summary.file,
        grouped(summary.macs),
        summary.numerics,
        summary.target
    ))?;
    print::line(format_args!(
        "arena {} bytes (busiest at `{busiest}`), file {} bytes",
        grouped(summary.arena_bytes as u64),
        grouped(summary.file_bytes as u64)
    ))?;
    Ok(())
}
