//! Cost and error of each layer.

use ocelli_compiler::evaluate::{ValueCounts, effective_levels};
use ocelli_compiler::quantize::weight_bytes;
use ocelli_compiler::quantized::{Operation, QuantizedNode};

use super::Packed;
use super::columns::{Column, columns};
use crate::table::{grouped, short};

/// A layer of the packed model.
pub struct Layer {
    /// Its place in order of execution.
    pub index: usize,
    /// Its name in the file.
    pub name: String,
    /// A name that fits a table.
    pub short: String,
    /// What it computes.
    pub operation: String,
    /// The shape of its output.
    pub shape: String,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Bytes of weights, biases and tables.
    pub weight_bytes: usize,
    /// Against the float network, where there is one.
    pub error: Option<Error>,
    /// How many of the 256 values carry the output, where it was measured.
    pub effective_levels: Option<f64>,
}

/// The error of a layer's output.
pub struct Error {
    /// Decibels; infinite without error.
    pub sqnr_db: f64,
    /// Float values outside the int8 range, percent.
    pub saturation_percent: f64,
    /// Of the angle between float and int8 values.
    pub cosine: f64,
}

impl Layer {
    /// All layers of a network; `counts` are the values of their outputs.
    pub fn all(packed: &Packed, counts: Option<&[ValueCounts]>) -> Vec<Self> {
        let graph = packed.graph();
        let nodes = graph.nodes.iter().filter(|node| !matches!(node.operation, Operation::Reshape));
        let of = |(index, node): (usize, &QuantizedNode)| {
            let report = packed.converted.report.get(index);
            Self {
                index,
                name: node.name.clone(),
                short: short(&node.name),
                operation: report
                    .map_or_else(|| node.operation.name().to_owned(), |report| report.operation.clone()),
                shape: graph.tensor(node.output).shape.to_string(),
                macs: graph.macs(node),
                weight_bytes: weight_bytes(&node.operation),
                error: report.map(|report| Error {
                    sqnr_db: report.sqnr_db,
                    saturation_percent: report.saturation_percent,
                    cosine: report.cosine,
                }),
                effective_levels: report
                    .map(|report| report.effective_levels)
                    .or_else(|| counts?.get(index).map(effective_levels)),
            }
        };
        nodes.enumerate().map(of).collect()
    }

    /// Multiply-accumulate operations with their thousands apart.
    pub fn macs_text(&self) -> String {
        if self.macs == 0 { "–".to_owned() } else { grouped(self.macs) }
    }

    /// Bytes of weights with their thousands apart.
    pub fn weights_text(&self) -> String {
        if self.weight_bytes == 0 { "–".to_owned() } else { grouped(self.weight_bytes as u64) }
    }

    /// The effective levels.
    pub fn levels_text(&self) -> String {
        self.effective_levels.map_or_else(|| "–".to_owned(), |levels| format!("{levels:.0}"))
    }

    fn title(&self, value: &str) -> String {
        format!("layer {}, {}\n{} to {}\n{value}", self.index, self.name, self.operation, self.shape)
    }
}

impl Error {
    /// Its decibels.
    pub fn sqnr_text(&self) -> String {
        if self.sqnr_db.is_finite() { format!("{:.1}", self.sqnr_db) } else { "exact".to_owned() }
    }

    /// How good it is, as a class of the style sheet.
    pub fn class(&self) -> &'static str {
        match self.sqnr_db {
            30.0.. => "good",
            20.0..30.0 => "fair",
            _ => "bad",
        }
    }

    /// Decibels as a share of a bar, percent.
    pub fn bar(&self) -> String {
        format!("{:.0}", (self.sqnr_db / 60.0 * 100.0).clamp(2.0, 100.0))
    }

    /// The cosine.
    pub fn cosine_text(&self) -> String {
        format!("{:.5}", self.cosine)
    }

    /// Percent of values outside.
    pub fn saturation_text(&self) -> String {
        format!("{:.2}", self.saturation_percent)
    }
}

/// The error of the layers; `None` where there is no float network to compare with.
pub fn error_chart(layers: &[Layer]) -> Option<String> {
    let columns_of: Vec<Column> = layers
        .iter()
        .filter_map(|layer| {
            let error = layer.error.as_ref()?;
            let value = error.sqnr_db.is_finite().then_some(error.sqnr_db);
            let (class, text) = match value {
                Some(value) => (error.class(), format!("SQNR {value:.1} dB, cosine {:.5}", error.cosine)),
                None => ("exact", "no error".to_owned()),
            };
            Some(Column { value, title: layer.title(&text), class })
        })
        .collect();
    let label = "Signal to quantization noise of the output of each layer in decibels";
    (!columns_of.is_empty()).then(|| columns(&columns_of, 260.0, label, |value| format!("{value:.0} dB")))
}

/// Multiply-accumulate operations of the layers.
pub fn macs_chart(layers: &[Layer]) -> String {
    let columns_of: Vec<Column> = layers
        .iter()
        .map(|layer| Column {
            value: Some(layer.macs as f64),
            title: layer.title(&format!("{} MACs", grouped(layer.macs))),
            class: "good",
        })
        .collect();
    columns(&columns_of, 190.0, "Multiply-accumulate operations of each layer", thousands)
}

/// Bytes of weights of the layers.
pub fn weights_chart(layers: &[Layer]) -> String {
    let columns_of: Vec<Column> = layers
        .iter()
        .map(|layer| Column {
            value: Some(layer.weight_bytes as f64),
            title: layer.title(&format!("{} bytes of weights", grouped(layer.weight_bytes as u64))),
            class: "weights",
        })
        .collect();
    columns(&columns_of, 190.0, "Bytes of weights of each layer", thousands)
}

fn thousands(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", value / 1e6),
        1e3.. => format!("{} k", value / 1e3),
        _ => format!("{value}"),
    }
}
