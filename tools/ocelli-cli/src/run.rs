//! `ocelli run`: a packed model on pictures, on the host or on a QEMU machine.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ocelli::{Engine, Model, Target, operator};
use ocelli_compiler::pack::AlignedBytes;
use ocelli_machines::{MACHINES, Machine, machine, qemu};
use serde::Serialize;

use crate::data::{Tile, parse_tile};
use crate::table::{grouped, table};
use crate::{input, print};

/// Run a packed model on pictures: the same bytes on the host and on every machine.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli run digits.ocelli picture.png
  ocelli run digits.ocelli pictures/*.png --on qemu:m4
  ocelli run vww.ocelli input.bin --on qemu:m0 --json

Machines: host, qemu:m0, qemu:m3, qemu:m4, qemu:m7, qemu:m33, qemu:m55, qemu:rv32.
A file that ends in .bin or .raw holds the input's int8 values as they are, one input after the other.")]
pub struct Arguments {
    /// The packed model, made by `ocelli quantize`.
    model: PathBuf,
    /// Pictures, or raw int8 inputs (.bin, .raw).
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Where to run.
    #[arg(long, value_name = "PLACE", default_value = "host")]
    on: Place,
    /// How many classes to show for each input.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// Width and height of the pictures in a strip of pictures, one below the other.
    #[arg(long, value_name = "W,H", value_parser = parse_tile)]
    tile: Option<Tile>,
    /// Print a JSON object a line: one for each input, then one for the run.
    #[arg(long)]
    json: bool,
    /// Write the output bytes of all inputs, one after the other.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Give up after this many seconds (on a machine).
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
}

/// Where a model runs.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In this process.
    Host,
    /// On a machine in QEMU.
    Qemu(&'static Machine),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "host" {
            return Ok(Self::Host);
        }
        text.strip_prefix("qemu:").and_then(machine).map(Self::Qemu).ok_or_else(|| {
            let names: Vec<String> =
                MACHINES.iter().map(|machine| format!("qemu:{}", machine.name)).collect();
            format!("choose from host, {}", names.join(", "))
        })
    }
}

impl Place {
    /// Name for messages.
    pub fn name(self) -> String {
        match self {
            Self::Host => "host".into(),
            Self::Qemu(machine) => format!("qemu:{} ({})", machine.name, machine.core),
        }
    }
}

/// The answer to one input.
#[derive(Serialize)]
struct Answer {
    input: String,
    output: Vec<i8>,
    classes: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    index: usize,
    label: Option<String>,
    score: f32,
}

/// What the run took; instructions and stack are known on machines alone.
#[derive(Serialize)]
struct Summary {
    model: String,
    on: String,
    numerics: &'static str,
    inferences: usize,
    arena_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_bytes: Option<u64>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes =
        AlignedBytes::new(&std::fs::read(&arguments.model).with_context(|| cannot_read(&arguments.model))?);
    let model =
        Model::open(bytes.bytes()).map_err(|error| anyhow!("{}: {error}", arguments.model.display()))?;
    let inputs = input::read(&model, &arguments.inputs, arguments.tile)?;

    let (outputs, report) = match arguments.on {
        Place::Host => (on_host(model, &inputs)?, None),
        Place::Qemu(machine) => {
            let packed_for = model.target();
            if packed_for != Target::Portable && packed_for.name() != machine.kernels {
                eprintln!(
                    "note: the model is packed for {}, and slow on a {}: `ocelli quantize --target {}` packs it for that",
                    packed_for.name(),
                    machine.core,
                    machine.kernels
                );
            }
            let values: Vec<u8> = inputs
                .iter()
                .flat_map(|input| input.values.iter().map(|&value| value.cast_unsigned()))
                .collect();
            let batch =
                qemu::run_model(machine, bytes.bytes(), &values, Duration::from_secs(arguments.limit))?;
            (batch.outputs.iter().map(|&value| value.cast_signed()).collect(), Some(batch.report))
        }
    };
    let length = model.output().len();
    if outputs.len() != length * inputs.len() {
        bail!(
            "{} gave {} output bytes, {} were expected",
            arguments.on.name(),
            outputs.len(),
            length * inputs.len()
        );
    }
    if let Some(path) = &arguments.output {
        let raw: Vec<u8> = outputs.iter().map(|&value| value.cast_unsigned()).collect();
        crate::files::write_whole(path, &raw)?;
    }
    let answers: Vec<Answer> = inputs
        .iter()
        .zip(outputs.chunks_exact(length))
        .map(|(input, output)| answer(&model, &input.name, output, arguments.top as usize))
        .collect();
    let summary = Summary {
        model: model.name().to_owned(),
        on: arguments.on.name(),
        numerics: model.numerics().name(),
        inferences: inputs.len(),
        arena_bytes: model.arena_bytes(),
        instructions: report.as_ref().map(|report| report.instructions),
        stack_bytes: report.as_ref().map(|report| report.stack_bytes),
    };
    print(&answers, &summary, arguments.json)
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

fn on_host(model: Model<'_>, inputs: &[input::Input]) -> Result<Vec<i8>> {
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena)?;
    let mut outputs = Vec::new();
    for input in inputs {
        outputs.extend_from_slice(&engine.run(&input.values)?);
    }
    Ok(outputs)
}

fn answer(model: &Model<'_>, input: &str, output: &[i8], top: usize) -> Answer {
    let mut order: Vec<usize> = (0..output.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(output[index]));
    let classes = order
        .into_iter()
        .take(top)
        .map(|index| Class {
            index,
            label: model.labels().nth(index).map(str::to_owned),
            score: model.output().dequantize(output[index]),
        })
        .collect();
    Answer { input: input.to_owned(), output: output.to_vec(), classes }
}

fn print(answers: &[Answer], summary: &Summary, json: bool) -> Result<()> {
    if json {
        for answer in answers {
            print::line(format_args!("{}", serde_json::to_string(answer)?))?;
        }
        print::line(format_args!("{}", serde_json::to_string(summary)?))?;
        return Ok(());
    }
    let mut rows = table(&["input", "class", "score"], 2);
    for answer in answers {
        for (rank, class) in answer.classes.iter().enumerate() {
            let name = class.label.clone().unwrap_or_else(|| format!("class {}", class.index));
            let input = if rank == 0 { answer.input.as_str() } else { "" };
            rows.add_row([input, &name, &format!("{:.4}", class.score)]);
        }
    }
    print::line(format_args!("{rows}"))?;
    print::line(format_args!(
        "{} on {}: {} inferences, arena {} bytes",
        summary.model, summary.on, summary.inferences, summary.arena_bytes
    ))?;
    if let (Some(instructions), Some(stack)) = (summary.instructions, summary.stack_bytes) {
        print::line(format_args!(
            "{} instructions an inference, stack {stack} bytes",
            grouped(instructions)
        ))?;
    }
    Ok(())
}
