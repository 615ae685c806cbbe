//! `cargo xtask figures`: measures what this repository's pages say of speed, memory and accuracy, and writes it into them.

mod accuracy;
mod cards;
mod readme;

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::Cli;
use crate::setup;

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
    let path = Path::new(page);
    let text = std::fs::read_to_string(path).with_context(|| page.to_owned())?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, replaced(page, name, &text, figures)?).with_context(|| page.to_owned())?;
    std::fs::rename(&partial, path).with_context(|| page.to_owned())?;
    println!("{page}: {name}");
    Ok(())
}

/// The page with the text between its markers replaced.
fn replaced(page: &str, name: &str, text: &str, figures: &str) -> Result<String> {
    let start = format!("<!-- {name}: written by `cargo xtask figures` -->");
    let end = format!("<!-- end of {name} -->");
    let (Some((before, rest)), Some((_, after))) = (text.split_once(&start), text.split_once(&end)) else {
        bail!("{page} has no lines `{start}` and `{end}` to write the figures between");
    };
    if rest.split_once(&end).is_none() {
        bail!("{page} has `{end}` before `{start}`");
    }
    Ok(format!("{before}{start}\n\n{figures}\n{end}{after}"))
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
    fn figures_replace_what_is_between_the_markers() {
        let (start, end) = ("<!-- card: written by `cargo xtask figures` -->", "<!-- end of card -->");
        let page = format!("a\n{start}\nold\n{end}\nb\n");
        assert_eq!(
            replaced("page", "card", &page, "new\n").unwrap(),
            format!("a\n{start}\n\nnew\n\n{end}\nb\n")
        );
        for bad in [format!("{end} {start}"), start.to_owned(), String::new()] {
            assert!(replaced("page", "card", &bad, "new").is_err());
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
