//! `ocelli quantize`: from a network file to a packed model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use ocelli::Target;
use ocelli_compiler::pack::pack;
use ocelli_compiler::quantize::constant_channels;
use ocelli_compiler::quantize::{LayerReport, Remedy};
use ocelli_compiler::quantized::{Operation, QuantizedGraph, QuantizedNode};
use ocelli_compiler::targets::{Form, Layer, Lowered};
use serde::Serialize;

use crate::conversion::{Conversion, Converted};
use crate::progress::Progress;
use crate::table::{grouped, short, table};
use crate::{files, memory, print};

/// Quantize a float network to int8 and pack it; an int8 TFLite network is packed as it is, byte for byte.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli quantize model.onnx --calibrate pictures/ --preprocess symmetric -o model.ocelli
  ocelli quantize model.onnx --calibrate inputs.npy --ranges mse --samples 200 -o model.ocelli
  ocelli quantize model_int8.tflite -o model.ocelli

Calibration data: a folder of pictures, strips of pictures (--tile W,H), .npy and .npz arrays, or raw files (--raw TYPE).")]
pub struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
    /// The packed model to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    memory: memory::Options,
    /// Print JSON: a line a layer, then one for the model.
    #[arg(long)]
    json: bool,
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
    /// Ranges that help, or would.
    remedies: Vec<RemedyLine>,
}

/// Another range for a layer.
#[derive(Serialize)]
struct RemedyLine {
    layer: String,
    sqnr_db: f64,
    ranges: String,
    /// In the SQNR of the network's output.
    gain_db: f64,
    adopted: bool,
}

impl RemedyLine {
    fn of(remedy: &Remedy, report: &[LayerReport]) -> Option<Self> {
        let layer = report.get(remedy.layer)?;
        Some(Self {
            layer: layer.name.clone(),
            sqnr_db: layer.sqnr_db,
            ranges: remedy.method.to_string(),
            gain_db: remedy.gain_db,
            adopted: remedy.adopted,
        })
    }
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_folder(&arguments.output)?;
    let progress = Progress::new(!arguments.json);
    let conversion = &arguments.conversion;
    let Converted { mut graph, report, remedies, pictures, .. } =
        conversion.run(conversion.load()?, &progress)?;
    let macs = graph.nodes.iter().map(|node| graph.macs(node)).sum::<u64>();
    let constant_channels = constant_channels::fold(&mut graph);
    let (lowered, layout) = conversion.plan(&graph, &arguments.memory.plan());
    let layers = layers(&graph, &lowered, &report);
    let graph = lowered.graph;
    arguments.memory.check(&graph, &layout)?;
    let file = pack(&graph, &layout, conversion.metadata(&graph, pictures)?)
        .with_context(|| format!("cannot pack {}", conversion.network.display()))?;
    files::write_whole(&arguments.output, &file)?;
    let summary = Summary {
        model: graph.name.clone(),
        file: arguments.output.display().to_string(),
        target: graph.target.name(),
        numerics: graph.numerics.name(),
        macs: graph.nodes.iter().map(|node| graph.macs(node)).sum(),
        macs_before: macs,
        constant_channels,
        arena_bytes: layout.arena_bytes,
        feed: layout.feed.name(),
        file_bytes: file.len(),
        remedies: remedies.iter().filter_map(|remedy| RemedyLine::of(remedy, &report)).collect(),
    };
    let busiest = graph.nodes.get(layout.busiest).map_or_else(String::new, |node| short(&node.name));
    print(&summary, &layers, &busiest, arguments.json)
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
    for RemedyLine { layer, sqnr_db, ranges, gain_db, adopted } in summary.remedies.iter().take(5) {
        let does = if *adopted { "taken, it gives" } else { "not taken, it would give" };
        print::line(format_args!(
            "`{}` ({sqnr_db:.1} dB): another range, by {ranges} ({does} {gain_db:+.2} dB at the output by itself)",
            short(layer)
        ))?;
    }
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
