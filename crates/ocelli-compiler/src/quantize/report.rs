//! The error of each layer: the packed network against the float one.

use ocelli::{Engine, Model, operator};
use rayon::prelude::*;

use super::build;
use super::channel_scales::ChannelFactors;
use super::prepare::Prepared;
use super::{LayerReport, QuantizeError, TensorReport};
use crate::calibrate::data::Dataset;
use crate::calibrate::ranges::{CalibrationError, Statistics};
use crate::evaluate::{ValueCounts, effective_levels};
use crate::float::FloatModel;
use crate::graph::TensorId;
use crate::pack::{AlignedBytes, PackError};
use crate::quantized::{Operation, QuantizedGraph};

/// Sums over the values of a tensor.
#[derive(Clone)]
struct Sums {
    /// Of squared float values.
    signal: f64,
    /// Of squared errors.
    noise: f64,
    /// Of squared values of the int8 network.
    power: f64,
    /// Of products of float values with those of the int8 network.
    product: f64,
    saturated: u64,
    values: u64,
    counts: ValueCounts,
}

/// The float network and the int8 one made of it.
pub(super) struct Networks<'a> {
    pub prepared: &'a Prepared,
    pub quantized: &'a QuantizedGraph,
    /// For each int8 node that of the prepared graph.
    pub origins: &'a [usize],
    pub factors: &'a ChannelFactors,
    pub float: &'a FloatModel,
}

/// Runs the packed network and the float one on some samples.
pub(super) fn report(
    networks: &Networks<'_>,
    packed: &AlignedBytes,
    data: &Dataset,
    samples: &[usize],
) -> Result<Vec<LayerReport>, QuantizeError> {
    let &Networks { prepared, quantized: graph, origins, factors, float } = networks;
    let steps: Vec<usize> = (0..graph.nodes.len())
        .filter(|&node| !matches!(graph.nodes[node].operation, Operation::Reshape))
        .collect();
    let of_samples: Vec<Vec<Sums>> = samples
        .par_iter()
        .map(|&sample| {
            let real = float.run_all(&data.input(sample).map_err(CalibrationError::from)?)?;
            let input = graph.tensor(graph.input).quantization;
            let input = data.quantized(sample, input).map_err(CalibrationError::from)?;
            let model = Model::open(packed.bytes()).map_err(PackError::from)?;
            let mut arena = vec![0; model.arena_bytes()];
            let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).map_err(PackError::from)?;
            let mut sums = vec![Sums::none(); steps.len()];
            engine.run_observed(&input, |step, _, rows, values| {
                let output = graph.nodes[steps[step]].output;
                let row_length = values.len() / rows.len();
                let real = real[prepared.source[output.0].0].as_deref();
                if let Some(real) = real.and_then(|real| real.get(rows.start * row_length..)) {
                    let of_row = compare(graph, output, factors[output.0].as_deref(), values, real);
                    sums[step].add(&of_row);
                }
            })?;
            Ok(sums)
        })
        .collect::<Result<_, QuantizeError>>()?;

    let layer = |(step, &node): (usize, &usize)| {
        let mut sums = Sums::none();
        of_samples.iter().for_each(|sample| sums.add(&sample[step]));
        let node = &graph.nodes[node];
        let channels = node.inputs.first().map_or(0, |&input| graph.tensor(input).shape.channels);
        LayerReport {
            name: node.name.clone(),
            operation: build::name(&prepared.graph.nodes[origins[steps[step]]].operator, channels),
            shape: graph.tensor(node.output).shape,
            macs: graph.macs(node),
            weight_bytes: weight_bytes(&node.operation),
            sqnr_db: 10.0 * (sums.signal / sums.noise).log10(),
            saturation_percent: 100.0 * sums.saturated as f64 / sums.values.max(1) as f64,
            cosine: if sums.noise > 0.0 { sums.product / (sums.signal * sums.power).sqrt() } else { 1.0 },
            effective_levels: effective_levels(&sums.counts),
        }
    };
    Ok(steps.iter().enumerate().map(layer).collect())
}

/// What each tensor that a step reads from outside or makes takes in float, and its scale.
pub(super) fn tensors(networks: &Networks<'_>, statistics: &Statistics) -> Vec<TensorReport> {
    let &Networks { prepared, quantized: graph, factors, .. } = networks;
    let made = graph.nodes.iter().filter(|node| !matches!(node.operation, Operation::Reshape));
    let ids = std::iter::once(graph.input).chain(made.map(|node| node.output));
    ids.filter_map(|id| {
        let values = statistics.tensor(prepared.source[id.0])?;
        let tensor = graph.tensor(id);
        let channel_factors = factors[id.0].as_ref().map(|factors| {
            let ends = [f64::INFINITY, f64::NEG_INFINITY];
            factors.iter().fold(ends, |[least, most], &factor| [least.min(factor), most.max(factor)])
        });
        Some(TensorReport {
            name: tensor.name.clone(),
            shape: tensor.shape,
            quantization: tensor.quantization,
            channel_factors,
            extremes: [values.min, values.max],
            histogram: values.histogram(TENSOR_BINS),
        })
    })
    .collect()
}

/// Bins of a tensor's histogram in reports.
const TENSOR_BINS: usize = 64;

impl Sums {
    fn none() -> Self {
        Self { signal: 0.0, noise: 0.0, power: 0.0, product: 0.0, saturated: 0, values: 0, counts: [0; 256] }
    }

    fn add(&mut self, other: &Self) {
        self.signal += other.signal;
        self.noise += other.noise;
        self.power += other.power;
        self.product += other.product;
        self.saturated += other.saturated;
        self.values += other.values;
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    }
}

fn compare(
    graph: &QuantizedGraph,
    id: TensorId,
    factors: Option<&[f64]>,
    values: &[i8],
    real: &[f32],
) -> Sums {
    let quantization = graph.tensor(id).quantization;
    let (scale, zero_point) = (f64::from(quantization.scale), f64::from(quantization.zero_point));
    let ends = [-128.5, 127.5].map(|end| scale * (end - zero_point));
    let channels = graph.tensor(id).shape.channels;
    let mut sums = Sums { values: values.len() as u64, ..Sums::none() };
    for (index, (&value, &real)) in values.iter().zip(real).enumerate() {
        let factor = factors.map_or(1.0, |factors| factors[index % channels]);
        let real = f64::from(real);
        let int8 = scale * (f64::from(value) - zero_point) / factor;
        let error = int8 - real;
        sums.signal += real * real;
        sums.noise += error * error;
        sums.power += int8 * int8;
        sums.product += int8 * real;
        sums.counts[usize::from(value.cast_unsigned())] += 1;
        sums.saturated += u64::from(real * factor < ends[0] || real * factor > ends[1]);
    }
    sums
}

/// Bytes of the weights, biases and tables of an operation.
pub fn weight_bytes(operation: &Operation) -> usize {
    match operation {
        // Bias and multiplier take 4 bytes each a channel.
        Operation::Conv2d(conv) => conv.weights.len() + 8 * conv.bias.len(),
        Operation::Table(_) => 256,
        Operation::ChannelTables { tables, channels } => 256 * tables.len() + channels.len(),
        Operation::PRelu { slopes, .. } => slopes.len(),
        Operation::Softmax { .. } | Operation::SeparableAttention { .. } => 512,
        // All attention steps share one table, which counts for none.
        Operation::Attention(attention) | Operation::UnfoldedAttention(attention) => {
            attention.bias.as_ref().map_or(0, |bias| 2 * bias.values.len())
        }
        Operation::Norm(norm) => 8 * norm.gamma.len(),
        _ => 0,
    }
}
