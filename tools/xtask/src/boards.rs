//! `cargo xtask boards`: builds the firmware of every board, and compares what it takes with what is recorded.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use ocelli_machines::{BOARDS, Board, board, elf, firmware, machine};

use crate::cli::Cli;
use crate::networks::DIGITS;
use crate::packed::Packed;
use crate::page;
use crate::repository::output;
use crate::setup;

/// Which boards.
#[derive(Args)]
pub struct Arguments {
    /// Only this board.
    #[arg(long, value_name = "BOARD", value_parser = PossibleValuesParser::new(BOARDS.iter().map(|board| board.name)))]
    board: Option<String>,
    /// Write what the images take into boards/README.md.
    #[arg(long)]
    bless: bool,
}

const RECORD: &str = "boards/README.md";

/// What another release of compiler or HAL may change, in percent.
const TOLERANCE: u64 = 5;

/// What a board's image takes.
struct Size {
    board: &'static Board,
    /// Flash without the model, bytes.
    code: u64,
    /// Flash with the model, bytes.
    flash: u64,
    /// Static memory without the arena, bytes.
    data: u64,
    /// Static memory with the arena, bytes.
    ram: u64,
}

/// Builds the firmware of every board, and compares what it takes with what is recorded.
pub fn check() -> Result<()> {
    boards(&Arguments { board: None, bless: false })
}

/// Builds, prints, and compares or records.
pub fn boards(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let cli = Cli::build()?;
    let chosen: Vec<&'static Board> = match &arguments.board {
        Some(name) => board(name).into_iter().collect(),
        None => BOARDS.iter().collect(),
    };
    let mut sizes = Vec::new();
    for board in chosen {
        eprintln!("building the firmware of {} ({})", board.name, board.core);
        sizes.push(measure(&cli, board)?);
    }
    let rows: Vec<String> = sizes.iter().map(row).collect();
    println!("{}", rows.join("\n"));
    if arguments.bless {
        if arguments.board.is_some() {
            bail!("sizes are recorded for all boards together: leave `--board` out");
        }
        return record(&rows);
    }
    let text = std::fs::read_to_string(RECORD).context(RECORD)?;
    let wrong: Vec<String> = sizes.iter().filter_map(|size| difference(&text, size)).collect();
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

fn measure(cli: &Cli, board: &'static Board) -> Result<Size> {
    let digits = &DIGITS.first().context("there is a network for digits")?.network;
    let folder = Path::new("target/boards");
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let kernels = ocelli_machines::MACHINES.iter().find(|machine| machine.kernels == board.kernels);
    let kernels = kernels.or(machine("m4")).context("a machine has the board's kernels")?;
    let file = folder.join(digits.packed_name(kernels));
    output(&mut digits.quantize(cli, &file, kernels))?;
    let packed = Packed::read(&file)?;
    let (bytes, model) = (packed.bytes(), packed.model()?);
    let contents = elf::read(&firmware::build_board(board, &file)?)?;
    if !contents.panics.is_empty() {
        bail!("{}: its image can panic: {}", board.name, contents.panics.join(", "));
    }
    Ok(Size {
        board,
        code: contents.flash_bytes.saturating_sub(bytes.len() as u64),
        flash: contents.flash_bytes,
        data: contents.ram_bytes.saturating_sub(model.arena_bytes() as u64),
        ram: contents.ram_bytes,
    })
}

fn row(size: &Size) -> String {
    let Size { board, code, flash, data, ram } = size;
    let Board { name, core, .. } = board;
    let flash = format!("{flash} of {}", board.flash);
    format!("| [`{name}`]({name}/README.md) | {core} | {code} | {flash} | {data} | {ram} of {} |", board.ram)
}

/// What differs from the recorded row of a board.
fn difference(text: &str, size: &Size) -> Option<String> {
    let name = size.board.name;
    let remedy = "`cargo xtask boards --bless` records it if it is meant";
    let line = text.lines().find(|line| line.starts_with(&format!("| [`{name}`]")));
    let Some(line) = line else { return Some(format!("{name}: {RECORD} has no sizes of it; {remedy}")) };
    let numbers: Vec<u64> =
        line.split('|').map(|cell| cell.split(' ').find_map(|word| word.parse().ok()).unwrap_or(0)).collect();
    let recorded = |cell: usize| numbers.get(cell).copied().unwrap_or(0);
    let differs = |now: u64, then: u64| now.abs_diff(then) * 100 > then * TOLERANCE;
    if differs(size.code, recorded(3)) || differs(size.data, recorded(5)) {
        let now = row(size);
        return Some(format!(
            "{name}: the image takes another size than recorded\n  {line}\n  {now}\n{remedy}"
        ));
    }
    None
}

/// Writes the rows into the record.
fn record(rows: &[String]) -> Result<()> {
    let header = "| board | core | code | flash with the model | static RAM | with the arena |\n|---|---|---:|---:|---:|---:|\n";
    page::write(RECORD, "sizes", "boards --bless", &format!("{header}{}\n", rows.join("\n")))
}
