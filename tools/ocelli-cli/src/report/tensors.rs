//! The values of each tensor beside its range.

use anyhow::Result;
use ocelli_compiler::calibrate::data::Dataset;
use ocelli_compiler::evaluate::{self, ValueCounts};
use ocelli_compiler::graph::Quantization;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::TensorReport;
use ocelli_compiler::quantized::{Operation, QuantizedGraph};
use ocelli_format::Metadata;

use super::Packed;
use super::histogram::{Histogram, number};
use crate::progress::Progress;
use crate::table::{ending, short};

/// What the page shows of a tensor.
pub struct Card {
    /// Its name in the file.
    pub name: String,
    /// A name that fits.
    pub short: String,
    /// Its shape.
    pub shape: String,
    /// Its histogram.
    pub chart: String,
    /// Its range and scale.
    pub lines: Vec<String>,
}

/// How many inputs the values of an int8 network are counted on, at most.
const SAMPLES: usize = 32;

/// How often the output of each layer takes each value.
pub fn value_counts(graph: &QuantizedGraph, data: &Dataset, progress: &Progress) -> Result<Vec<ValueCounts>> {
    let progress = |done, total| progress.set("counting values", done, total);
    let file = pack(graph, &plan(graph), Metadata::default())?;
    Ok(evaluate::value_counts(&file, data, &data.spread(SAMPLES), &progress)?)
}

/// A card for each tensor of which values are known.
pub fn cards(packed: &Packed, counts: Option<&[ValueCounts]>) -> Vec<Card> {
    match counts {
        Some(counts) => {
            let graph = packed.graph();
            let nodes = graph.nodes.iter().filter(|node| !matches!(node.operation, Operation::Reshape));
            let tensors = nodes.map(|node| graph.tensor(node.output));
            tensors
                .zip(counts)
                .map(|(tensor, counts)| {
                    int8_card(&tensor.name, tensor.shape.to_string(), tensor.quantization, counts)
                })
                .collect()
        }
        None => packed.converted.tensors.iter().map(float_card).collect(),
    }
}

/// The real values that int8 stands for.
fn range(Quantization { scale, zero_point }: Quantization) -> [f64; 2] {
    [-128.0, 127.0].map(|end| f64::from(scale) * (end - f64::from(zero_point)))
}

fn scale_line(Quantization { scale, zero_point }: Quantization) -> String {
    format!("scale {}, zero point {zero_point}", number(f64::from(scale)))
}

fn float_card(tensor: &TensorReport) -> Card {
    let mut range = range(tensor.quantization);
    let mut lines = vec![scale_line(tensor.quantization)];
    if let Some([least, most]) = tensor.channel_factors {
        // The range of the channels that are scaled least is the widest.
        range = range.map(|end| end / least);
        lines.push(format!("channels have scales of their own, up to {} times finer", number(most / least)));
    }
    let ends = tensor.extremes.map(f64::from);
    let histogram = Histogram { counts: &tensor.histogram, ends, range };
    lines.insert(
        0,
        format!(
            "{} to {}, of {} to {}; {:.3} % clipped",
            number(range[0]),
            number(range[1]),
            number(ends[0]),
            number(ends[1]),
            histogram.clipped_percent()
        ),
    );
    card(&tensor.name, tensor.shape.to_string(), histogram.chart("Histogram of the float values"), lines)
}

fn int8_card(name: &str, shape: String, quantization: Quantization, counts: &ValueCounts) -> Card {
    let range = range(quantization);
    let values: Vec<u64> =
        (i8::MIN..=i8::MAX).map(|value| counts[usize::from(value.cast_unsigned())]).collect();
    let bins: Vec<u64> = values.chunks(4).map(|values| values.iter().sum()).collect();
    let histogram = Histogram { counts: &bins, ends: range, range };
    let lines = vec![format!("{} to {}", number(range[0]), number(range[1])), scale_line(quantization)];
    card(name, shape, histogram.chart("Histogram of the int8 values"), lines)
}

fn card(name: &str, shape: String, chart: String, lines: Vec<String>) -> Card {
    Card { name: name.to_owned(), short: ending(&short(name), 28), shape, chart, lines }
}
