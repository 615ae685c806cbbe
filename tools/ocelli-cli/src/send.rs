//! `ocelli send`: pictures, row by row, to a board that classifies them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ocelli::Model;
use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::graph::Shape;
use ocelli_compiler::pack::AlignedBytes;
use ocelli_machines::serial::{Board, Frame};
use ocelli_serial::{Info, Kind, Pixels};
use serde::Serialize;

use crate::data::{Tile, parse_tile};
use crate::port::{Open, Port, parse_limit};
use crate::print;
use crate::table::{grouped, table};

/// Send pictures, row by row, to a board that classifies them.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli send picture.png --port /dev/ttyACM0
  ocelli send pictures/*.png --port /dev/ttyACM0 --model digits.ocelli
  ocelli send picture.png --port qemu:m4 --model digits.ocelli
  ocelli send picture.png --port tcp:127.0.0.1:4000

Pictures are scaled to the size of the board's model and sent as pixels. A file that ends in .bin or .raw holds the input's int8 values.
Whatever is lost or damaged on the line is sent again.")]
pub struct Arguments {
    /// Pictures, or raw int8 inputs (.bin, .raw).
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The board's serial port, tcp:HOST:PORT, unix:PATH, or a machine in QEMU (qemu:m4; qemu:rv32:FILE with the flash in FILE), which is started.
    #[arg(long)]
    port: Port,
    /// Speed of a serial port.
    #[arg(long, value_name = "BITS_PER_SECOND", default_value_t = 115_200)]
    baud: u32,
    /// The packed model that the board runs: names its classes, and is what a machine in QEMU runs.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// How many classes to show for each picture.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    top: u64,
    /// Width and height of the pictures in a strip of pictures, one below the other.
    #[arg(long, value_name = "W,H", value_parser = parse_tile)]
    tile: Option<Tile>,
    /// Print a JSON object a line for each picture.
    #[arg(long)]
    json: bool,
    /// Give up when the board is silent for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_limit)]
    limit: Duration,
}

/// A picture's answer.
#[derive(Serialize)]
struct Line {
    input: String,
    output: Vec<i8>,
    classes: Vec<Class>,
    count: u64,
    unit: &'static str,
    repeats: usize,
}

#[derive(Serialize)]
struct Class {
    index: usize,
    label: Option<String>,
    score: f32,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let file = match &arguments.model {
        Some(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(AlignedBytes::new(&bytes))
        }
        None => None,
    };
    let model = match (&file, &arguments.model) {
        (Some(file), Some(path)) => {
            Some(Model::open(file.bytes()).map_err(|error| anyhow!("{}: {error}", path.display()))?)
        }
        _ => None,
    };
    let mut port = arguments.port.open(arguments.baud, file.as_ref().map(AlignedBytes::bytes))?;
    let lines = match send(arguments, &mut port, model.as_ref()) {
        Ok(lines) => lines,
        // The firmware knows better why.
        Err(error) => return Err(port.ended().map_or(error, anyhow::Error::from)),
    };
    if arguments.json {
        for line in &lines {
            print::line(format_args!("{}", serde_json::to_string(line)?))?;
        }
        return Ok(());
    }
    let mut rows = table(&["input", "class", "score", "took"], 2);
    for line in &lines {
        for (rank, class) in line.classes.iter().enumerate() {
            let name = class.label.clone().unwrap_or_else(|| format!("class {}", class.index));
            let took = if line.unit.is_empty() {
                String::new()
            } else {
                format!("{} {}", grouped(line.count), line.unit)
            };
            let (input, took) = if rank == 0 { (line.input.as_str(), took) } else { ("", String::new()) };
            rows.add_row([input, &name, &format!("{:.4}", class.score), &took]);
        }
    }
    Ok(print::line(format_args!("{rows}"))?)
}

/// Sends every picture.
fn send(arguments: &Arguments, port: &mut Open, model: Option<&Model<'_>>) -> Result<Vec<Line>> {
    let mut board = Board::new(port, arguments.limit);
    let at = || format!("{}", arguments.port);
    let info = info(&mut board, &arguments.port, model)?;
    let mut lines = Vec::new();
    for path in &arguments.inputs {
        for (input, kind, bytes) in frames(&info, path, arguments.tile)? {
            let answer = board.run(&info, Frame { kind, bytes: &bytes }).with_context(at)?;
            let mut order: Vec<usize> = (0..answer.output.len()).collect();
            order.sort_by_key(|&index| std::cmp::Reverse(answer.output[index]));
            let score =
                |value: i8| info.scale.get() * f32::from(i16::from(value) - i16::from(info.zero_point));
            let class = |index: usize| Class {
                index,
                label: model.and_then(|model| model.labels().nth(index)).map(str::to_owned),
                score: score(answer.output[index]),
            };
            let classes = order.into_iter().take(arguments.top as usize).map(class).collect();
            let unit = answer.unit.name();
            lines.push(Line {
                input,
                classes,
                output: answer.output,
                count: answer.count,
                unit,
                repeats: answer.repeats,
            });
        }
    }
    Ok(lines)
}

/// Asks the board for its model, which must be the one given.
pub fn info(board: &mut Board<&mut Open>, port: &Port, model: Option<&Model<'_>>) -> Result<Info> {
    let info = board.info().with_context(|| port.to_string())?;
    if model.is_some_and(|model| model.checksum() != info.model.get()) {
        bail!(
            "{port} runs another model than the one given: build its firmware with that one, or give the one that it runs"
        );
    }
    Ok(info)
}

/// The frames that a file holds: name, kind and bytes.
pub fn frames(info: &Info, path: &PathBuf, tile: Option<Tile>) -> Result<Vec<(String, Kind, Vec<u8>)>> {
    let shape = Shape::new(info.height.get().into(), info.width.get().into(), info.channels.get().into());
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if matches!(extension.as_deref(), Some("bin" | "raw" | "i8")) {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let length = shape.len();
        if bytes.is_empty() || !bytes.len().is_multiple_of(length.max(1)) {
            bail!("{} has {} bytes: the board's model takes {length} an input", path.display(), bytes.len());
        }
        let frame = |bytes: &[u8]| (path.display().to_string(), Kind::Values, bytes.to_vec());
        return Ok(bytes.chunks_exact(length).map(frame).collect());
    }
    let kind = match Pixels::from_code(info.pixels) {
        Some(Pixels::Gray) => Kind::Gray,
        Some(Pixels::Color) => Kind::Rgb888,
        Some(Pixels::None) | None => bail!(
            "{}: the board's model does not say how pictures become its input; send raw int8 inputs (.bin), or pack it with `--preprocess`",
            path.display()
        ),
    };
    let options = DataOptions { tile, ..DataOptions::default() };
    let pictures = Dataset::open(std::slice::from_ref(path), shape, &options)?;
    (0..pictures.len())
        .map(|index| {
            let bytes = pictures.bytes(index)?;
            let bytes = bytes.with_context(|| format!("{} does not hold pictures", path.display()))?;
            Ok((pictures.name(index), kind, bytes.to_vec()))
        })
        .collect()
}
