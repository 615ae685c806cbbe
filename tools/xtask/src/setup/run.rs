//! Running a command with a time limit.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::repository::shown;

/// Runs a command, shown to the user, to its success.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = shown(command);
    eprintln!("setup: $ {shown}");
    let mut child =
        command.stdin(Stdio::null()).spawn().with_context(|| format!("`{shown}` did not start"))?;
    let start = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("`{shown}` failed: {status}"),
            None if start.elapsed() > limit => {
                child.kill()?;
                child.wait()?;
                bail!("`{shown}` did not finish within {} s", limit.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
