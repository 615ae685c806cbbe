//! The page.

use std::path::Path;

use anyhow::Result;
use askama::Template;
use ocelli::Model;
use ocelli_compiler::calibrate::data::Preprocessing;
use ocelli_compiler::import::Format;
use ocelli_compiler::quantize::Remedy;

use super::Packed;
use super::accuracy::{Accuracy, Picture};
use super::arena::Arena;
use super::confusion::Mistake;
use super::histogram::number;
use super::layers::{self, Layer};
use super::tensors::Card;
use crate::conversion::Conversion;
use crate::table::{grouped, short};

/// What the template shows.
#[derive(Template)]
#[template(path = "report.html")]
pub struct Page<'a> {
    name: String,
    file: String,
    version: &'static str,
    tiles: Vec<Tile>,
    card: Vec<[String; 2]>,
    accuracy: Option<AccuracySection>,
    layers: &'a [Layer],
    error_chart: Option<String>,
    worst: Vec<&'a Layer>,
    remedies: Vec<RemedyRow>,
    memory: MemorySection,
    macs_chart: String,
    weights_chart: String,
    tensors: Vec<Card>,
    is_float: bool,
}

/// A figure at the top.
struct Tile {
    value: String,
    unit: &'static str,
    name: &'static str,
    note: String,
}

/// Another range for a layer.
struct RemedyRow {
    layer: String,
    method: String,
    gain: String,
    adopted: bool,
}

struct AccuracySection {
    samples: String,
    bars: Vec<Bar>,
    summary: String,
    confusion: Option<String>,
    mistakes: Vec<Mistake>,
    lost: usize,
    lost_text: String,
    pictures: Vec<Picture>,
}

struct Bar {
    name: &'static str,
    percent: f64,
    class: &'static str,
}

impl Bar {
    fn text(&self) -> String {
        format!("{:.2}", self.percent)
    }
}

struct MemorySection {
    chart: String,
    peak_step: usize,
    peak_name: String,
    peak_bytes: String,
    arena_bytes: String,
    peak_percent: String,
    at_peak: Vec<[String; 3]>,
}

impl<'a> Page<'a> {
    /// Puts all parts together.
    pub fn new(
        packed: &Packed,
        model: &Model<'_>,
        options: &Conversion,
        accuracy: Option<Accuracy>,
        layers: &'a [Layer],
        arena: &Arena,
        tensors: Vec<Card>,
    ) -> Self {
        let mut worst: Vec<&Layer> = layers.iter().filter(|layer| sqnr(layer).is_finite()).collect();
        worst.sort_by(|a, b| sqnr(a).total_cmp(&sqnr(b)));
        worst.truncate(5);
        Self {
            name: if model.name().is_empty() { file_name(&options.network) } else { model.name().to_owned() },
            file: file_name(&options.network),
            version: env!("CARGO_PKG_VERSION"),
            tiles: tiles(model, accuracy.as_ref(), layers),
            card: card(packed, model, options, layers),
            error_chart: layers::error_chart(layers),
            worst,
            remedies: remedies(packed, layers),
            memory: MemorySection::of(arena, model.arena_bytes()),
            macs_chart: layers::macs_chart(layers),
            weights_chart: layers::weights_chart(layers),
            layers,
            tensors,
            is_float: packed.converted.float.is_some(),
            accuracy: accuracy.map(|accuracy| AccuracySection::of(accuracy, packed)),
        }
    }

    /// The document.
    pub fn html(&self) -> Result<String> {
        Ok(self.render()?)
    }
}

fn remedies(packed: &Packed, layers: &[Layer]) -> Vec<RemedyRow> {
    let row = |remedy: &Remedy| {
        let layer = layers.get(remedy.layer)?;
        Some(RemedyRow {
            layer: format!("{} {}", layer.index, layer.short),
            method: remedy.method.to_string(),
            gain: format!("{:+.2}", remedy.gain_db),
            adopted: remedy.adopted,
        })
    };
    packed.converted.remedies.iter().filter_map(row).collect()
}

fn sqnr(layer: &Layer) -> f64 {
    layer.error.as_ref().map_or(f64::INFINITY, |error| error.sqnr_db)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn tiles(model: &Model<'_>, accuracy: Option<&Accuracy>, layers: &[Layer]) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some(percent) = accuracy.and_then(|accuracy| accuracy.int8_percent) {
        let float = accuracy.and_then(|accuracy| accuracy.evaluation.as_ref()?.accuracy);
        let note = float.map_or_else(String::new, |float| {
            let difference = float.int8_percent - float.float_percent;
            format!("float {:.2} %, {difference:+.2} ± {:.2}", float.float_percent, float.standard_error)
        });
        tiles.push(Tile { value: format!("{percent:.2}"), unit: "%", name: "top-1, int8", note });
    }
    if let Some(evaluation) = accuracy.and_then(|accuracy| accuracy.evaluation.as_ref()) {
        tiles.push(Tile {
            value: format!("{:.2}", evaluation.agreement_percent),
            unit: "%",
            name: "agreement",
            note: "same class as float".to_owned(),
        });
        if evaluation.sqnr_db.is_finite() {
            tiles.push(Tile {
                value: format!("{:.1}", evaluation.sqnr_db),
                unit: "dB",
                name: "SQNR of the logits",
                note: "signal to quantization noise".to_owned(),
            });
        }
    }
    let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
    let (value, unit) = match macs {
        1_000_000.. => (format!("{:.2}", macs as f64 / 1e6), "M"),
        _ => (grouped(macs), ""),
    };
    tiles.push(Tile { value, unit, name: "MACs an inference", note: format!("{} layers", layers.len()) });
    let kilobytes = |bytes: usize| format!("{:.1}", bytes as f64 / 1024.0);
    tiles.push(Tile {
        value: kilobytes(model.arena_bytes()),
        unit: "KiB",
        name: "RAM for tensors",
        note: format!("{} bytes", grouped(model.arena_bytes() as u64)),
    });
    tiles.push(Tile {
        value: kilobytes(model.file_bytes()),
        unit: "KiB",
        name: "flash for the model",
        note: format!("{} bytes", grouped(model.file_bytes() as u64)),
    });
    tiles
}

fn card(packed: &Packed, model: &Model<'_>, options: &Conversion, layers: &[Layer]) -> Vec<[String; 2]> {
    let converted = &packed.converted;
    let mut card: Vec<[String; 2]> = Vec::new();
    let mut add = |name: &str, value: String| card.push([name.to_owned(), value]);
    let format = match converted.format {
        Format::Onnx => "ONNX",
        Format::TfLite => "TFLite",
    };
    let kind = if converted.float.is_some() { "float" } else { "int8" };
    add("network", format!("{} ({format}, {kind})", file_name(&options.network)));
    let edge = |tensor: &ocelli::TensorInfo| {
        format!(
            "{}x{}x{}, scale {:e}, zero point {}",
            tensor.height, tensor.width, tensor.channels, tensor.scale, tensor.zero_point
        )
    };
    add("input", edge(model.input()));
    if converted.pictures {
        add("a byte of a picture", preprocessing_text(&options.data.preprocessing()));
    }
    add("output", edge(model.output()));
    if !packed.labels.is_empty() {
        let more = packed.labels.len().saturating_sub(12);
        let mut names = packed.labels.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            names += &format!(" and {more} more");
        }
        add("classes", names);
    }
    if converted.float.is_some() {
        add("calibrated on", format!("{} inputs, ranges by {}", converted.samples, options.range_method()));
    }
    let arithmetic = match model.numerics() {
        ocelli_format::Numerics::Q32 => "q32: int8 by Ocelli, one rounding a layer",
        ocelli_format::Numerics::TfLite => "tflite: byte for byte what TFLite’s reference kernels compute",
    };
    add("arithmetic", arithmetic.to_owned());
    add("layout", model.target().name().to_owned());
    add("weights and tables", format!("{} bytes", grouped(model.weight_bytes() as u64)));
    let macs: u64 = layers.iter().map(|layer| layer.macs).sum();
    add("multiply-accumulates", grouped(macs));
    card
}

/// What a byte stands for.
fn preprocessing_text(preprocessing: &Preprocessing) -> String {
    let parts = preprocessing.scale.iter().zip(&preprocessing.offset);
    let parts: Vec<String> = parts
        .map(|(&scale, &offset)| {
            let sign = if offset < 0.0 { '−' } else { '+' };
            format!("byte × {} {sign} {}", number(scale.into()), number(f64::from(offset.abs())))
        })
        .collect();
    let order = if preprocessing.bgr { "; blue, green, red" } else { "" };
    format!("{}{order}", parts.join(", "))
}

impl AccuracySection {
    fn of(accuracy: Accuracy, packed: &Packed) -> Self {
        let Accuracy { samples, int8_percent, evaluation, confusion, lost, won, pictures } = accuracy;
        let mut bars = Vec::new();
        let found = evaluation.as_ref().and_then(|evaluation| evaluation.accuracy);
        if let Some(found) = found {
            bars.push(Bar { name: "float", percent: found.float_percent, class: "bar-float" });
        }
        if let Some(percent) = int8_percent {
            bars.push(Bar { name: "int8", percent, class: "bar-int8" });
        }
        let summary = found.map_or_else(String::new, |found| {
            format!(
                "{:+.2} points, with a paired standard error of {:.2}",
                found.int8_percent - found.float_percent,
                found.standard_error
            )
        });
        let lost_text = match (won, lost) {
            _ if evaluation.is_none() => String::new(),
            (Some(0), 0) => format!("None of {samples}, and none that only the int8 model gets right."),
            (Some(won), 0) => {
                format!(
                    "None of {samples}: the int8 model gets everything right that the float network does, and {won} more."
                )
            }
            (Some(won), _) => format!("{lost} of {samples}; {won} the other way round."),
            (None, 0) => format!("None: both name the same class for all {samples}."),
            (None, _) => format!("{lost} of {samples} inputs get another class than from the float network."),
        };
        let name = |class: usize| packed.class(class);
        Self {
            samples: grouped(samples as u64),
            bars,
            summary,
            confusion: confusion.as_ref().and_then(|confusion| confusion.chart(name)),
            mistakes: confusion.as_ref().map_or_else(Vec::new, |confusion| confusion.mistakes(8, name)),
            lost,
            lost_text,
            pictures,
        }
    }
}

impl MemorySection {
    fn of(arena: &Arena, arena_bytes: usize) -> Self {
        let peak_step = arena.peak.step;
        let bytes = arena.peak.bytes;
        let rows = arena
            .at(peak_step)
            .into_iter()
            .map(|tenant| [short(&tenant.name), tenant.what.clone(), grouped(tenant.bytes.len() as u64)]);
        Self {
            chart: arena.chart(),
            peak_step,
            peak_name: short(arena.step_name(peak_step)),
            peak_bytes: grouped(bytes as u64),
            arena_bytes: grouped(arena_bytes as u64),
            peak_percent: format!("{:.0}", 100.0 * bytes as f64 / arena_bytes.max(1) as f64),
            at_peak: rows.collect(),
        }
    }
}
