//! `ocelli validate`: whether a board gives the host's bytes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ocelli::{Engine, Model, PixelFormat, operator};
use ocelli_compiler::pack::AlignedBytes;
use ocelli_machines::serial::{Board, Frame};
use ocelli_serial::Kind;

use crate::data::{Tile, parse_tile};
use crate::port::{Open, Port, parse_limit};
use crate::{print, send};

/// Compare a board's outputs with the host's, byte by byte.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli validate digits.ocelli pictures/*.png --on qemu:m4
  ocelli validate digits.ocelli pictures/*.png --on /dev/ttyACM0

The board's firmware takes rows over its serial port: see `ocelli send`.")]
pub struct Arguments {
    /// The packed model that the board runs.
    model: PathBuf,
    /// Pictures, or raw int8 inputs (.bin, .raw).
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The board's serial port, tcp:HOST:PORT, unix:PATH, or a machine in QEMU (qemu:m4; qemu:rv32:FILE with the flash in FILE), which is started.
    #[arg(long, value_name = "PORT")]
    on: Port,
    /// Speed of a serial port.
    #[arg(long, value_name = "BITS_PER_SECOND", default_value_t = 115_200)]
    baud: u32,
    /// Width and height of the pictures in a strip of pictures, one below the other.
    #[arg(long, value_name = "W,H", value_parser = parse_tile)]
    tile: Option<Tile>,
    /// Give up when the board is silent for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_limit)]
    limit: Duration,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.model;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = AlignedBytes::new(&bytes);
    let model = Model::open(file.bytes()).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let mut port = arguments.on.open(arguments.baud, Some(file.bytes()))?;
    let result = compare(arguments, &mut port, &model);
    let (inputs, different) = result.map_err(|error| port.ended().map_or(error, anyhow::Error::from))?;
    if !different.is_empty() {
        bail!(
            "{} of {inputs} inputs gave other bytes on {} than on the host:\n{}",
            different.len(),
            arguments.on,
            different.join("\n")
        );
    }
    Ok(print::line(format_args!("{inputs} inputs gave the host's bytes on {}", arguments.on))?)
}

/// The number of inputs, and the names of those whose outputs differ.
fn compare(arguments: &Arguments, port: &mut Open, model: &Model<'_>) -> Result<(usize, Vec<String>)> {
    let mut board = Board::new(port, arguments.limit);
    let at = || format!("{}", arguments.on);
    let info = send::info(&mut board, &arguments.on, Some(model))?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(*model, &mut arena)?;
    let (mut inputs, mut different) = (0, Vec::new());
    for path in &arguments.inputs {
        for (name, kind, bytes) in send::frames(&info, path, arguments.tile)? {
            let found = board.run(&info, Frame { kind, bytes: &bytes }).with_context(at)?.output;
            inputs += 1;
            let expected = on_host(&mut engine, kind, &bytes).with_context(|| name.clone())?;
            let wrong = expected.iter().zip(&found).filter(|(expected, found)| expected != found).count();
            if wrong > 0 || expected.len() != found.len() {
                different.push(format!("{name}: {wrong} of {} bytes differ", expected.len()));
            }
        }
    }
    Ok((inputs, different))
}

/// The output of a frame here, its rows pushed as the board pushes them.
fn on_host<'m: 'a, 'a, const OPERATORS: u64>(
    engine: &mut Engine<'m, 'a, OPERATORS>,
    kind: Kind,
    bytes: &[u8],
) -> Result<Vec<i8>> {
    let rows = usize::from(engine.model().input().height);
    for row in bytes.chunks_exact((bytes.len() / rows.max(1)).max(1)) {
        match kind {
            Kind::Gray => engine.push_pixels(row, PixelFormat::Gray)?,
            Kind::Rgb888 => engine.push_pixels(row, PixelFormat::Rgb888)?,
            _ => {
                let values: Vec<i8> = row.iter().map(|value| value.cast_signed()).collect();
                engine.push_row(&values)?;
            }
        }
    }
    Ok(engine.finish()?.to_vec())
}
