//! `ocelli profile`: what each layer of a packed model takes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ocelli::{Engine, Model, Operator, Step, Target, operator, test_bytes};
use ocelli_compiler::pack::AlignedBytes;
use ocelli_machines::qemu::Runner;
use serde::Serialize;

use crate::print;
use crate::run::Place;
use crate::table::{grouped, table};

/// Show what each layer of a packed model takes on the host or on a QEMU machine.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli profile digits.ocelli
  ocelli profile vww.ocelli --on qemu:m0 --json

On a machine, instructions are shown; on the host, the least time of several runs. Where `cargo xtask setup` found a C compiler, instructions
are exact (else to 50), and the cycles of m0, m3 and m4 are estimated: the timings of the core's manual, memory without wait states.
The buffer is what a layer has of the arena: its output, or the rows of it that are kept, and its working memory; of all, the arena.")]
pub struct Arguments {
    /// The packed model, made by `ocelli quantize`.
    model: PathBuf,
    /// Where to run.
    #[arg(long, value_name = "PLACE", default_value = "qemu:m4")]
    on: Place,
    /// Print a JSON object a line: one for each layer, then one for the model.
    #[arg(long)]
    json: bool,
    /// Give up after this many seconds (on a machine).
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
}

/// What a layer takes.
#[derive(Serialize)]
struct Layer {
    layer: usize,
    operator: &'static str,
    /// Whose kernel runs it: the target's name or `portable`.
    kernel: &'static str,
    /// Height, width and channels.
    output: [u16; 3],
    macs: u64,
    /// On a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<u64>,
    /// Estimated, on machines whose core's timings are known, where the plugin for it is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles: Option<u64>,
    /// On the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<u64>,
    buffer_bytes: usize,
}

/// What the whole model takes.
#[derive(Serialize)]
struct Total {
    model: String,
    on: String,
    numerics: &'static str,
    target: &'static str,
    macs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<u64>,
    arena_bytes: usize,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = arguments.model.display();
    let bytes = std::fs::read(&arguments.model).with_context(|| format!("cannot read {path}"))?;
    let bytes = AlignedBytes::new(&bytes);
    let model = Model::open(bytes.bytes()).map_err(|error| anyhow!("{path}: {error}"))?;
    let steps: Vec<Step<'_>> = model.steps().collect();
    let input: Vec<i8> = test_bytes(1).take(model.input().len()).collect();

    let (costs, nanoseconds) = match arguments.on {
        Place::Host => (None, Some(times(model, &input)?)),
        Place::Qemu(machine) => {
            let input: Vec<u8> = input.iter().map(|&value| value.cast_unsigned()).collect();
            let limit = Duration::from_secs(arguments.limit);
            (Some(Runner::new(machine)?.profile(bytes.bytes(), steps.len(), &input, limit)?), None)
        }
    };
    let buffers = buffer_bytes(&model, &steps);
    let layers: Vec<Layer> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| Layer {
            layer: index,
            operator: step.operator.name(),
            kernel: kernel(&model, step),
            output: model
                .tensor(step.output)
                .map_or([0; 3], |tensor| [tensor.height, tensor.width, tensor.channels]),
            macs: model.step_macs(step),
            instructions: costs.as_ref().map(|costs| costs[index].instructions),
            cycles: costs.as_ref().and_then(|costs| costs[index].cycles),
            nanoseconds: nanoseconds.as_ref().map(|times| times[index]),
            buffer_bytes: buffers[index],
        })
        .collect();
    let total = Total {
        model: model.name().to_owned(),
        on: arguments.on.name(),
        numerics: model.numerics().name(),
        target: model.target().name(),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        instructions: costs.as_ref().map(|costs| costs.iter().map(|cost| cost.instructions).sum()),
        cycles: costs.and_then(|costs| costs.iter().map(|cost| cost.cycles).sum()),
        nanoseconds: nanoseconds.map(|times| times.iter().sum()),
        arena_bytes: model.arena_bytes(),
    };
    if arguments.json {
        for layer in &layers {
            print::line(serde_json::to_string(layer)?)?;
        }
        return Ok(print::line(serde_json::to_string(&total)?)?);
    }
    print_table(&layers, &total)
}

/// The least nanoseconds of each step in several runs on the host.
fn times(model: Model<'_>, input: &[i8]) -> Result<Vec<u64>> {
    const RUNS: usize = 5;
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena)?;
    let mut least = vec![u64::MAX; model.steps().count()];
    for _ in 0..RUNS {
        let mut taken = vec![0; least.len()];
        let mut start = Instant::now();
        engine.run_observed(input, |index, _, _, _| {
            taken[index] += start.elapsed().as_nanos() as u64;
            start = Instant::now();
        })?;
        least.iter_mut().zip(taken).for_each(|(least, taken)| *least = taken.min(*least));
    }
    Ok(least)
}

/// Whose kernel runs a step: the target's, where it has kernels for the operator and the parameters are in its layout if it has one.
fn kernel(model: &Model<'_>, step: &Step<'_>) -> &'static str {
    let has_unpacked_kernels = matches!(
        step.operator,
        Operator::AddQ32
            | Operator::AddTfLite
            | Operator::MulQ32
            | Operator::MulTfLite
            | Operator::AveragePoolQ32
            | Operator::AveragePoolTfLite
            | Operator::MaxPool
            | Operator::MeanTfLite
            | Operator::Table
            | Operator::AttentionQ32
            | Operator::NormQ32
    );
    let of_target = step.operator.is_packed() || has_unpacked_kernels;
    if of_target { model.target().name() } else { Target::Portable.name() }
}

/// Bytes of the arena that the output of each step has, or the rows of it that are kept, and the step's working memory.
fn buffer_bytes(model: &Model<'_>, steps: &[Step<'_>]) -> Vec<usize> {
    let bytes = |tensor: u16| {
        let tensor = model.tensor(tensor).filter(|tensor| tensor.constant == 0);
        tensor.and_then(|tensor| tensor.range()).map_or(0, |range| range.len())
    };
    let is_input =
        |tensor: u16| model.tensor(tensor).is_some_and(|tensor| std::ptr::eq(tensor, model.input()));
    let is_made = |tensor: u16| is_input(tensor) || steps.iter().any(|step| step.output == tensor);
    let of = |step: &Step<'_>| {
        let scratch = step.inputs.iter().copied().filter(|&input| !is_made(input));
        bytes(step.output) + scratch.map(bytes).sum::<usize>()
    };
    steps.iter().map(of).collect()
}

fn print_table(layers: &[Layer], total: &Total) -> Result<()> {
    let on_machine = total.instructions.is_some();
    let [cost, each] = if on_machine { ["instructions", "instr/MAC"] } else { ["µs", "ns/MAC"] };
    let mut header = vec!["layer", "operator", "kernel", "output", "MACs", cost, each, "%"];
    if total.cycles.is_some() {
        header.extend(["est. cycles", "cycles/MAC"]);
    }
    header.push("buffer");
    let mut lines = table(&header, 4);

    let all = total.instructions.or(total.nanoseconds).unwrap_or(0);
    let shown = |cost: u64| if on_machine { grouped(cost) } else { format!("{:.1}", cost as f64 / 1000.0) };
    let ratio = |cost: u64, macs: u64| match macs {
        0 => "-".to_owned(),
        _ => format!("{:.2}", cost as f64 / macs as f64),
    };
    let mut row = |names: [String; 4], macs: u64, cost: u64, cycles: Option<u64>, buffer: usize| {
        let mut cells = names.to_vec();
        cells.extend([grouped(macs), shown(cost), ratio(cost, macs)]);
        cells.push(format!("{:.1}", 100.0 * cost as f64 / all.max(1) as f64));
        if let Some(cycles) = cycles {
            cells.extend([grouped(cycles), ratio(cycles, macs)]);
        }
        cells.push(grouped(buffer as u64));
        lines.add_row(cells);
    };
    for layer in layers {
        let [height, width, channels] = layer.output;
        let names = [
            layer.layer.to_string(),
            layer.operator.to_owned(),
            layer.kernel.to_owned(),
            format!("{height}x{width}x{channels}"),
        ];
        let cost = layer.instructions.or(layer.nanoseconds).unwrap_or(0);
        row(names, layer.macs, cost, layer.cycles, layer.buffer_bytes);
    }
    let names = ["all".to_owned(), String::new(), String::new(), String::new()];
    row(names, total.macs, all, total.cycles, total.arena_bytes);
    print::line(lines)?;
    Ok(print::line(format_args!(
        "{} on {}: packed for {}, {} arithmetic",
        total.model, total.on, total.target, total.numerics
    ))?)
}
