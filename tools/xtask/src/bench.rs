//! `cargo xtask bench`: what networks take on the machines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use comfy_table::{CellAlignment, Table, presets};
use ocelli::test_bytes;
use ocelli_machines::firmware::{self, Image};
use ocelli_machines::qemu::Runner;
use ocelli_machines::{MACHINES, Machine, cycles, elf, machine};
use serde::Serialize;

use crate::cli::Cli;
use crate::figures::grouped;
use crate::networks::{Network, networks};
use crate::packed::Packed;
use crate::peers::{PEERS, Peer, peers};
use crate::repository::output;
use crate::setup;

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Measure only this network.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    model: Option<String>,
    /// Measure only on this machine.
    #[arg(long, value_name = "MACHINE", value_parser = PossibleValuesParser::new(MACHINES.iter().map(|machine| machine.name)))]
    target: Option<String>,
    /// Print what each layer takes, too.
    #[arg(long)]
    layers: bool,
    /// How the input arrives.
    #[arg(long, default_value = "rows", value_parser = PossibleValuesParser::new(["rows", "frame"]))]
    feed: String,
    /// What the arena is laid out for: the fewest bytes, or the fewest instructions.
    #[arg(long, default_value = "memory", value_parser = PossibleValuesParser::new(["memory", "speed"]))]
    optimize: String,
    /// Print a JSON object a line.
    #[arg(long)]
    json: bool,
}

/// A network on a machine.
#[derive(Serialize)]
pub struct Row {
    /// Short name of the network.
    pub model: &'static str,
    pub target: &'static str,
    pub numerics: &'static str,
    /// Of one inference.
    pub instructions: u64,
    /// Estimated, where the plugin is built and knows the machine's core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Multiply-accumulate operations of one inference.
    pub macs: u32,
    /// How the input arrives: `rows` or `frame`.
    feed: &'static str,
    /// Bytes of the arena: all that the engine needs for that feed, a resident frame included.
    pub arena_bytes: u64,
    /// The most bytes of stack in use.
    pub stack_bytes: u64,
    /// Flash of an image with the model compiled in, without the model; `None` where the machine's code memory cannot hold the model.
    pub code_bytes: Option<u64>,
    /// Weights, tables and per-channel parameters.
    pub weight_bytes: usize,
    /// The whole packed file.
    pub model_bytes: usize,
    /// What other engines take.
    pub peers: Vec<Peer>,
}

/// The names of networks, each once: a network may be there int8 and float.
fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = networks().map(|network| network.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// More than any image without its model takes.
const LARGEST_CODE: u64 = 48 << 10;

/// An inference takes seconds even where it is slow.
const LIMIT: Duration = Duration::from_secs(600);

/// How memory is laid out: how the input arrives, and what the arena is laid out for.
pub struct Layout {
    feed: String,
    optimize: String,
}

impl Layout {
    /// `rows` or `frame`; `memory` or `speed`.
    pub fn new(feed: &str, optimize: &str) -> Self {
        Self { feed: feed.to_owned(), optimize: optimize.to_owned() }
    }
}

/// Measures and prints.
pub fn bench(arguments: &Arguments) -> Result<()> {
    setup::run()?;
    let cli = Cli::build()?;
    let chosen = |network: &&Network| arguments.model.as_ref().is_none_or(|name| network.name == name);
    let machines: Vec<&'static Machine> = match &arguments.target {
        Some(name) => machine(name).into_iter().collect(),
        None => MACHINES.iter().collect(),
    };
    let networks: Vec<&Network> = networks().filter(chosen).collect();
    let layout = Layout::new(&arguments.feed, &arguments.optimize);
    let print = |measured: &Measured| {
        if arguments.json {
            println!("{}", serde_json::to_string(measured.row)?);
        }
        if arguments.layers {
            print!("{}", output(&mut layers(&cli, measured.file, measured.machine, arguments.json))?);
        }
        Ok(())
    };
    let rows = measure_all(&cli, &networks, &machines, &layout, &print)?;
    if !arguments.json {
        println!("{}", table(&rows));
        if rows.iter().any(|row| !row.peers.is_empty()) {
            println!("{PEERS}");
        }
    }
    Ok(())
}

/// What was just measured.
pub struct Measured<'a> {
    row: &'a Row,
    file: &'a Path,
    machine: &'static Machine,
}

/// Packs and measures each network on each machine; one whose files are missing is named and skipped.
pub fn measure_all(
    cli: &Cli,
    networks: &[&Network],
    machines: &[&'static Machine],
    layout: &Layout,
    print: &dyn Fn(&Measured) -> Result<()>,
) -> Result<Vec<Row>> {
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut rows = Vec::new();
    let mut skipped = Vec::new();
    for (position, network) in networks.iter().enumerate() {
        let (name, numerics) = (network.name, network.numerics);
        if let Some(missing) = network.missing_file() {
            skipped.push(format!("{name} ({numerics}): {missing} is not there"));
            continue;
        }
        let of = format!("network {} of {}", position + 1, networks.len());
        let mut packed = Vec::new();
        for &machine in machines {
            let file = folder.join(network.packed_name(machine));
            if !packed.contains(&machine.kernels) {
                eprintln!("packing {name} ({numerics}) for {}, {of}", machine.kernels);
                let layout = ["--feed", &layout.feed, "--optimize", &layout.optimize];
                output(network.quantize(cli, &file, machine).args(layout))?;
                packed.push(machine.kernels);
            }
            eprintln!("measuring {name} ({numerics}) on {}, {of}", machine.name);
            let row = measure(network, &file, machine)
                .with_context(|| format!("{} on {}", network.name, machine.name))?;
            print(&Measured { row: &row, file: &file, machine })?;
            rows.push(row);
        }
    }
    for line in &skipped {
        eprintln!("skipped: {line}");
    }
    if rows.is_empty() {
        bail!("nothing was measured");
    }
    Ok(rows)
}

/// Measures a packed network on a machine.
pub fn measure(network: &Network, file: &Path, machine: &'static Machine) -> Result<Row> {
    let packed = Packed::read(file)?;
    let (bytes, model) = (packed.bytes(), packed.model()?);

    let input: Vec<u8> = test_bytes(1).take(model.input().len()).map(i8::cast_unsigned).collect();
    let runner = Runner::new(machine)?;
    let report = runner.run(bytes, &input, LIMIT)?.report;
    let cycles = if cycles::are_estimated(machine) {
        let costs = runner.profile(bytes, model.steps().count(), &input, LIMIT)?;
        costs.iter().map(|cost| cost.cycles).sum()
    } else {
        None
    };
    let code_bytes = if bytes.len() as u64 + LARGEST_CODE > u64::from(machine.code.length) {
        None
    } else {
        let image = firmware::build(machine, Image::Embedded(file))?;
        Some(elf::read(&image)?.flash_bytes.saturating_sub(bytes.len() as u64))
    };
    Ok(Row {
        model: network.name,
        target: machine.name,
        numerics: model.numerics().name(),
        instructions: report.instructions,
        cycles,
        macs: model.macs(),
        feed: model.feed().name(),
        arena_bytes: report.arena_bytes,
        stack_bytes: report.stack_bytes,
        code_bytes,
        weight_bytes: model.weight_bytes(),
        model_bytes: bytes.len(),
        peers: peers(network.name, machine.name),
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "model",
        "numerics",
        "target",
        "instructions",
        "MACs",
        "instr/MAC",
        "est. cycles",
        "arena",
        "stack",
        "code",
        "weights",
        "other engines",
    ]);
    for row in rows {
        table.add_row([
            row.model.to_owned(),
            row.numerics.to_owned(),
            row.target.to_owned(),
            grouped(row.instructions),
            grouped(row.macs.into()),
            format!("{:.2}", row.instructions as f64 / f64::from(row.macs.max(1))),
            row.cycles.map_or("-".to_owned(), grouped),
            grouped(row.arena_bytes),
            grouped(row.stack_bytes),
            row.code_bytes.map_or("-".to_owned(), grouped),
            grouped(row.weight_bytes as u64),
            row.peers.iter().map(|peer| beside(peer, row.instructions)).collect::<Vec<_>>().join(", "),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Another engine's figure, and how many times ours it is.
fn beside(peer: &Peer, instructions: u64) -> String {
    let times = peer.instructions as f64 / instructions.max(1) as f64;
    format!("{} {:.1} M ({times:.1}x)", peer.engine, peer.instructions as f64 / 1e6)
}

/// The command that shows a packed network's layers.
fn layers(cli: &Cli, file: &Path, machine: &Machine, json: bool) -> Command {
    let mut command = cli.command(&["profile", "--on", &format!("qemu:{}", machine.name)]);
    command.arg(file);
    if json {
        command.arg("--json");
    }
    command
}
