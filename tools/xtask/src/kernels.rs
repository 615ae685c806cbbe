//! `cargo xtask kernels`: the kernels of an architecture against the portable ones, and what they take.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use comfy_table::{CellAlignment, Table, presets};
use ocelli_machines::firmware::{Image, build};
use ocelli_machines::qemu::run_image;
use ocelli_machines::{MACHINES, Machine, machine};

/// What to test.
#[derive(Args)]
pub struct Arguments {
    /// Only on this machine.
    #[arg(long, value_name = "MACHINE", value_parser = PossibleValuesParser::new(MACHINES.iter().map(|machine| machine.name)))]
    target: Option<String>,
    /// Seed of the first case.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u32,
    /// Cases of each kind.
    #[arg(long, value_name = "NUMBER", default_value_t = 300)]
    cases: u32,
    /// Only the kinds whose names start so, for example `conv` or `conv_q32`.
    #[arg(long, value_name = "NAME", default_value = "")]
    kind: String,
    /// Print each case before it runs: the last one is the one that crashed.
    #[arg(long)]
    trace: bool,
    /// Instead of testing, count the instructions of calls on fixed shapes.
    #[arg(long, conflicts_with_all = ["seed", "cases", "kind", "trace"])]
    bench: bool,
}

/// Cases are small, but there may be many.
const LIMIT: Duration = Duration::from_secs(1200);

/// Tests or measures, and prints a line a kind.
pub fn kernels(arguments: &Arguments) -> Result<()> {
    let machines: Vec<&'static Machine> = match &arguments.target {
        Some(name) => machine(name).into_iter().collect(),
        None => MACHINES.iter().collect(),
    };
    for machine in machines {
        println!("{}:", machine.name);
        let Arguments { seed, cases, kind, .. } = arguments;
        if arguments.bench {
            println!("{}", table(&run(machine, "bench")?)?);
        } else {
            let mode = if arguments.trace { "trace" } else { "test" };
            print!("{}", run(machine, &format!("{mode} {seed} {cases} {kind}"))?);
        }
    }
    Ok(())
}

fn run(machine: &'static Machine, options: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("options"), options).context("options")?;
    Ok(run_image(machine, &build(machine, Image::Kernels)?, folder.path(), LIMIT)?)
}

/// The image's lines with instructions an operation.
fn table(lines: &str) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["call", "rule", "form", "instructions", "operations", "instr/op"]);
    for line in lines.lines() {
        let [name, rule, form, instructions, operations] = *line.split('\t').collect::<Vec<_>>() else {
            bail!("the image printed {line:?}")
        };
        let [taken, count] = [instructions.parse::<f64>()?, operations.parse::<f64>()?];
        let each = format!("{:.3}", taken / count.max(1.0));
        table.add_row([name, rule, form, instructions, operations, &each]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(table)
}
