//! Scales and offsets (batch normalization, arithmetic with constants) go into the convolution or norm before or the convolution after them.

use super::{is_float, only_reader};
use crate::graph::{Activation, Bias, Conv2d, Graph, Operator, Padding, Weights, Window};

/// Folds the first pair of neighbours that fits.
pub(super) fn fold(graph: &mut Graph) -> Option<String> {
    (0..graph.nodes.len()).find_map(|index| {
        let reader = only_reader(graph, index)?;
        if !is_float(graph, graph.nodes[index].output) {
            return None;
        }
        merge_scalars(graph, index, reader)
            .or_else(|| into_convolution_before(graph, index, reader))
            .or_else(|| into_norm_before(graph, index, reader))
            .or_else(|| into_convolution_after(graph, index, reader))
    })
}

/// A scale and an offset for each channel.
struct PerChannel {
    scales: Vec<f32>,
    offsets: Vec<f32>,
}

/// What a node does to each of `channels`, if that is all it does.
fn per_channel(operator: &Operator, channels: usize) -> Option<PerChannel> {
    match operator {
        Operator::Activation(Activation::Affine { scale, offset }) => {
            Some(PerChannel { scales: vec![*scale; channels], offsets: vec![*offset; channels] })
        }
        Operator::Conv2d(Conv2d {
            window,
            groups,
            weights: Weights::Float(scales),
            bias: Bias::Float(offsets),
            ..
        }) if *window == Window::pointwise() && *groups == channels && scales.len() == channels => {
            Some(PerChannel { scales: scales.clone(), offsets: offsets.clone() })
        }
        _ => None,
    }
}

fn merge_scalars(graph: &mut Graph, index: usize, reader: usize) -> Option<String> {
    let (
        Operator::Activation(Activation::Affine { scale, offset }),
        Operator::Activation(Activation::Affine { scale: outer_scale, offset: outer_offset }),
    ) = (&graph.nodes[index].operator, &graph.nodes[reader].operator)
    else {
        return None;
    };
    let joined =
        Activation::Affine { scale: scale * outer_scale, offset: offset * outer_scale + outer_offset };
    let what = format!("joined '{}' with '{}'", graph.nodes[index].name, graph.nodes[reader].name);
    graph.nodes[reader].operator = Operator::Activation(joined);
    graph.nodes[reader].inputs = graph.nodes[index].inputs.clone();
    graph.nodes.remove(index);
    Some(what)
}

/// `scale * (W x + b) + offset = (scale W) x + (scale b + offset)`.
fn into_convolution_before(graph: &mut Graph, index: usize, reader: usize) -> Option<String> {
    let channels = graph.tensor(graph.nodes[index].output).shape.channels;
    let PerChannel { scales, offsets } = per_channel(&graph.nodes[reader].operator, channels)?;
    let Operator::Conv2d(conv) = &mut graph.nodes[index].operator else { return None };
    let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
        return None;
    };
    let taps = (weights.len() / channels).max(1);
    for (kernel, scale) in weights.chunks_mut(taps).zip(&scales) {
        kernel.iter_mut().for_each(|weight| *weight *= scale);
    }
    for ((bias, scale), offset) in bias.iter_mut().zip(&scales).zip(&offsets) {
        *bias = *bias * scale + offset;
    }
    let what = format!("folded '{}' into '{}'", graph.nodes[reader].name, graph.nodes[index].name);
    graph.nodes[index].output = graph.nodes[reader].output;
    graph.nodes.remove(reader);
    Some(what)
}

/// `scale * (gamma n + beta) + offset = (scale gamma) n + (scale beta + offset)`.
fn into_norm_before(graph: &mut Graph, index: usize, reader: usize) -> Option<String> {
    let channels = graph.tensor(graph.nodes[index].output).shape.channels;
    let PerChannel { scales, offsets } = per_channel(&graph.nodes[reader].operator, channels)?;
    let Operator::Norm(norm) = &mut graph.nodes[index].operator else { return None };
    let own = norm.gamma.iter_mut().zip(&mut norm.beta);
    for ((gamma, beta), (scale, offset)) in own.zip(scales.iter().zip(&offsets)) {
        *gamma *= scale;
        *beta = *beta * scale + offset;
    }
    let what = format!("folded '{}' into '{}'", graph.nodes[reader].name, graph.nodes[index].name);
    graph.nodes[index].output = graph.nodes[reader].output;
    graph.nodes.remove(reader);
    Some(what)
}

/// `W (scale x + offset) + b = (W scale) x + (W offset + b)`, where no border stands among the inputs that the offset would miss.
fn into_convolution_after(graph: &mut Graph, index: usize, reader: usize) -> Option<String> {
    let input = *graph.nodes[index].inputs.first()?;
    let channels = graph.tensor(graph.nodes[index].output).shape.channels;
    let PerChannel { scales, offsets } = per_channel(&graph.nodes[index].operator, channels)?;
    if !is_float(graph, input) {
        return None;
    }
    let outputs = graph.tensor(graph.nodes[reader].output).shape.channels;
    let Operator::Conv2d(conv) = &mut graph.nodes[reader].operator else { return None };
    let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
        return None;
    };
    if conv.window.padding != Padding::default() && offsets.iter().any(|&offset| offset != 0.0) {
        return None;
    }
    let per_group = channels.checked_div(conv.groups)?;
    let outputs_per_group = outputs.checked_div(conv.groups)?;
    let taps = weights.len().checked_div(outputs)?;
    for (output, (kernel, bias)) in weights.chunks_mut(taps.max(1)).zip(bias.iter_mut()).enumerate() {
        let first = output.checked_div(outputs_per_group)? * per_group;
        let mut shift = 0.0;
        for (tap, weight) in kernel.iter_mut().enumerate() {
            let channel = first + tap % per_group;
            shift += f64::from(*weight) * f64::from(offsets[channel]);
            *weight *= scales[channel];
        }
        *bias += shift as f32;
    }
    let what = format!("folded '{}' into '{}'", graph.nodes[index].name, graph.nodes[reader].name);
    graph.nodes[reader].inputs[0] = input;
    graph.nodes.remove(index);
    Some(what)
}
