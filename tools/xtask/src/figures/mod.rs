//! `cargo xtask figures`: measures what this repository's pages say of speed, memory and accuracy, and writes it into them.

mod accuracy;
mod cards;
mod readme;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::Cli;
use crate::{page, setup};

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Which figures (default: all): `cards` of the networks in `models`; README's `instructions` and memory; README's `accuracy`, which takes longest.
    #[arg(value_name = "FIGURES", value_parser = PossibleValuesParser::new(["cards", "instructions", "accuracy"]))]
    only: Vec<String>,
}

/// Measures and writes.
pub fn figures(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let cli = Cli::build()?;
    if wanted("cards") {
        cards::cards(&cli)?;
    }
    if wanted("instructions") {
        readme::instructions(&cli)?;
    }
    if wanted("accuracy") {
        accuracy::accuracy()?;
    }
    Ok(())
}

/// Writes figures into a page, between its lines for figures of this name.
fn write(page: &str, name: &str, figures: &str) -> Result<()> {
    page::write(page, name, "figures", figures)
}

/// A number with a comma between groups of three digits.
pub fn grouped(value: u64) -> String {
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
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
