//! `ocelli flash`: a model and the firmware of a board onto it, through probe-rs.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use ocelli_machines::{BOARDS, board, firmware};

use crate::fit::{self, Room};

/// Build a board's firmware with a model in it, flash it through probe-rs, and show its log until Ctrl-C.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli flash digits.ocelli --board nucleo-f446re
  PROBE_RS_PROBE=0483:374b ocelli flash digits.ocelli --board nucleo-f446re    # one of several probes

The firmware is in `boards` of Ocelli's repository. It takes pictures over the board's serial port: see `ocelli send`.")]
pub struct Arguments {
    /// The packed model.
    model: PathBuf,
    /// The board.
    #[arg(long, value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: String,
}

/// What probe-rs says, and what to do about it.
const REMEDIES: &[(&str, &str)] = &[
    (
        "No connected probes",
        "no probe is connected: plug the board in; on Linux, probe-rs needs its udev rules (https://probe.rs/docs/getting-started/probe-setup)",
    ),
    (
        "Permission denied",
        "the probe may not be opened: on Linux, probe-rs needs its udev rules (https://probe.rs/docs/getting-started/probe-setup)",
    ),
    (
        "Multiple probes",
        "more than one probe is connected: unplug the others, or set PROBE_RS_PROBE to one that `probe-rs list` shows",
    ),
    (
        "target did not respond",
        "the chip does not answer: is the board powered, and is it the one of `--board`?",
    ),
    ("chip was not found", "this release of probe-rs does not know the board's chip: install a newer one"),
];

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.model;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let board = board(&arguments.board).context("the table of boards has it")?;
    let room = Room {
        place: board.name,
        core: board.core,
        kernels: board.kernels,
        flash: board.flash,
        ram: board.ram,
    };
    fit::check(&bytes, path, &room)?;
    let version =
        Command::new(PROBE_RS).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        bail!(
            "probe-rs is not installed: `cargo install probe-rs-tools --locked`, or see https://probe.rs/docs/getting-started/installation"
        );
    }
    let image = firmware::build_board(board, path)?;
    let mut probe = Command::new(PROBE_RS)
        .args(["run", "--chip", board.chip])
        .arg(image)
        .stderr(Stdio::piped())
        .spawn()
        .context(PROBE_RS)?;
    let mut remedy = None;
    if let Some(errors) = probe.stderr.take() {
        for line in BufReader::new(errors).lines() {
            let line = line?;
            eprintln!("{line}");
            let known = REMEDIES.iter().find(|(words, _)| line.contains(words));
            remedy = remedy.or(known.map(|(_, remedy)| *remedy));
        }
    }
    let status = probe.wait()?;
    match remedy {
        _ if status.success() => Ok(()),
        Some(remedy) => bail!("{remedy}"),
        None => {
            bail!("the board was not flashed, or its program stopped ({status}); what probe-rs said is above")
        }
    }
}

const PROBE_RS: &str = "probe-rs";
