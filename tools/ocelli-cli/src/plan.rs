//! `ocelli plan`: how a packed model uses its arena.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use ocelli::Model;
use ocelli_compiler::pack::AlignedBytes;
use ocelli_compiler::plan::timeline::Timeline;

use crate::table::{grouped, table};
use crate::{files, print};

/// Show how a packed model uses its arena: its stages, what takes most memory and when, and a drawing of it all.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli plan model.ocelli
  ocelli plan model.ocelli --svg arena.svg")]
pub struct Arguments {
    /// The packed model, made by `ocelli quantize`, whose options `--feed`, `--optimize` and `--arena-limit` say what is planned.
    model: PathBuf,
    /// Draw the arena over time: time to the right, addresses upwards.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let bytes = std::fs::read(&arguments.model)
        .with_context(|| format!("cannot read {}", arguments.model.display()))?;
    let bytes = AlignedBytes::new(&bytes);
    let model =
        Model::open(bytes.bytes()).map_err(|error| anyhow!("{}: {error}", arguments.model.display()))?;
    let timeline = Timeline::of(&model)
        .with_context(|| format!("{}: rows cannot flow as its stages say", arguments.model.display()))?;
    if let Some(path) = &arguments.svg {
        files::check_folder(path)?;
        files::write_whole(path, svg(&model, &timeline).as_bytes())?;
    }
    print::line(text(&model, &timeline).trim_end())?;
    Ok(())
}

/// The operator that makes a tensor, and its shape.
fn name(model: &Model<'_>, tensor: usize) -> String {
    let info = &model.tensors()[tensor];
    let shape = format!("{}x{}x{}", info.height, info.width, info.channels);
    let maker = model.steps().enumerate().find(|(_, step)| usize::from(step.output) == tensor);
    match maker {
        Some((index, step)) => format!("step {index}, {}: {shape}", step.operator.name()),
        None if std::ptr::eq(info, model.input()) => format!("the input: {shape}"),
        None => format!("working memory: {} bytes", info.len()),
    }
}

fn text(model: &Model<'_>, timeline: &Timeline) -> String {
    let mut stages = table(&["stage", "steps", "makes", "calls", "bytes in use"], 3);
    for (index, stage) in timeline.stages.iter().enumerate() {
        let steps = if stage.steps.len() == 1 {
            format!("{}", stage.steps.start)
        } else {
            format!("{} to {}", stage.steps.start, stage.steps.end - 1)
        };
        let way = if stage.streamed { "row by row" } else { "whole" };
        let bytes = grouped(stage.peak_bytes as u64);
        stages.add_row([index.to_string(), steps, way.to_owned(), stage.time.len().to_string(), bytes]);
    }
    let mut text = format!("{stages}\n");
    let bytes = timeline.bytes();
    let most = bytes.get(timeline.peak as usize).copied().unwrap_or(0);
    let step = timeline.stages.iter().position(|stage| stage.time.contains(&timeline.peak)).unwrap_or(0);
    let _ = writeln!(
        text,
        "arena {} bytes, fed {}; most is in use in stage {step}: {} bytes of",
        grouped(model.arena_bytes() as u64),
        match model.feed() {
            ocelli::Feed::Rows => "row by row",
            ocelli::Feed::Frame => "a whole frame",
        },
        grouped(most as u64),
    );
    for (tensor, bytes) in timeline.at(timeline.peak) {
        let info = &model.tensors()[tensor];
        let rows = bytes.checked_div(info.row_len()).unwrap_or(0);
        let _ = writeln!(text, "  {:>9}  {} ({rows} rows)", grouped(bytes as u64), name(model, tensor));
    }
    text
}

/// A drawing of 1000 by 600: each row is a rectangle from its birth to its last reading.
fn svg(model: &Model<'_>, timeline: &Timeline) -> String {
    const WIDTH: f64 = 1000.0;
    const HEIGHT: f64 = 600.0;
    let across = WIDTH / f64::from(timeline.end + 1);
    let up = HEIGHT / model.arena_bytes().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-10 -30 1020 650\" font-family=\"sans-serif\" font-size=\"12\">\n<text y=\"-12\">arena of {} bytes, upwards, over {} calls</text>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#f4f4f4\"/>\n",
        model.arena_bytes(),
        timeline.end,
    );
    for block in &timeline.blocks {
        let hue = block.tensor * 137 % 360;
        let _ = writeln!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"hsl({hue} 60% 60%)\"><title>{}: {} bytes at {}</title></rect>",
            f64::from(block.first) * across,
            HEIGHT - (block.offset + block.bytes) as f64 * up,
            f64::from(block.last - block.first + 1) * across,
            block.bytes as f64 * up,
            name(model, block.tensor),
            block.bytes,
            block.offset,
        );
    }
    for stage in &timeline.stages {
        let x = f64::from(stage.time.start) * across;
        let _ = writeln!(svg, "<path d=\"M{x:.2} 0V{HEIGHT}\" stroke=\"#0006\"/>");
    }
    let x = f64::from(timeline.peak) * across;
    let _ = writeln!(
        svg,
        "<path d=\"M{x:.2} 0V{HEIGHT}\" stroke=\"#c00\"/>\n<text x=\"{x:.2}\" y=\"615\" fill=\"#c00\">peak</text>\n</svg>"
    );
    svg
}
