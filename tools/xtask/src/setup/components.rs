//! Installing what checks the source: rustfmt and clippy, which a minimal profile of rustup leaves out.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::run::run;
use crate::repository::cargo;

const LIMIT: Duration = Duration::from_secs(120);

/// Installs rustfmt and clippy for the toolchain that runs this program, if one is missing.
pub fn install() -> Result<()> {
    let is_there = |tool: &str| {
        let mut command = cargo(&[tool, "--version"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if is_there("fmt") && is_there("clippy") {
        return Ok(());
    }
    eprintln!("setup: `cargo fmt` or `cargo clippy` is missing");
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rustfmt", "clippy"]);
    run(&mut rustup, LIMIT).context("`cargo fmt` and `cargo clippy` are needed: install rustfmt and clippy")
}
