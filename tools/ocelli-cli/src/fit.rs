//! Whether a packed model fits a machine or a board.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use ocelli::{Model, Target};
use ocelli_compiler::pack::AlignedBytes;

use crate::table::grouped;

/// What a machine or board has.
pub struct Room<'a> {
    /// Its name, as on the command line.
    pub place: &'a str,
    /// Its core.
    pub core: &'a str,
    /// The target of packed models whose kernels are fast on it.
    pub kernels: &'a str,
    /// Bytes of flash.
    pub flash: u32,
    /// Bytes of RAM.
    pub ram: u32,
}

/// The least stack and other data beside an arena, bytes.
const OTHER_RAM: usize = 3 << 10;

/// The least code beside a model, bytes.
const CODE: usize = 24 << 10;

/// Refuses a model that does not fit, and says where it would be slow.
pub fn check(bytes: &[u8], path: &Path, room: &Room<'_>) -> Result<()> {
    let aligned = AlignedBytes::new(bytes);
    let model = Model::open(aligned.bytes()).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    let Room { place, core, kernels, flash, ram } = room;
    if model.arena_bytes() + OTHER_RAM > *ram as usize {
        bail!(
            "{} takes an arena of {} bytes, and {place} has {} bytes of RAM in all: choose a larger one, or quantize it with `--feed rows --optimize memory`",
            path.display(),
            grouped(model.arena_bytes() as u64),
            grouped((*ram).into())
        );
    }
    if bytes.len() + CODE > *flash as usize {
        bail!(
            "{} has {} bytes, and {place} has {} bytes of flash in all: choose a larger one",
            path.display(),
            grouped(bytes.len() as u64),
            grouped((*flash).into())
        );
    }
    if model.target() != Target::Portable && model.target().name() != *kernels {
        bail!(
            "{} is packed for {}, which a {core} does not have: quantize it with `--target {kernels}`",
            path.display(),
            model.target().name()
        );
    }
    if model.target().name() != *kernels {
        eprintln!(
            "note: the model is portable; `ocelli quantize --target {kernels}` packs it for fast kernels on a {core}"
        );
    }
    Ok(())
}
