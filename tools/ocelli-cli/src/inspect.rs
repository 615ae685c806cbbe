//! `ocelli inspect`: what a network file or a packed model holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ocelli::{Model, Step, Target, TensorInfo};
use ocelli_compiler::graph::Shape;
use ocelli_compiler::import::{Format, Imported, Problem};
use ocelli_compiler::pack::AlignedBytes;
use ocelli_compiler::quantize::constant_channels;
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::quantized::QuantizedGraph;
use ocelli_compiler::targets::{Form, form};
use serde::Serialize;

use crate::table::{grouped, short, table};
use crate::{files, network, print};

/// Show what a network or a packed model holds: operators, shapes, MACs, weights, channels that never change, kernels, and everything that
/// is not supported, with the remedy.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli inspect model.onnx
  ocelli inspect model.tflite --json
  ocelli inspect model.ocelli")]
pub struct Arguments {
    /// An ONNX or TFLite network, or a packed model.
    file: PathBuf,
    /// The input's dimensions in the network's own order, batch included, where the file leaves some open.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    input_shape: Vec<usize>,
    /// Print JSON: a line a node (or step), then one for the file; problems as a line each.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    operator: String,
    output: [usize; 3],
    macs: u64,
    /// Of a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<usize>,
    /// Channels of the output that `quantize` leaves out, of an int8 network.
    #[serde(skip_serializing_if = "Option::is_none")]
    constant_channels: Option<usize>,
    /// Of a packed model: whether a convolution has the target's own form, and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<String>,
}

/// What is left of an int8 network without the channels that provably never change or matter.
#[derive(Serialize)]
struct Fold {
    constant_channels: usize,
    channels: usize,
    macs: u64,
    weights: [usize; 2],
    /// By node: its name, and how many channels of its output go.
    #[serde(skip)]
    nodes: BTreeMap<String, usize>,
}

impl Fold {
    fn of(graph: &QuantizedGraph) -> Self {
        let mut folded = graph.clone();
        let constant_channels = constant_channels::fold(&mut folded);
        let channels =
            |graph: &QuantizedGraph, node: usize| graph.tensor(graph.nodes[node].output).shape.channels;
        let nodes = (0..graph.nodes.len())
            .map(|node| (graph.nodes[node].name.clone(), channels(graph, node) - channels(&folded, node)));
        Self {
            constant_channels,
            channels: (0..graph.nodes.len()).map(|node| channels(graph, node)).sum(),
            macs: folded.nodes.iter().map(|node| folded.macs(node)).sum(),
            weights: [graph.weights(), folded.weights()],
            nodes: nodes.collect(),
        }
    }
}

#[derive(Serialize)]
struct ProblemLine<'a> {
    problem: &'a str,
    node: Option<&'a str>,
    operator: Option<&'a str>,
    remedy: &'a str,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let cannot_read = || format!("cannot read {}", arguments.file.display());
    if files::is_packed(&arguments.file).with_context(cannot_read)? {
        let bytes = std::fs::read(&arguments.file).with_context(cannot_read)?;
        return packed(&arguments.file, &AlignedBytes::new(&bytes), arguments.json);
    }
    match network::load(&arguments.file, &arguments.input_shape) {
        Ok(loaded) => source(&arguments.file, &loaded, arguments.json),
        Err(network::Error::Import(error)) if arguments.json => {
            for problem in &error.problems {
                print_problem(problem)?;
            }
            Err(anyhow!(
                "cannot import {}: problems above: {}",
                arguments.file.display(),
                error.problems.len()
            ))
        }
        Err(error) => Err(error.into()),
    }
}

fn print_problem(Problem { node, operator, reason, remedy }: &Problem) -> Result<()> {
    let line = ProblemLine { problem: reason, node: node.as_deref(), operator: operator.as_deref(), remedy };
    Ok(print::line(serde_json::to_string(&line)?)?)
}

fn source(path: &Path, network: &network::Network, json: bool) -> Result<()> {
    let Imported { graph, format, int8, notes, .. } = &network.imported;
    // A network that cannot be taken as it is, is refused at the end.
    let int8_graph = int8.then(|| imported(graph));
    let fold = int8_graph.as_ref().and_then(|graph| graph.as_ref().ok()).map(Fold::of);
    let rows: Vec<Row> = graph
        .summary()
        .into_iter()
        .map(|node| Row {
            constant_channels: fold.as_ref().map(|fold| fold.nodes.get(&node.name).copied().unwrap_or(0)),
            name: node.name,
            operator: node.operator,
            output: axes(node.shape),
            macs: node.macs,
            parameters: Some(node.parameters),
            kernel: None,
        })
        .collect();
    let macs = rows.iter().map(|row| row.macs).sum::<u64>();
    let parameters = rows.iter().map(|row| row.parameters.unwrap_or(0) as u64).sum::<u64>();
    let kind = if *int8 { "int8" } else { "float" };
    let format = match format {
        Format::Onnx => "ONNX",
        Format::TfLite => "TFLite",
    };
    let edges = |ids: &[ocelli_compiler::graph::TensorId]| -> Vec<String> {
        ids.iter().map(|&id| format!("{} {}", graph.tensor(id).name, graph.tensor(id).shape)).collect()
    };
    let (inputs, outputs) = (edges(&graph.inputs), edges(&graph.outputs));
    if json {
        print_lines(&rows)?;
        let line = serde_json::json!({
            "name": graph.name, "format": format, "kind": kind, "inputs": inputs, "outputs": outputs,
            "macs": macs, "parameters": parameters, "simplified": network.simplified, "notes": notes, "fold": fold,
        });
        print::line(format_args!("{line}"))?;
    } else {
        print_table(&rows)?;
        print::line(format_args!(
            "{}: {format}, {kind}, {} nodes, {} MACs, {} parameters",
            graph.name,
            rows.len(),
            grouped(macs),
            grouped(parameters)
        ))?;
        print::line(format_args!("input {}; output {}", inputs.join(", "), outputs.join(", ")))?;
        for what in &network.simplified {
            print::line(format_args!("simplified: {what}"))?;
        }
        for note in notes {
            print::line(format_args!("note: {note}"))?;
        }
        match &fold {
            Some(fold) => print_fold(fold, macs)?,
            None if *int8 => {}
            None => print::line(
                "channels that never change depend on the ranges of int8 values: `ocelli quantize` finds them and leaves them out",
            )?,
        }
    }
    ends(path, network, json)?;
    if let Some(Err(refusal)) = int8_graph {
        return Err(anyhow!("cannot take {} as it is: {refusal}", path.display()));
    }
    if !json {
        print::line("every operator is supported")?;
    }
    Ok(())
}

fn print_fold(fold: &Fold, macs: u64) -> Result<()> {
    if fold.constant_channels == 0 {
        return Ok(print::line("every channel can change and matters")?);
    }
    Ok(print::line(format_args!(
        "{} of {} channels provably never change or matter, `ocelli quantize` leaves them out: {} MACs become {}, {} weights {}",
        grouped(fold.constant_channels as u64),
        grouped(fold.channels as u64),
        grouped(macs),
        grouped(fold.macs),
        grouped(fold.weights[0] as u64),
        grouped(fold.weights[1] as u64),
    ))?)
}

/// Refuses a network that cannot be packed for its inputs and outputs.
fn ends(path: &Path, network: &network::Network, json: bool) -> Result<()> {
    match network.ends() {
        Ok(_) => Ok(()),
        Err(problem) => {
            if json {
                print_problem(&problem)?;
            }
            Err(anyhow!("cannot pack {}: {problem}", path.display()))
        }
    }
}

fn packed(path: &Path, bytes: &AlignedBytes, json: bool) -> Result<()> {
    let model = Model::open(bytes.bytes()).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let rows: Vec<Row> = model
        .steps()
        .enumerate()
        .map(|(index, step)| Row {
            name: format!("step {index}"),
            operator: step.operator.name().to_owned(),
            output: model.tensor(step.output).map_or([0; 3], |tensor| axes(shape(tensor))),
            macs: model.step_macs(&step),
            parameters: None,
            constant_channels: None,
            kernel: kernel(&model, &step),
        })
        .collect();
    let labels: Vec<&str> = model.labels().collect();
    if json {
        print_lines(&rows)?;
        let line = serde_json::json!({
            "name": model.name(), "format": "packed", "version": ocelli_format::VERSION, "target": model.target().name(),
            "numerics": model.numerics().name(), "file_bytes": model.file_bytes(), "weight_bytes": model.weight_bytes(),
            "arena_bytes": model.arena_bytes(), "macs": model.macs(), "labels": labels,
            "input": axes(shape(model.input())), "output": axes(shape(model.output())),
        });
        print::line(format_args!("{line}"))?;
        return Ok(());
    }
    print_table(&rows)?;
    print::line(format_args!(
        "{}: packed, format {}, {} layout, {} arithmetic, {} MACs",
        model.name(),
        ocelli_format::VERSION,
        model.target().name(),
        model.numerics().name(),
        grouped(u64::from(model.macs()))
    ))?;
    print::line(format_args!(
        "arena {} bytes, file {} bytes, of which weights and parameters {}",
        grouped(model.arena_bytes() as u64),
        grouped(model.file_bytes() as u64),
        grouped(model.weight_bytes() as u64)
    ))?;
    for (name, tensor) in [("input", model.input()), ("output", model.output())] {
        print::line(format_args!(
            "{name} {}, scale {}, zero point {}",
            shape(tensor),
            tensor.scale,
            tensor.zero_point
        ))?;
    }
    if !labels.is_empty() {
        print::line(format_args!("labels {}", labels.join(", ")))?;
    }
    print::line(format_args!(
        "pictures {}",
        if model.preprocessing().is_some() {
            "are converted by tables in the file"
        } else {
            "are not its input"
        }
    ))?;
    Ok(())
}

/// The form of a convolution's parameters and why it is not the target's own, in a model for a target.
fn kernel(model: &Model<'_>, step: &Step<'_>) -> Option<String> {
    match form(model, step) {
        _ if model.target() == Target::Portable => None,
        Form::Common => None,
        Form::Packed => Some(format!("packed for {}", model.target().name())),
        Form::Portable(reason) => Some(format!("portable: {reason}")),
    }
}

fn shape(tensor: &TensorInfo) -> Shape {
    Shape::new(tensor.height.into(), tensor.width.into(), tensor.channels.into())
}

fn axes(shape: Shape) -> [usize; 3] {
    [shape.height, shape.width, shape.channels]
}

fn print_lines(rows: &[Row]) -> Result<()> {
    for row in rows {
        print::line(format_args!("{}", serde_json::to_string(row)?))?;
    }
    Ok(())
}

fn print_table(rows: &[Row]) -> Result<()> {
    let has = |column: fn(&Row) -> bool| rows.iter().any(column);
    let parameters = has(|row| row.parameters.is_some());
    let constant = has(|row| row.constant_channels > Some(0));
    let kernels = has(|row| row.kernel.is_some());
    let mut header = vec!["name", "operator", "output", "MACs"];
    header.extend(parameters.then_some("parameters"));
    header.extend(constant.then_some("constant channels"));
    header.extend(kernels.then_some("kernel"));
    let mut lines = table(&header, 3);
    for row in rows {
        let [height, width, channels] = row.output;
        let mut cells = vec![
            short(&row.name),
            row.operator.clone(),
            format!("{height}x{width}x{channels}"),
            grouped(row.macs),
        ];
        cells.extend(parameters.then(|| grouped(row.parameters.unwrap_or(0) as u64)));
        cells.extend(constant.then(|| grouped(row.constant_channels.unwrap_or(0) as u64)));
        cells.extend(kernels.then(|| row.kernel.clone().unwrap_or_default()));
        lines.add_row(cells);
    }
    Ok(print::line(lines)?)
}
