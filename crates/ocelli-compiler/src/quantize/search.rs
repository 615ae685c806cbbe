//! Ranges searched against the error of the output.
//!
//! A range that is best for a tensor alone need not be best for the network. From a quantized network, the tensors of the layers with most
//! error are given each the ranges of the other methods in turn: their integers stay as they are corrected, only what depends on the scale
//! follows it, so that a trial costs a few runs of the int8 network. What gains is a remedy.

use std::collections::BTreeMap;

use ocelli::{Engine, Model, operator};
use ocelli_format::Metadata;
use rayon::prelude::*;

use super::channel_scales::Places;
use super::{QuantizeError, Quantized, Scaled, Sources, build};
use crate::calibrate::ranges::{CalibrationError, RangeMethod};
use crate::graph::TensorId;
use crate::pack::{AlignedBytes, PackError, pack};
use crate::plan::plan;
use crate::quantized::{Operation, QuantizedGraph};

/// How ranges are chosen, by tensor.
#[derive(Clone, Debug)]
pub(super) struct Methods {
    /// Of most tensors.
    pub usual: RangeMethod,
    /// Of others.
    pub of: BTreeMap<TensorId, RangeMethod>,
}

impl Methods {
    /// Of a tensor.
    pub fn method(&self, id: TensorId) -> RangeMethod {
        self.of.get(&id).copied().unwrap_or(self.usual)
    }
}

/// Another range for a layer's output that makes the network's output better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remedy {
    /// The layer's place in [`Quantized::report`].
    pub layer: usize,
    /// How its range would be chosen.
    pub method: RangeMethod,
    /// What that gains in the SQNR of the network's output, alone, decibels.
    pub gain_db: f64,
    /// Whether it was done.
    pub adopted: bool,
}

/// Less than this is within the error of the measurement.
const LEAST_GAIN_DB: f64 = 0.05;

/// Inputs that a trial runs on.
const SAMPLES: usize = 8;

const METHODS: [RangeMethod; 4] =
    [RangeMethod::MinMax, RangeMethod::Mse, RangeMethod::Percentile(99.99), RangeMethod::KullbackLeibler];

/// A quantized network to try other ranges on.
pub(super) struct Trial<'a> {
    pub sources: &'a Sources<'a>,
    pub places: Places,
    pub scaled: &'a Scaled,
    pub quantized: &'a Quantized,
    /// Where each layer of the report is among the nodes.
    nodes: Vec<usize>,
    /// The step whose output is judged, before a softmax.
    judged: usize,
    inputs: Vec<Vec<i8>>,
    /// What the judged output is in float, by input.
    expected: Vec<Vec<f32>>,
}

impl<'a> Trial<'a> {
    /// Runs the float network on some inputs.
    pub fn new(
        sources: &'a Sources<'a>,
        places: Places,
        scaled: &'a Scaled,
        quantized: &'a Quantized,
    ) -> Result<Self, QuantizeError> {
        let graph = &quantized.graph;
        let nodes: Vec<usize> = (0..graph.nodes.len())
            .filter(|&node| !matches!(graph.nodes[node].operation, Operation::Reshape))
            .collect();
        let judged = quantized.report.iter().rposition(|layer| layer.operation != "Softmax").unwrap_or(0);
        let output = graph.nodes[nodes[judged]].output;
        let source = scaled.prepared.source[output.0];
        let input = graph.tensor(graph.input).quantization;
        let samples = sources.data.spread(SAMPLES.min(sources.samples.len()));
        let of_samples: Vec<(Vec<i8>, Vec<f32>)> = samples
            .par_iter()
            .map(|&sample| {
                let real = sources.data.input(sample).map_err(CalibrationError::from)?;
                let float = sources.float.run_all(&real)?.swap_remove(source.0).unwrap_or_default();
                let int8 = sources.data.quantized(sample, input).map_err(CalibrationError::from)?;
                Ok((int8, float))
            })
            .collect::<Result<_, QuantizeError>>()?;
        let (inputs, expected) = of_samples.into_iter().unzip();
        Ok(Self { sources, places, scaled, quantized, nodes, judged, inputs, expected })
    }

    /// Remedies for the layers with most error, the greatest gain first. `progress` gets what is done and the whole.
    pub fn remedies(
        &self,
        layers: usize,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<Remedy>, QuantizeError> {
        let report = &self.quantized.report;
        let mut worst: Vec<usize> =
            (0..report.len()).filter(|&layer| report[layer].sqnr_db.is_finite()).collect();
        worst.sort_by(|&a, &b| report[a].sqnr_db.total_cmp(&report[b].sqnr_db));
        worst.truncate(layers);
        let base = self.sqnr_db(&self.quantized.graph)?;
        let mut remedies = Vec::new();
        for (done, &layer) in worst.iter().enumerate() {
            let mut best: Option<Remedy> = None;
            for method in METHODS.into_iter().filter(|&method| method != self.sources.options.ranges) {
                let Some(sqnr_db) = self.tried(&self.methods(&[(layer, method)]))? else { continue };
                let remedy = Remedy { layer, method, gain_db: sqnr_db - base, adopted: false };
                if remedy.gain_db > best.map_or(LEAST_GAIN_DB, |best| best.gain_db) {
                    best = Some(remedy);
                }
            }
            remedies.extend(best);
            progress(done + 1, worst.len());
        }
        remedies.sort_by(|a, b| b.gain_db.total_cmp(&a.gain_db));
        Ok(remedies)
    }

    /// Those remedies that gain together, taken one after the other, and the methods that result.
    pub fn together(&self, remedies: &[Remedy]) -> Result<(Vec<Remedy>, Methods), QuantizeError> {
        let mut taken: Vec<(usize, RangeMethod)> = Vec::new();
        let mut best = self.sqnr_db(&self.quantized.graph)?;
        let mut judged = remedies.to_vec();
        for remedy in &mut judged {
            taken.push((remedy.layer, remedy.method));
            match self.tried(&self.methods(&taken))?.filter(|&sqnr_db| sqnr_db > best + LEAST_GAIN_DB) {
                Some(sqnr_db) => (best, remedy.adopted) = (sqnr_db, true),
                None => drop(taken.pop()),
            }
        }
        Ok((judged, self.methods(&taken)))
    }

    /// The methods where the outputs of some layers have others, and all tensors of the same scale with them.
    fn methods(&self, changes: &[(usize, RangeMethod)]) -> Methods {
        let prepared = &self.scaled.prepared;
        let mut methods = Methods { usual: self.sources.options.ranges, of: BTreeMap::new() };
        for &(layer, method) in changes {
            let class = prepared.class[self.quantized.graph.nodes[self.nodes[layer]].output.0];
            let members = (0..prepared.class.len()).filter(|&id| prepared.class[id] == class);
            methods.of.extend(members.map(|id| (TensorId(id), method)));
        }
        methods
    }

    /// The SQNR under other methods; `None` where they change nothing, or more than scales.
    fn tried(&self, methods: &Methods) -> Result<Option<f64>, QuantizeError> {
        let Ok(scaled) = self.sources.scaled(self.places, methods) else { return Ok(None) };
        let [new, old] = [&scaled, self.scaled].map(|scaled| &scaled.scales.quantizations);
        let same_graph = scaled.prepared.graph.nodes.len() == self.scaled.prepared.graph.nodes.len();
        if new == old || !same_graph || scaled.scales.factors != self.scaled.scales.factors {
            return Ok(None);
        }
        let (mut graph, _) = build::build(&scaled.prepared, new, &scaled.scales.factors);
        for (node, corrected) in graph.nodes.iter_mut().zip(&self.quantized.graph.nodes) {
            let (Operation::Conv2d(conv), Operation::Conv2d(corrected)) =
                (&mut node.operation, &corrected.operation)
            else {
                continue;
            };
            let input = node.inputs[0].0;
            let ratio = f64::from(old[input].scale) / f64::from(new[input].scale);
            conv.weights.clone_from(&corrected.weights);
            conv.weight_scales.clone_from(&corrected.weight_scales);
            conv.bias = corrected.bias.iter().map(|&bias| (f64::from(bias) * ratio).round() as i32).collect();
        }
        match self.sqnr_db(&graph) {
            // Weights that were made for other scales may not fit these.
            Err(QuantizeError::Pack(PackError::Node { .. })) => Ok(None),
            measured => measured.map(Some),
        }
    }

    /// The SQNR of the judged output of a network of the same nodes.
    fn sqnr_db(&self, graph: &QuantizedGraph) -> Result<f64, QuantizeError> {
        let packed = AlignedBytes::new(&pack(graph, &plan(graph), Metadata::default())?);
        let quantization = graph.tensor(graph.nodes[self.nodes[self.judged]].output).quantization;
        let real = |value: i8| {
            f64::from(quantization.scale) * (f64::from(value) - f64::from(quantization.zero_point))
        };
        let of_samples: Vec<[f64; 2]> = self
            .inputs
            .par_iter()
            .zip(&self.expected)
            .map(|(input, expected)| {
                let model = Model::open(packed.bytes()).map_err(PackError::from)?;
                let mut arena = vec![0; model.arena_bytes()];
                let mut engine =
                    Engine::<{ operator::ALL }>::new(model, &mut arena).map_err(PackError::from)?;
                let mut sums = [0.0; 2];
                engine.run_observed(input, |step, _, rows, values| {
                    let expected = expected.get(rows.start * (values.len() / rows.len())..);
                    if step == self.judged {
                        for (&value, &expected) in values.iter().zip(expected.unwrap_or_default()) {
                            let expected = f64::from(expected);
                            sums[0] += expected * expected;
                            sums[1] += (real(value) - expected).powi(2);
                        }
                    }
                })?;
                Ok(sums)
            })
            .collect::<Result<_, QuantizeError>>()?;
        let [signal, noise] = of_samples.iter().fold([0.0; 2], |sum, of| [sum[0] + of[0], sum[1] + of[1]]);
        Ok(10.0 * (signal / noise).log10())
    }
}
