//! The int8 network of a prepared graph under given scales.

use ocelli_format::{Numerics, Target};

use super::channel_scales::{self, ChannelFactors};
use super::prepare::Prepared;
use super::weights;
use crate::graph::{Constant, Node, Operator, Quantization, TensorId};
use crate::quantized::{Operation, QuantizedGraph, QuantizedNode, QuantizedTensor, UNBOUNDED};

/// The int8 network, and for each of its nodes the one of the prepared graph.
pub(super) fn build(
    prepared: &Prepared,
    quantizations: &[Quantization],
    factors: &ChannelFactors,
) -> (QuantizedGraph, Vec<usize>) {
    let graph = &prepared.graph;
    let mut tensors: Vec<QuantizedTensor> = graph
        .tensors
        .iter()
        .zip(quantizations)
        .map(|(tensor, &quantization)| QuantizedTensor {
            name: tensor.name.clone(),
            shape: tensor.shape,
            quantization,
            constant: None,
        })
        .collect();
    let mut nodes = Vec::new();
    let mut origins = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Operator::Constant(constant) = &node.operator {
            tensors[node.output.0].constant = Some(constant_values(prepared, node, constant, quantizations));
            continue;
        }
        nodes.push(QuantizedNode {
            name: node.name.clone(),
            operation: operation(prepared, node, quantizations, factors),
            inputs: node.inputs.clone(),
            output: node.output,
        });
        origins.push(index);
    }
    let quantized = QuantizedGraph {
        name: graph.name.clone(),
        numerics: Numerics::Q32,
        target: Target::Portable,
        tensors,
        nodes,
        input: graph.inputs.first().copied().unwrap_or(TensorId(0)),
        output: graph.outputs.first().copied().unwrap_or(TensorId(0)),
    };
    (quantized, origins)
}

/// The int8 value nearest to a real value.
pub(super) fn nearest(value: f64, quantization: Quantization) -> i8 {
    let steps = (value / f64::from(quantization.scale)).round() + f64::from(quantization.zero_point);
    steps.clamp(-128.0, 127.0) as i8
}

fn constant_values(
    prepared: &Prepared,
    node: &Node,
    constant: &Constant,
    quantizations: &[Quantization],
) -> Vec<i8> {
    let quantization = quantizations[node.output.0];
    match constant {
        Constant::Float(values) => {
            values.iter().map(|&value| nearest(f64::from(value), quantization)).collect()
        }
        Constant::Int8(values) => {
            let given = prepared.graph.tensor(node.output).quantization.unwrap_or(quantization);
            let real = |value: i8| f64::from(given.scale) * (f64::from(value) - f64::from(given.zero_point));
            values.iter().map(|&value| nearest(real(value), quantization)).collect()
        }
    }
}

fn operation(
    prepared: &Prepared,
    node: &Node,
    quantizations: &[Quantization],
    factors: &ChannelFactors,
) -> Operation {
    let input = |index: usize| quantizations[node.inputs[index].0];
    let output = quantizations[node.output.0];
    match &node.operator {
        Operator::Conv2d(conv) => {
            let scales = [input(0), output].map(|quantization| f64::from(quantization.scale));
            let of = |id: TensorId| factors[id.0].as_deref();
            let conv = &channel_scales::scaled(conv, of(node.inputs[0]), of(node.output));
            let bias = weights::real_bias(conv, given_scale(prepared, node.inputs[0]).unwrap_or(scales[0]));
            Operation::Conv2d(weights::quantize(conv, &bias, scales))
        }
        Operator::Activation(activation) => {
            let of = |id: TensorId| factors[id.0].as_deref();
            let factors = [of(node.inputs[0]), of(node.output)];
            tables(input(0), output, factors, |value| activation.apply(value))
        }
        Operator::Requantize => Operation::Table(Box::new(table(input(0), output, |value| value))),
        Operator::PRelu { slopes, .. } => {
            // As with weights, a multiplier must not vanish.
            let floor = f64::from(output.scale) / f64::from(input(0).scale) / 16384.0;
            let scale = weights::slope_scale(slopes, floor) as f32;
            let slopes = slopes.iter().map(|&slope| (slope / scale).round() as i8).collect();
            Operation::PRelu { slopes, quantization: Quantization { scale, zero_point: 0 } }
        }
        Operator::Add => Operation::Add(UNBOUNDED),
        Operator::Mul => Operation::Mul(UNBOUNDED),
        Operator::MaxPool(window) => Operation::MaxPool(*window, UNBOUNDED),
        &Operator::AveragePool { window, count_include_pad } => {
            Operation::AveragePool { window, count_include_pad, bounds: UNBOUNDED }
        }
        Operator::Mean => Operation::Mean,
        Operator::Concat(axis) => Operation::Concat(*axis),
        &Operator::Pad { padding, value } => {
            Operation::Pad { padding, value: nearest(f64::from(value), output) }
        }
        // Constants are tensors, not nodes: they do not come here.
        Operator::Reshape | Operator::Constant(_) => Operation::Reshape,
        &Operator::Transpose { order } => Operation::Transpose { order },
        &Operator::Softmax { beta } => Operation::Softmax { beta },
        Operator::Attention(attention) => Operation::Attention(attention.clone()),
        &Operator::SeparableAttention { patch } => Operation::SeparableAttention { patch },
        Operator::Norm(norm) => {
            Operation::Norm(channel_scales::scaled_norm(norm, factors[node.output.0].as_deref()))
        }
        &Operator::MatMul { transpose_second } => Operation::MatMul { transpose_second },
        &Operator::Slice { axis, start } => Operation::Slice { axis, start },
    }
}

/// The scale that the file gives a tensor.
fn given_scale(prepared: &Prepared, id: TensorId) -> Option<f64> {
    prepared.graph.tensor(id).quantization.map(|quantization| f64::from(quantization.scale))
}

/// A function of one value: one table, or one for each pair of factors of a channel of the input and the output.
fn tables(
    input: Quantization,
    output: Quantization,
    factors: [Option<&[f64]>; 2],
    function: impl Fn(f64) -> f64,
) -> Operation {
    let channels = factors.iter().flatten().next().map_or(1, |factors| factors.len());
    let mut pairs: Vec<[f64; 2]> = Vec::new();
    let mut channel_tables = Vec::with_capacity(channels);
    for channel in 0..channels {
        let pair = factors.map(|factors| factors.map_or(1.0, |factors| factors[channel]));
        let known = pairs.iter().position(|other| *other == pair);
        channel_tables.push(known.unwrap_or(pairs.len()) as u8);
        if known.is_none() {
            pairs.push(pair);
        }
    }
    let tables: Vec<[i8; 256]> = pairs
        .iter()
        .map(|&[before, after]| table(input, output, |value| after * function(value / before)))
        .collect();
    match tables.as_slice() {
        [single] => Operation::Table(Box::new(*single)),
        _ => Operation::ChannelTables { tables, channels: channel_tables },
    }
}

/// A function of one value, correctly rounded for each of its 256 arguments.
fn table(input: Quantization, output: Quantization, function: impl Fn(f64) -> f64) -> [i8; 256] {
    let real = |q: i32| f64::from(input.scale) * f64::from(q - i32::from(input.zero_point));
    std::array::from_fn(|index| nearest(function(real(index as i32 - 128)), output))
}

/// The name of an operation in tables.
pub(super) fn name(operator: &Operator, input_channels: usize) -> String {
    match operator {
        Operator::Conv2d(conv) if conv.fully_connected => "FullyConnected".into(),
        Operator::Conv2d(conv) => {
            let [height, width] = conv.window.kernel;
            let depthwise = conv.groups > 1 && conv.groups == input_channels;
            format!("{} {height}x{width}", if depthwise { "DepthwiseConv2d" } else { "Conv2d" })
        }
        Operator::Activation(activation) => activation.name().into(),
        Operator::PRelu { .. } => "PReLU".into(),
        Operator::Add => "Add".into(),
        Operator::Mul => "Mul".into(),
        Operator::MaxPool(_) => "MaxPool".into(),
        Operator::AveragePool { .. } => "AveragePool".into(),
        Operator::Mean => "Mean".into(),
        Operator::Concat(_) => "Concat".into(),
        Operator::Pad { .. } => "Pad".into(),
        Operator::Reshape => "Reshape".into(),
        Operator::Transpose { .. } => "Transpose".into(),
        Operator::Softmax { .. } => "Softmax".into(),
        Operator::Attention(_) => "Attention".into(),
        Operator::SeparableAttention { .. } => "SeparableAttention".into(),
        Operator::Norm(norm) => norm.name().into(),
        Operator::MatMul { .. } => "MatMul".into(),
        Operator::Slice { .. } => "Slice".into(),
        Operator::Requantize => "Requantize".into(),
        Operator::Constant(_) => "Constant".into(),
    }
}
