//! `cargo xtask cards`: what this repository's networks reach and take, written into their model cards.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ocelli_machines::{MACHINES, Machine, machine};
use serde::Deserialize;

use crate::bench::{Row, measure};
use crate::cli::Cli;
use crate::networks::{CIFAR10, DIGITS, Own};
use crate::repository::output;
use crate::setup;

const START: &str = "<!-- figures: written by `cargo xtask cards` -->";
const END: &str = "<!-- end of figures -->";

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
pub fn cards() -> Result<()> {
    setup::run()?;
    let cli = Cli::build()?;
    for (card, networks) in [("models/digits/README.md", DIGITS), ("models/cifar10/README.md", CIFAR10)] {
        if let Some(missing) = networks.iter().find_map(|own| own.missing_file()) {
            eprintln!("skipped: {card}: {missing} is not there");
            continue;
        }
        let columns = networks.iter().map(|own| column(&cli, own)).collect::<Result<Vec<_>>>()?;
        let path = Path::new(card);
        let text = std::fs::read_to_string(path).with_context(|| card.to_owned())?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, replaced(card, &text, &table(&columns))?)
            .with_context(|| card.to_owned())?;
        std::fs::rename(&partial, path).with_context(|| card.to_owned())?;
        println!("{card}");
    }
    Ok(())
}

/// The figures of a network, a name and a value each.
fn column(cli: &Cli, own: &Own) -> Result<Vec<(String, String)>> {
    let network = &own.network;
    eprintln!("quantizing {}", network.file);
    let folder = Path::new("target/cards");
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

/// The card with the text between its markers replaced.
fn replaced(card: &str, text: &str, figures: &str) -> Result<String> {
    let (Some((before, rest)), Some((_, after))) = (text.split_once(START), text.split_once(END)) else {
        bail!("{card} has no lines `{START}` and `{END}` to write the figures between");
    };
    if rest.split_once(END).is_none() {
        bail!("{card} has `{END}` before `{START}`");
    }
    Ok(format!("{before}{START}\n\n{figures}\n{END}{after}"))
}

/// A number with a comma between groups of three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_what_is_between_the_markers() {
        let card = format!("a\n{START}\nold\n{END}\nb\n");
        assert_eq!(replaced("card", &card, "new\n").unwrap(), format!("a\n{START}\n\nnew\n\n{END}\nb\n"));
        for bad in [format!("{END} {START}"), START.to_owned(), String::new()] {
            assert!(replaced("card", &bad, "new").is_err());
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
