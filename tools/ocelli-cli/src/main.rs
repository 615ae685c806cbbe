//! The command `ocelli`: from a network file to int8 on a microcontroller.
#![forbid(unsafe_code)]

mod conversion;
mod data;
mod eval;
mod files;
mod fit;
mod flash;
mod input;
mod inspect;
mod install;
mod memory;
mod network;
mod new;
mod plan;
mod port;
mod print;
mod profile;
mod progress;
mod quantize;
mod report;
mod run;
mod send;
mod table;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Neural vision on microcontrollers: inspect, quantize, evaluate and run compact networks in int8.
#[derive(Parser)]
#[command(name = "ocelli", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Quantize(quantize::Arguments),
    Eval(eval::Arguments),
    Report(report::Arguments),
    Plan(plan::Arguments),
    Run(run::Arguments),
    Profile(profile::Arguments),
    Send(send::Arguments),
    Validate(validate::Arguments),
    Flash(flash::Arguments),
    Install(install::Arguments),
    New(new::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Quantize(arguments) => quantize::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Flash(arguments) => flash::run(&arguments),
        Command::Install(arguments) => install::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads on: `ocelli inspect model | head` is no failure.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // What clap gives for wrong arguments: the caller's input was at fault.
            ExitCode::from(2)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
