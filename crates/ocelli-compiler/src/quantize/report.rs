//! The error of each layer: the packed network against the float one.

use ocelli::{Engine, Model, operator};
use rayon::prelude::*;

use super::build;
use super::channel_scales::ChannelFactors;
use super::prepare::Prepared;
use super::{LayerReport, QuantizeError};
use crate::calibrate::data::Dataset;
use crate::calibrate::ranges::CalibrationError;
use crate::float::FloatModel;
use crate::graph::TensorId;
use crate::pack::{AlignedBytes, PackError};
use crate::quantized::{Operation, QuantizedGraph};

/// Sums over the values of a tensor.
#[derive(Clone, Copy, Default)]
struct Sums {
    signal: f64,
    noise: f64,
    saturated: u64,
    values: u64,
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
            let mut sums = vec![Sums::default(); steps.len()];
            engine.run_observed(&input, |step, _, rows, values| {
                let output = graph.nodes[steps[step]].output;
                let row_length = values.len() / rows.len();
                let real = real[prepared.source[output.0].0].as_deref();
                if let Some(real) = real.and_then(|real| real.get(rows.start * row_length..)) {
                    let of_row = compare(graph, output, factors[output.0].as_deref(), values, real);
                    sums[step] = sums[step].plus(&of_row);
                }
            })?;
            Ok(sums)
        })
        .collect::<Result<_, QuantizeError>>()?;

    let layer = |(step, &node): (usize, &usize)| {
        let sums = of_samples.iter().fold(Sums::default(), |sum, other| sum.plus(&other[step]));
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
        }
    };
    Ok(steps.iter().enumerate().map(layer).collect())
}

impl Sums {
    fn plus(&self, other: &Self) -> Self {
        Self {
            signal: self.signal + other.signal,
            noise: self.noise + other.noise,
            saturated: self.saturated + other.saturated,
            values: self.values + other.values,
        }
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
    let mut sums = Sums { values: values.len() as u64, ..Sums::default() };
    for (index, (&value, &real)) in values.iter().zip(real).enumerate() {
        let factor = factors.map_or(1.0, |factors| factors[index % channels]);
        let real = f64::from(real);
        let error = scale * (f64::from(value) - zero_point) / factor - real;
        sums.signal += real * real;
        sums.noise += error * error;
        sums.saturated += u64::from(real * factor < ends[0] || real * factor > ends[1]);
    }
    sums
}

/// Bytes of the weights, biases and tables of an operation.
fn weight_bytes(operation: &Operation) -> usize {
    match operation {
        // Bias and multiplier take 4 bytes each a channel.
        Operation::Conv2d(conv) => conv.weights.len() + 8 * conv.bias.len(),
        Operation::Table(_) => 256,
        Operation::ChannelTables { tables, channels } => 256 * tables.len() + channels.len(),
        Operation::PRelu { slopes, .. } => slopes.len(),
        Operation::Softmax { .. } | Operation::SeparableAttention { .. } => 512,
        // All attention steps share one table, which counts for none.
        Operation::Attention(attention) => attention.bias.as_ref().map_or(0, |bias| 2 * bias.values.len()),
        Operation::Norm(norm) => 8 * norm.gamma.len(),
        _ => 0,
    }
}
