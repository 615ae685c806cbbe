//! README's tables of instructions and memory.

use std::fmt::Write;

use anyhow::{Context, Result};
use ocelli_machines::{Machine, machine};

use super::{grouped, write};
use crate::bench::{Layout, Row, measure_all};
use crate::cli::Cli;
use crate::networks::{Network, networks};

/// The machines that README compares: one of each set of Cortex-M kernels.
const COMPARED: [&str; 4] = ["m0", "m3", "m4", "m55"];

/// Measures maps held whole on all, and rows on the M4.
pub fn instructions(cli: &Cli) -> Result<()> {
    let machines = COMPARED
        .iter()
        .map(|name| machine(name).context("the table of machines has it"))
        .collect::<Result<Vec<&'static Machine>>>()?;
    let m4: Vec<_> = machines.iter().copied().filter(|machine| machine.name == "m4").collect();
    let networks: Vec<&Network> = networks().collect();
    let whole = measure_all(cli, &networks, &machines, &Layout::new("rows", "speed"), &|_| Ok(()))?;
    let rows = measure_all(cli, &networks, &m4, &Layout::new("rows", "memory"), &|_| Ok(()))?;
    write("README.md", "instructions", &of_machines(&whole)?)?;
    write("README.md", "memory", &of_rows(&rows, &whole)?)
}

/// A row with the same network on a machine.
fn on<'a>(rows: &'a [Row], row: &Row, name: &str) -> Result<&'a Row> {
    let same = |other: &&Row| (other.model, other.numerics, other.target) == (row.model, row.numerics, name);
    rows.iter().find(same).with_context(|| format!("{} was not measured on {name}", row.model))
}

/// Instructions of each network on each machine, with CMSIS-NN's.
fn of_machines(whole: &[Row]) -> Result<String> {
    let mut table =
        "| network | numerics | MACs | M0 | M3 | M4 | M55 |\n|---|---|---:|---:|---:|---:|---:|\n".to_owned();
    for row in whole.iter().filter(|row| row.target == "m4") {
        let _ = write!(table, "| {} | `{}` | {} |", row.model, row.numerics, millions(row.macs.into()));
        for name in COMPARED {
            let row = on(whole, row, name)?;
            let _ = write!(table, " {}", millions(row.instructions));
            if let Some(peer) = row.peers.iter().find(|peer| peer.engine == "CMSIS-NN") {
                let _ = write!(table, " ({:.1})", peer.instructions as f64 / 1e6);
            }
            table.push_str(" |");
        }
        table.push('\n');
    }
    Ok(table)
}

/// Memory on the M4 fed by rows, and what that costs against maps held whole.
fn of_rows(rows: &[Row], whole: &[Row]) -> Result<String> {
    let mut table = "| network | numerics | arena, rows | instructions | arena, maps whole | estimated cycles | stack | code | weights |\n\
        |---|---|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        let whole = on(whole, row, row.target)?;
        let more = 100.0 * (row.instructions as f64 / whole.instructions as f64 - 1.0);
        let _ = writeln!(
            table,
            "| {} | `{}` | {} | {more:+.1} % | {} | {} | {} | {} | {} |",
            row.model,
            row.numerics,
            grouped(row.arena_bytes),
            grouped(whole.arena_bytes),
            whole.cycles.map_or("-".to_owned(), |cycles| format!("{} M", millions(cycles))),
            grouped(row.stack_bytes),
            whole.code_bytes.map_or("-".to_owned(), grouped),
            grouped(row.weight_bytes as u64),
        );
    }
    Ok(table)
}

fn millions(count: u64) -> String {
    format!("{:.2}", count as f64 / 1e6)
}
