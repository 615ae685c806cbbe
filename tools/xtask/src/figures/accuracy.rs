//! README's table of accuracy: what the example `accuracy` of the compiler prints.

use anyhow::{Result, bail};

use super::write;
use crate::repository::{cargo, output, shared};

/// Quantizes and compares; takes half an hour.
pub fn accuracy() -> Result<()> {
    if shared().is_none() {
        eprintln!("skipped: README.md, accuracy: ../shared is not there");
        return Ok(());
    }
    let example = ["run", "--release", "--quiet", "--package", "ocelli-compiler", "--example", "accuracy"];
    let table = output(cargo(&example).args(["--", "../shared"]))?;
    // A network that could not be measured has its error instead of its figures.
    let columns = |line: &str| line.matches('|').count();
    let expected = table.lines().next().map_or(0, columns);
    if let Some(line) = table.lines().find(|line| columns(line) != expected) {
        bail!("{line}");
    }
    write("README.md", "accuracy", &table)
}
