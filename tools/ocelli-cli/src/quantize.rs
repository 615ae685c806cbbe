//! `ocelli quantize`: from a network file to a packed model.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use ocelli::Target;
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::import::Imported;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::{Plan, plan};
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::quantize::{self, LayerReport, Stage};
use ocelli_compiler::quantized::QuantizedGraph;
use ocelli_format::Metadata;
use serde::Serialize;

use crate::progress::Progress;
use crate::table::{grouped, short, table};
use crate::{data, files, network};

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
    /// What the model will run on.
    #[arg(long, value_name = "NAME", default_value = "portable", value_parser = parse_target)]
    target: Target,
    /// How ranges are chosen: min-max, percentile:P (such as percentile:99.99), or mse.
    #[arg(long, value_name = "METHOD", value_parser = parse_ranges)]
    ranges: Option<RangeMethod>,
    /// Calibration inputs to use at most, spread over the data.
    #[arg(long, value_name = "N", default_value_t = 200)]
    samples: usize,
    /// Leave the shift in that rounded weights cause.
    #[arg(long)]
    no_bias_correction: bool,
    /// The input's dimensions in the network's own order, batch included, where the file leaves some open.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    input_shape: Vec<usize>,
    #[command(flatten)]
    data: data::Options,
    /// Print JSON: a line a layer, then one for the model.
    #[arg(long)]
    json: bool,
}

/// Names of targets; all have the portable layout so far.
const TARGETS: [&str; 8] =
    ["portable", "cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "riscv32"];

fn parse_target(text: &str) -> Result<Target, String> {
    if TARGETS.contains(&text) {
        Ok(Target::Portable)
    } else {
        Err(format!("choose from {}", TARGETS.join(", ")))
    }
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
struct Layer<'a> {
    name: &'a str,
    operation: &'a str,
    shape: [usize; 3],
    macs: u64,
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
    arena_bytes: usize,
    file_bytes: usize,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let network = network::load(&arguments.network, &arguments.input_shape)?.imported;
    let (graph, report) = if network.int8 {
        (as_it_is(&network, arguments)?, Vec::new())
    } else {
        from_float(&network, arguments)?
    };
    let layout = plan(&graph);
    let input = graph.tensor(graph.input);
    let is_picture = matches!(input.shape.channels, 1 | 3);
    let metadata = Metadata {
        name: graph.name.lines().next().unwrap_or_default().to_owned(),
        labels: arguments.data.class_names()?,
        preprocessing: is_picture.then(|| arguments.data.preprocessing().tables(input.quantization)),
        ..Metadata::default()
    };
    check_labels(&graph, &metadata)?;
    let file = pack(&graph, &layout, arguments.target, metadata)
        .with_context(|| format!("cannot pack {}", arguments.network.display()))?;
    files::write_whole(&arguments.output, &file)?;
    print(arguments, &graph, &layout, &report, file.len())
}

fn as_it_is(network: &Imported, arguments: &Arguments) -> Result<QuantizedGraph> {
    if !arguments.calibrate.is_empty() {
        bail!(
            "{} is int8 already: it is packed as it is, leave --calibrate away",
            arguments.network.display()
        );
    }
    imported(&network.graph).with_context(|| format!("cannot take {} as it is", arguments.network.display()))
}

fn from_float(network: &Imported, arguments: &Arguments) -> Result<(QuantizedGraph, Vec<LayerReport>)> {
    let path = arguments.network.display();
    if arguments.calibrate.is_empty() {
        bail!(
            "{path} is a float network: give --calibrate with inputs like those it will see (a folder of pictures, .npy, .npz or raw files)"
        );
    }
    let shape = match network.graph.inputs.as_slice() {
        [input] => network.graph.tensor(*input).shape,
        inputs => bail!("{path} has {} inputs; networks of one input are supported", inputs.len()),
    };
    let data = arguments.data.open(&arguments.calibrate, shape, None)?;
    let defaults = quantize::Options::default();
    let options = quantize::Options {
        ranges: arguments.ranges.unwrap_or(defaults.ranges),
        bias_correction: !arguments.no_bias_correction,
        samples: arguments.samples,
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
    Ok((quantized.graph, quantized.report))
}

fn check_labels(graph: &QuantizedGraph, metadata: &Metadata) -> Result<()> {
    let outputs = graph.tensor(graph.output).shape.len();
    if !metadata.labels.is_empty() && metadata.labels.len() != outputs {
        bail!("the labels name {} classes, the network has {outputs} outputs", metadata.labels.len());
    }
    Ok(())
}

fn print(
    arguments: &Arguments,
    graph: &QuantizedGraph,
    layout: &Plan,
    report: &[LayerReport],
    file_bytes: usize,
) -> Result<()> {
    let summary = Summary {
        model: graph.name.clone(),
        file: arguments.output.display().to_string(),
        target: arguments.target.name(),
        numerics: graph.numerics.name(),
        macs: graph.nodes.iter().map(|node| graph.macs(node)).sum(),
        arena_bytes: layout.arena_bytes,
        file_bytes,
    };
    if arguments.json {
        for layer in report {
            let shape = [layer.shape.height, layer.shape.width, layer.shape.channels];
            let LayerReport { name, operation, macs, weight_bytes, sqnr_db, saturation_percent, .. } = layer;
            let line = Layer {
                name,
                operation,
                shape,
                macs: *macs,
                weight_bytes: *weight_bytes,
                sqnr_db: sqnr_db.is_finite().then_some(*sqnr_db),
                saturation_percent: *saturation_percent,
            };
            println!("{}", serde_json::to_string(&line)?);
        }
        println!("{}", serde_json::to_string(&summary)?);
        return Ok(());
    }
    if !report.is_empty() {
        let mut rows = table(&["layer", "operation", "output", "MACs", "bytes", "SQNR dB", "saturated %"], 3);
        for layer in report {
            rows.add_row([
                short(&layer.name),
                layer.operation.clone(),
                layer.shape.to_string(),
                grouped(layer.macs),
                grouped(layer.weight_bytes as u64),
                if layer.sqnr_db.is_finite() { format!("{:.1}", layer.sqnr_db) } else { "exact".to_owned() },
                format!("{:.2}", layer.saturation_percent),
            ]);
        }
        println!("{rows}");
    }
    println!(
        "{}: {} MACs, {} arithmetic, {} layout",
        summary.file,
        grouped(summary.macs),
        summary.numerics,
        summary.target
    );
    println!(
        "arena {} bytes (busiest at `{}`), file {} bytes",
        grouped(layout.arena_bytes as u64),
        graph.nodes.get(layout.busiest).map_or_else(String::new, |node| short(&node.name)),
        grouped(file_bytes as u64)
    );
    Ok(())
}
