//! What can go wrong between a model and a machine.

use std::path::PathBuf;
use std::time::Duration;

/// Why firmware could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The firmware sources are not where they were when this program was built.
    #[error(
        "the firmware sources are not at {0}: set OCELLI_BOARDS to the folder `boards` of Ocelli's repository"
    )]
    NoBoards(PathBuf),
    /// No compiler for the machines' targets.
    #[error(
        "no Rust toolchain here has the target {0}: run `cargo xtask setup` in Ocelli's repository, or `rustup target add {0}`"
    )]
    NoToolchain(&'static str),
    /// Cargo could not be started or could not build the image; its own messages precede this one.
    #[error("cargo could not build the {image} image for {machine}: {reason}")]
    Build {
        /// The image.
        image: &'static str,
        /// Short name of the machine.
        machine: &'static str,
        /// Exit status, or why it did not start.
        reason: String,
    },
    /// QEMU is not installed.
    #[error(
        "{0} is not installed: run `cargo xtask setup` in Ocelli's repository, or install QEMU with the system's package manager"
    )]
    NoQemu(&'static str),
    /// The machine has no flash that keeps what is written.
    #[error("{0} has no flash that keeps models in QEMU: only rv32 has")]
    NoFlash(&'static str),
    /// QEMU did not end in time.
    #[error("{machine} did not finish within {} s", limit.as_secs())]
    Timeout {
        /// Short name of the machine.
        machine: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The firmware refused its files, or QEMU failed.
    #[error("{machine}: {message}")]
    Firmware {
        /// Short name of the machine.
        machine: &'static str,
        /// What it printed.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Attaches a path to an input or output error.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
