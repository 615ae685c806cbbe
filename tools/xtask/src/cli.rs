//! The command `ocelli`, built from this repository.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::repository::{cargo, output};

/// The built program.
#[derive(Debug)]
pub struct Cli {
    program: PathBuf,
}

/// What cargo says of something that it built; it says other things too.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Cli {
    /// Builds it if it is not up to date; cargo shows its progress.
    pub fn build() -> Result<Self> {
        eprintln!("building the command `ocelli`, which takes a few minutes the first time");
        let mut command =
            cargo(&["build", "--package", "ocelli-cli", "--message-format", "json-render-diagnostics"]);
        let program = output(&mut command)?
            .lines()
            .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
            .find_map(|artifact| artifact.executable.filter(|_| artifact.target.name == "ocelli"));
        Ok(Self { program: program.context("cargo built no program `ocelli`")? })
    }

    /// A run of it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        command
    }
}
