//! `cargo xtask demo`: a float MobileNetV2 and a float MobileViT become int8 and classify held-out pictures on a Cortex-M4 in QEMU.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ocelli_machines::firmware::{self, Image};
use ocelli_machines::{elf, machine};
use serde::Deserialize;

use crate::cli::Cli;
use crate::networks::{DIGITS, Own};
use crate::repository::{output, run};
use crate::setup;

const PICTURES: &str = "models/digits/pictures/held-out";
const MACHINE: &str = "m4";

/// What `ocelli run --json` prints for a picture.
#[derive(Deserialize)]
struct Answer {
    input: String,
    classes: Vec<Class>,
}

#[derive(Deserialize)]
struct Class {
    index: usize,
    label: Option<String>,
    score: f32,
}

/// What it prints at the end.
#[derive(Deserialize)]
struct Summary {
    arena_bytes: u64,
    instructions: Option<u64>,
    stack_bytes: Option<u64>,
}

/// Answers, in the order of the pictures, and the summary.
struct Run {
    answers: Vec<Answer>,
    summary: Summary,
    outputs: Vec<u8>,
}

/// Shows the way from a float network to classes on a microcontroller.
pub fn demo() -> Result<()> {
    setup::run()?;
    let cli = Cli::build()?;
    let folder = Path::new("target/demo");
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;

    DIGITS.iter().try_for_each(|own| show(&cli, folder, own))
}

/// Shows the way of one network.
fn show(cli: &Cli, folder: &Path, own: &Own) -> Result<()> {
    let network = &own.network;
    println!(
        "\nThe float network {} becomes int8, calibrated on 200 pictures of handwritten digits\n",
        network.file
    );
    let machine = machine(MACHINE).context("the table has it")?;
    let packed = folder.join(network.packed_name(machine));
    run(&mut network.quantize(cli, &packed, machine))?;
    let pictures = pictures()?;
    println!("\n{} held-out pictures on the host, float and int8\n", pictures.len());
    run(&mut own.evaluate(cli, &packed))?;

    println!(
        "\nThe same pictures on a {} in QEMU ({}), with a firmware image on bare metal\n",
        machine.core, machine.board
    );
    let host = run_on(cli, "host", &packed, &pictures)?;
    let board = run_on(cli, &format!("qemu:{MACHINE}"), &packed, &pictures)?;

    let mut right = 0;
    for (position, (picture, answer)) in pictures.iter().zip(&board.answers).enumerate() {
        let label = picture.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let best = answer.classes.first().with_context(|| format!("{} has no class", answer.input))?;
        let class = best.label.clone().unwrap_or_else(|| best.index.to_string());
        right += usize::from(class == label);
        if position % 36 == 0 || class != label {
            let verdict = if class == label { "" } else { "  WRONG" };
            println!("  {} shows {label}: class {class}, score {:.3}{verdict}", short(picture), best.score);
        }
    }
    let image = elf::read(&firmware::build(machine, Image::Embedded(&packed))?)?;
    let model = fs::metadata(&packed).with_context(|| packed.display().to_string())?.len();
    println!();
    println!(
        "  top-1 on the machine      {right} of {} = {:.2} %",
        pictures.len(),
        100.0 * right as f64 / pictures.len() as f64
    );
    println!(
        "  instructions an inference {}",
        board.summary.instructions.context("QEMU counts instructions")?
    );
    println!("  arena                     {} bytes", board.summary.arena_bytes);
    println!(
        "  stack                     {} bytes",
        board.summary.stack_bytes.context("QEMU's image measures the stack")?
    );
    println!(
        "  flash                     {} bytes: code {}, model {model}",
        image.flash_bytes,
        image.flash_bytes.saturating_sub(model)
    );
    if host.outputs != board.outputs {
        bail!("host and machine give different bytes");
    }
    println!("  host and machine          the same {} output bytes", host.outputs.len());
    Ok(())
}

/// The held-out pictures, in order: a folder a class.
fn pictures() -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for class in entries(Path::new(PICTURES))?.iter().filter(|path| path.is_dir()) {
        pictures.extend(entries(class)?.into_iter().filter(|path| path.is_file()));
    }
    Ok(pictures)
}

/// What a folder holds, in order, without the hidden files that desktops leave.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn run_on(cli: &Cli, place: &str, packed: &Path, pictures: &[PathBuf]) -> Result<Run> {
    let raw = packed.with_file_name("outputs");
    let mut command = cli.command(&["run", "--json", "--top", "1", "--on", place]);
    let printed = output(command.arg("--output").arg(&raw).arg(packed).args(pictures))?;
    let mut lines: Vec<&str> = printed.lines().collect();
    let summary = serde_json::from_str(lines.pop().context("`ocelli run` printed nothing")?)?;
    let answers =
        lines.iter().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<Vec<Answer>>>()?;
    if answers.len() != pictures.len() {
        bail!("`ocelli run` answered {} of {} pictures", answers.len(), pictures.len());
    }
    Ok(Run { answers, summary, outputs: fs::read(&raw).with_context(|| raw.display().to_string())? })
}

/// The last two parts of a path: class and file.
fn short(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.get(parts.len().saturating_sub(2)..).unwrap_or_default().join("/")
}
