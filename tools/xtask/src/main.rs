//! The repository's own commands, run as `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod boards;
mod cli;
mod demo;
mod figures;
mod kernels;
mod networks;
mod packed;
mod page;
mod peers;
mod repository;
mod setup;
mod steps;
mod test;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// The repository's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what firmware needs: the Rust targets and QEMU. The other commands do this by themselves.
    #[command(after_help = setup::HELP)]
    Setup,
    /// Quantize two float networks, run them on a Cortex-M4 in QEMU, and show their classes, accuracy and costs.
    Demo,
    /// Measure networks on the machines: instructions, memory and code.
    Bench(bench::Arguments),
    /// Test the kernels of an architecture on a machine, or measure them.
    Kernels(kernels::Arguments),
    /// Build the firmware of the boards, and compare what it takes with what is recorded.
    Boards(boards::Arguments),
    /// Measure speed, memory and accuracy, and write them into README and the model cards.
    Figures(figures::Arguments),
    /// Run every check: formatting, clippy, host tests, documentation, and the firmware on every machine.
    Test,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command in the root, so that paths in the repository are short; gives whether all is well.
fn run(command: Command) -> Result<bool> {
    std::env::set_current_dir(repository::root()).context("the repository is not where it was")?;
    match command {
        Command::Setup => setup::run()?,
        Command::Demo => demo::demo()?,
        Command::Bench(arguments) => bench::bench(&arguments)?,
        Command::Kernels(arguments) => kernels::kernels(&arguments)?,
        Command::Boards(arguments) => boards::boards(&arguments)?,
        Command::Figures(arguments) => figures::figures(&arguments)?,
        Command::Test => return Ok(test::test()),
    }
    Ok(true)
}
