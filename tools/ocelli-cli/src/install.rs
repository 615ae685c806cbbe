//! `ocelli install`: another model for a board, over its serial port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer, SigningKey};
use ocelli::Model;
use ocelli_compiler::pack::AlignedBytes;
use ocelli_machines::install::SIGNATURE_BYTES;
use ocelli_machines::serial::Board;

use crate::port::{Open, Port, parse_limit};
use crate::print;
use crate::progress::Progress;
use crate::table::grouped;

/// Replace a board's model, without its program, over its serial port.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli install digits.ocelli --port /dev/ttyACM0
  ocelli install digits.ocelli --port /dev/ttyACM0 --key key.pem
  ocelli install digits.ocelli --port qemu:rv32:flash.bin

The board's firmware keeps models in two slots of its flash (crate `ocelli-slots`). The model goes into the one that is not in use; whatever happens
to power or line, the board starts with the model that it had until the new one is whole. A board that trusts a key takes only what was signed with it:
  openssl genpkey -algorithm ed25519 -out key.pem")]
pub struct Arguments {
    /// The packed model.
    model: PathBuf,
    /// The board's serial port, tcp:HOST:PORT, unix:PATH, or a machine in QEMU with its flash in a file (qemu:rv32:FILE), which is started.
    #[arg(long)]
    port: Port,
    /// Sign the model with this Ed25519 private key (PKCS #8, PEM).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Speed of a serial port.
    #[arg(long, value_name = "BITS_PER_SECOND", default_value_t = 115_200)]
    baud: u32,
    /// Give up when the board is silent for so many seconds; erasing flash takes some.
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_limit)]
    limit: Duration,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.model;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = AlignedBytes::new(&bytes);
    let model = Model::open(file.bytes()).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let signature = match &arguments.key {
        Some(key) => signed(&bytes, key)?,
        None => [0; SIGNATURE_BYTES],
    };
    let mut port = match &arguments.port {
        Port::Qemu(machine) => {
            bail!("{} keeps no model: give the file of its flash, as in qemu:rv32:flash.bin", machine.name)
        }
        port => port.open(arguments.baud, None)?,
    };
    let result = install(arguments, &mut port, &bytes, signature, model.checksum());
    result.map_err(|error| port.ended().map_or(error, anyhow::Error::from))?;
    Ok(print::line(format_args!(
        "{} runs {} ({} bytes)",
        arguments.port,
        path.display(),
        grouped(bytes.len() as u64)
    ))?)
}

fn signed(model: &[u8], key: &Path) -> Result<[u8; SIGNATURE_BYTES]> {
    let text = std::fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let key = SigningKey::from_pkcs8_pem(&text).map_err(|error| {
        anyhow!(
            "{} is not an Ed25519 private key in PEM ({error}); `openssl genpkey -algorithm ed25519` makes one",
            key.display()
        )
    })?;
    Ok(key.sign(model).to_bytes())
}

/// Sends the model and waits until the board runs it.
fn install(
    arguments: &Arguments,
    port: &mut Open,
    model: &[u8],
    signature: [u8; SIGNATURE_BYTES],
    checksum: u32,
) -> Result<()> {
    let mut board = Board::new(port, arguments.limit);
    let at = || arguments.port.to_string();
    board.info().with_context(at)?;
    let progress = Progress::new(true);
    let stored = |bytes| progress.set("storing the model, bytes", bytes, model.len());
    board.install(model, signature, stored).with_context(at)?;
    let info = board.info().with_context(|| format!("{} after the model was installed", arguments.port))?;
    if info.model.get() != checksum {
        bail!("{} did not start with the model that was installed", arguments.port);
    }
    Ok(())
}
