//! Model cards: what this repository's networks reach and take.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ocelli_machines::{MACHINES, Machine, machine};
use serde::Deserialize;

use super::{grouped, write};
use crate::bench::{Row, measure};
use crate::cli::Cli;
use crate::networks::{CIFAR10, DIGITS, Own};
use crate::repository::output;

/// What `ocelli eval --json` prints.
#[derive(Deserialize)]
struct Accuracy {
    samples: usize,
    int8_top1_percent: f64,
    float_top1_percent: f64,
    difference_standard_error: f64,
    agreement_percent: f64,
    sqnr_db: f64,
}

/// Measures the networks and writes the cards.
pub fn cards(cli: &Cli) -> Result<()> {
    for (card, networks) in [("models/digits/README.md", DIGITS), ("models/cifar10/README.md", CIFAR10)] {
        if let Some(missing) = networks.iter().find_map(|own| own.missing_file()) {
            eprintln!("skipped: {card}: {missing} is not there");
            continue;
        }
        let columns = networks.iter().map(|own| column(cli, own)).collect::<Result<Vec<_>>>()?;
        write(card, "card", &table(&columns))?;
    }
    Ok(())
}

/// The figures of a network, a name and a value each.
fn column(cli: &Cli, own: &Own) -> Result<Vec<(String, String)>> {
    let network = &own.network;
    eprintln!("quantizing {}", network.file);
    let folder = Path::new("target/figures");
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut rows = Vec::new();
    for machine in MACHINES {
        let packed = folder.join(network.packed_name(machine));
        if rows.iter().all(|(other, _): &(&Machine, Row)| other.kernels != machine.kernels) {
            output(&mut network.quantize(cli, &packed, machine))?;
        }
        eprintln!("measuring {} on {}", network.file, machine.name);
        rows.push((machine, measure(network, &packed, machine)?));
    }
    eprintln!("evaluating {}", network.file);
    let packed = folder.join(network.packed_name(machine("m4").context("the table has it")?));
    let printed = output(own.evaluate(cli, &packed).arg("--json"))?;
    let accuracy: Accuracy =
        serde_json::from_str(&printed).context("`ocelli eval` printed something else")?;
    let on = |name: &str| rows.iter().find(|(machine, _)| machine.name == name).map(|(_, row)| row);
    let m4: &Row = on("m4").context("the table of machines has it")?;
    let code_bytes = m4.code_bytes.context("the network fits its code memory")?;
    let file = network.file.rsplit('/').next().unwrap_or(network.file);
    let mut column = vec![
        ("network".to_owned(), format!("`{file}`")),
        ("top-1, float".to_owned(), format!("{:.2} %", accuracy.float_top1_percent)),
        ("top-1, int8".to_owned(), format!("{:.2} %", accuracy.int8_top1_percent)),
        (
            "difference and its paired standard error, points".to_owned(),
            format!(
                "{:+.2} ± {:.2}",
                accuracy.int8_top1_percent - accuracy.float_top1_percent,
                accuracy.difference_standard_error
            ),
        ),
        ("pictures".to_owned(), grouped(accuracy.samples as u64)),
        ("agreement of float and int8".to_owned(), format!("{:.2} %", accuracy.agreement_percent)),
        ("SQNR of the logits".to_owned(), format!("{:.1} dB", accuracy.sqnr_db)),
        ("multiply-accumulates, int8".to_owned(), grouped(m4.macs.into())),
        ("weights and tables, bytes".to_owned(), grouped(m4.weight_bytes as u64)),
        ("arena, bytes".to_owned(), grouped(m4.arena_bytes)),
        ("stack on a Cortex-M4, bytes".to_owned(), grouped(m4.stack_bytes)),
        ("flash on a Cortex-M4, bytes".to_owned(), grouped(code_bytes + m4.model_bytes as u64)),
    ];
    for (machine, row) in &rows {
        column.push((format!("instructions, {}", machine.core), grouped(row.instructions)));
    }
    Ok(column)
}

fn table(columns: &[Vec<(String, String)>]) -> String {
    let mut table = String::new();
    for (index, (name, _)) in columns.first().into_iter().flatten().enumerate() {
        let values = columns.iter().filter_map(|column| Some(column.get(index)?.1.as_str()));
        let _ = writeln!(table, "| {name} | {} |", values.collect::<Vec<_>>().join(" | "));
        if index == 0 {
            let _ = writeln!(table, "|---|{}", "---:|".repeat(columns.len()));
        }
    }
    table
}
