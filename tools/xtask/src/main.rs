//! The repository's own commands, run as `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod networks;
mod repository;
mod setup;
mod steps;
mod test;

use std::process::ExitCode;

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
    /// Quantize a float network, run it on a Cortex-M4 in QEMU, and show its classes, accuracy and costs.
    Demo,
    /// Measure networks on the machines: instructions, memory and code.
    Bench(bench::Arguments),
    /// Run every check: formatting, clippy, host tests, documentation, and the firmware on every machine.
    Test,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup => setup::run(),
        Command::Demo => demo::demo(),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Test => test::test(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
