//! Printing results, which may end early: whoever reads a pipe may close it.

use std::fmt::Display;
use std::io::Write;

/// Prints a line on standard output.
pub fn line(text: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}
