//! The integers that a convolution keeps for each output channel.

use ocelli_format::Numerics;
use ocelli_kernels::{Q32, Q32Channel, Requantize, TfLite, TfLiteChannel, TfLiteFullyConnected};

use super::requantize::{Q32_SCALES, q32_conv_channel, tflite_channel};
use crate::quantized::{QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// Requantization parameters, one entry an output channel.
pub(crate) enum ConvChannels {
    /// Under [`Numerics::Q32`].
    Q32(Vec<Q32Channel>),
    /// Under [`Numerics::TfLite`].
    TfLite(Vec<TfLiteChannel>),
}

impl ConvChannels {
    /// The parameters of a convolution; the error says which channel does not fit.
    pub fn of(graph: &QuantizedGraph, node: &QuantizedNode, conv: &QuantizedConv2d) -> Result<Self, String> {
        let input = graph.tensor(node.inputs[0]).quantization;
        let output = graph.tensor(node.output).quantization;
        let channels = graph.tensor(node.output).shape.channels;
        let taps = conv.weights.len() / channels;
        // The zero point of the input goes into the bias: sum(w * (x - z)) = sum(w * x) - z * sum(w).
        let folded = conv.bias.iter().zip(conv.weights.chunks_exact(taps)).map(|(&bias, weights)| {
            let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
            i64::from(bias) - i64::from(input.zero_point) * sum
        });
        let scales = conv
            .weight_scales
            .iter()
            .map(|&scale| f64::from(input.scale) * f64::from(scale) / f64::from(output.scale));
        if graph.numerics == Numerics::TfLite {
            let parameters = folded.zip(scales).map(|(bias, scale)| tflite_channel(scale, bias as i32));
            return Ok(Self::TfLite(parameters.collect()));
        }
        let mut parameters = Vec::with_capacity(channels);
        for (channel, (bias, scale)) in folded.zip(scales).enumerate() {
            let parameter = q32_conv_channel(scale, bias, output.zero_point)
                .ok_or_else(|| format!("output channel {channel}: {}", out_of_range(scale, bias)))?;
            let weights = &conv.weights[channel * taps..(channel + 1) * taps];
            let reach: i64 = weights.iter().map(|&weight| 128 * i64::from(weight.unsigned_abs())).sum();
            if i64::from(parameter.bias).abs() + reach > i64::from(i32::MAX) {
                return Err(format!("output channel {channel}: its accumulator can leave 32 bits"));
            }
            parameters.push(parameter);
        }
        Ok(Self::Q32(parameters))
    }

    /// The output of a channel for `sum(weight * input)`; `None` where the accumulator would leave 32 bits.
    pub fn finish(
        &self,
        graph: &QuantizedGraph,
        node: &QuantizedNode,
        conv: &QuantizedConv2d,
        channel: usize,
        sum: i64,
    ) -> Option<i8> {
        let accumulator = |bias: i32| i32::try_from(i64::from(bias) + sum).ok();
        match self {
            Self::Q32(channels) => {
                let channel = channels.get(channel)?;
                Some(Q32.finish(channel, accumulator(channel.bias)?))
            }
            Self::TfLite(channels) => {
                let channel = channels.get(channel)?;
                let zero_point = i32::from(graph.tensor(node.output).quantization.zero_point);
                let [min, max] = conv.bounds.map(i32::from);
                let rule = TfLite { zero_point, min, max };
                let accumulator = accumulator(channel.bias)?;
                Some(if conv.fully_connected {
                    TfLiteFullyConnected(rule).finish(channel, accumulator)
                } else {
                    rule.finish(channel, accumulator)
                })
            }
        }
    }
}

pub(super) fn out_of_range(scale: f64, bias: i64) -> String {
    format!(
        "its scale {scale:.3e} is not within {:.1e}..{} or its bias {bias} leaves 32 bits; the output's range is too narrow or too wide \
         for its weights",
        Q32_SCALES.start, Q32_SCALES.end
    )
}
