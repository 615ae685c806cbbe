//! The image that tests and measures the kernels of a machine's architecture.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::firmware::{Image, boards, build};
use crate::qemu::run_image;
use crate::toolchain::Toolchain;
use crate::{Error, Machine};

/// Cases are small, but there may be many.
const LIMIT: Duration = Duration::from_secs(1200);

/// What to test.
#[derive(Clone, Copy, Debug)]
pub struct Cases<'a> {
    /// Seed of the first case.
    pub seed: u32,
    /// Cases of each kind.
    pub cases: u32,
    /// The start of the names of the kinds.
    pub kind: &'a str,
    /// Whether to print each case before it runs.
    pub trace: bool,
}

/// Compares the machine's kernels with the portable ones, and gives what the image printed: a line a kind.
///
/// # Errors
/// If there are differences, which the error names, or the image cannot be built or run.
pub fn test(
    machine: &'static Machine,
    Cases { seed, cases, kind, trace }: Cases<'_>,
) -> Result<String, Error> {
    let mode = if trace { "trace" } else { "test" };
    run(machine, &format!("{mode} {seed} {cases} {kind}"))
}

/// What a call of a kernel on a fixed shape takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The shape.
    pub name: String,
    /// The rule of requantization.
    pub rule: String,
    /// `packed` for the architecture's kernel, `portable` for the portable one, `-` where there is no packed form.
    pub form: String,
    /// Instructions of one call.
    pub instructions: u64,
    /// Multiplications of a convolution or attention, else values.
    pub operations: u64,
}

/// Measures the machine's kernels on fixed shapes.
///
/// # Errors
/// If the image cannot be built or run.
pub fn bench(machine: &'static Machine) -> Result<Vec<Call>, Error> {
    let printed = run(machine, "bench")?;
    let call = |line: &str| {
        let mut cells = line.split('\t');
        let mut text = || cells.next().map(str::to_owned);
        let [name, rule, form] = [text()?, text()?, text()?];
        let mut number = || cells.next()?.parse().ok();
        Some(Call { name, rule, form, instructions: number()?, operations: number()? })
    };
    let wrong = |line: &str| Error::Firmware {
        machine: machine.name,
        message: format!("no name and what it takes in {line:?}"),
    };
    printed.lines().map(|line| call(line).ok_or_else(|| wrong(line))).collect()
}

fn run(machine: &'static Machine, options: &str) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(Error::file(std::env::temp_dir()))?;
    let path = folder.path().join("options");
    fs::write(&path, options).map_err(Error::file(path))?;
    run_image(machine, &build(machine, Image::Kernels)?, folder.path(), LIMIT)
}

/// What calls took when it was last recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// The compiler's release: another one makes other code of what is not assembly.
    pub compiler: String,
    /// Its lines: shape, rule, form, instructions.
    pub calls: Vec<String>,
}

impl Golden {
    /// Of calls that were measured just now.
    ///
    /// # Errors
    /// If there is no compiler.
    pub fn of(calls: &[Call]) -> Result<Self, Error> {
        let line = |Call { name, rule, form, instructions, .. }: &Call| {
            format!("{name:26}{rule:8}{form:10}{instructions:>10}")
        };
        Ok(Self { compiler: Toolchain::find()?.version(), calls: calls.iter().map(line).collect() })
    }

    /// Where a machine's is kept.
    ///
    /// # Errors
    /// If the repository is not there.
    pub fn path(machine: &Machine) -> Result<PathBuf, Error> {
        Ok(boards()?.join(format!("../tests/kernels/golden/{}.txt", machine.name)))
    }

    /// Reads a machine's, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(machine: &Machine) -> Result<Option<Self>, Error> {
        let path = Self::path(machine)?;
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Error::file(path))?;
        let mut lines = text.lines().map(str::to_owned);
        let compiler = lines.next().unwrap_or_default();
        Ok(Some(Self { compiler: compiler.trim_start_matches(HEADER).to_owned(), calls: lines.collect() }))
    }

    /// Keeps it for a machine.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, machine: &Machine) -> Result<(), Error> {
        let path = Self::path(machine)?;
        let text = format!("{HEADER}{}\n{}\n", self.compiler, self.calls.join("\n"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        fs::write(&path, text).map_err(Error::file(path))
    }

    /// What differs between this one and what was measured now by more than the counters' ticks may.
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let same = |(then, now): (&String, &String)| {
            let split = |line: &str| {
                let (shape, count) = line.rsplit_once(' ')?;
                Some((shape.trim_end().to_owned(), count.parse::<f64>().ok()?))
            };
            match (split(then), split(now)) {
                (Some((shape, then)), Some((other, now))) => {
                    shape == other && (now / then - 1.0).abs() <= 0.005
                }
                _ => false,
            }
        };
        let pairs = self.calls.iter().zip(&now.calls).filter(|&pair| !same(pair));
        let mut changes: Vec<String> = pairs.map(|(then, now)| format!("then {then}\nnow  {now}")).collect();
        if self.calls.len() != now.calls.len() {
            changes.push(format!("then {} calls, now {}", self.calls.len(), now.calls.len()));
        }
        changes
    }
}

/// Starts the file; the compiler's release follows.
const HEADER: &str =
    "# Instructions of one call; `cargo xtask kernels --bless` writes this file. Compiled by ";

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(calls: &[(&str, u64)]) -> Golden {
        let line = |(name, instructions): &(&str, u64)| format!("{name:26}{instructions:>10}");
        Golden { compiler: String::new(), calls: calls.iter().map(line).collect() }
    }

    #[test]
    fn changes_are_those_beyond_the_ticks() {
        let then = golden(&[("conv 3x3", 10_000), ("add 4096", 400)]);
        assert_eq!(then.changes(&golden(&[("conv 3x3", 10_050), ("add 4096", 400)])), [""; 0]);
        assert_eq!(then.changes(&golden(&[("conv 3x3", 10_051), ("add 4096", 400)])).len(), 1);
        assert_eq!(then.changes(&golden(&[("conv 3x3", 9_900), ("add 4096", 300)])).len(), 2);
        assert_eq!(then.changes(&golden(&[("conv 5x5", 10_000), ("add 4096", 400)])).len(), 1);
        assert_eq!(then.changes(&golden(&[("conv 3x3", 10_000)])).len(), 1);
    }
}
