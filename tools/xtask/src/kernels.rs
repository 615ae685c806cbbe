//! `cargo xtask kernels`: the kernels of an architecture against the portable ones, and what they take.

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use comfy_table::{CellAlignment, Table, presets};
use ocelli_machines::kernels::{Call, Cases, Golden, bench, test};
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
    /// As `--bench`, and write what tests compare with, tests/kernels/golden.
    #[arg(long, conflicts_with_all = ["seed", "cases", "kind", "trace"])]
    bless: bool,
}

/// Tests or measures, and prints a line a kind.
pub fn kernels(arguments: &Arguments) -> Result<()> {
    let machines: Vec<&'static Machine> = match &arguments.target {
        Some(name) => machine(name).into_iter().collect(),
        None => MACHINES.iter().collect(),
    };
    for machine in machines {
        println!("{}:", machine.name);
        if arguments.bench || arguments.bless {
            let calls = bench(machine)?;
            println!("{}", table(&calls));
            if arguments.bless {
                Golden::of(&calls)?.write(machine)?;
            }
        } else {
            let Arguments { seed, cases, trace, .. } = *arguments;
            print!("{}", test(machine, Cases { seed, cases, kind: &arguments.kind, trace })?);
        }
    }
    Ok(())
}

fn table(calls: &[Call]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["call", "rule", "form", "instructions", "operations", "instr/op"]);
    for Call { name, rule, form, instructions, operations } in calls {
        let each = *instructions as f64 / (*operations).max(1) as f64;
        table.add_row([
            name.clone(),
            rule.clone(),
            form.clone(),
            instructions.to_string(),
            operations.to_string(),
            format!("{each:.3}"),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
