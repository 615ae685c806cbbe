//! Running a command with a time limit.

use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ocelli_machines::process::status_within;

use crate::repository::shown;

/// Runs a command, shown to the user, to its success.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = shown(command);
    eprintln!("setup: $ {shown}");
    match status_within(command.stdin(Stdio::null()), limit) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`{shown}` failed: {status}"),
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            Err(anyhow!("`{shown}` did not finish within {} s", limit.as_secs()))
        }
        Err(error) => Err(error).with_context(|| format!("`{shown}` did not start")),
    }
}
