//! Steps on sequences of tokens: real scales, biases and exponentials as the integers of `ocelli_kernels`.

use std::collections::BTreeMap;

use ocelli_format::operator::{AttentionQ32Record, MatMulQ32Record, SeparableAttentionQ32Record};
use ocelli_format::{ModelWriter, Operator};
use ocelli_kernels::attention::{EXPONENTIALS, SCORE_STEPS};
use ocelli_kernels::separable::CONTEXT_BITS;

use super::channels::out_of_range;
use super::lower::{Lowering, narrow};
use super::requantize::q32_channel;
use crate::graph::{Attention, AttentionBias, Sequences};

/// Weights of a sequence's tokens add up to less than this, so that their sums of int8 values fit 32 bits.
const LARGEST_TOTAL: usize = 1 << 24;

/// The most key tokens of a sequence: beyond, weights would have less than ten bits.
pub(crate) const LONGEST_SEQUENCE: usize = 1 << 14;

/// The most products of two centred int8 values that 31 bits hold.
pub(crate) const LONGEST_SUM: usize = (1 << 31) / (255 * 255);

/// Tables of exponentials that a model has already, by their largest value: attention steps share them.
pub(super) type Exponentials = BTreeMap<u16, u32>;

/// The largest weight of a key among as many.
fn largest_weight(tokens: usize) -> Result<u16, String> {
    if tokens > LONGEST_SEQUENCE {
        return Err(format!("sequences of {tokens} tokens are too long: at most {LONGEST_SEQUENCE}"));
    }
    Ok((LARGEST_TOTAL - 1).checked_div(tokens).unwrap_or(usize::MAX).min(32767) as u16)
}

/// Weights by the difference of scores; the last one stands for all further differences.
fn exponentials(largest: u16, known: &mut Exponentials, writer: &mut ModelWriter) -> u32 {
    *known.entry(largest).or_insert_with(|| {
        let weight = |i: usize| f64::from(largest) * (-(i as f64) / f64::from(SCORE_STEPS)).exp();
        let mut weights: Vec<u16> = (0..EXPONENTIALS).map(|i| weight(i).round() as u16).collect();
        weights[EXPONENTIALS - 1] = 0;
        writer.weights(weights.as_slice())
    })
}

/// Multiplier and left shift of a product of centred values for their score in steps.
fn score(factor: f64, dimension: usize) -> Result<(i32, u32), String> {
    let shift = (0..16).find(|&shift| factor.abs() / f64::from(1u32 << shift) < 0.4999);
    shift
        .filter(|&shift| dimension << shift <= LONGEST_SUM)
        .map(|shift| ((factor / f64::from(1u32 << shift) * 4_294_967_296.0).round() as i32, shift))
        .ok_or_else(|| {
            format!(
                "heads of {dimension} channels and scores of {factor:.1e} steps a product leave 32 bits: use more heads, or a smaller scale"
            )
        })
}

/// A bias in steps of scores; `-inf` hides a key.
fn bias_steps(value: f32) -> i16 {
    if value == f32::NEG_INFINITY {
        return i16::MIN;
    }
    let least = f64::from(i16::MIN + 1);
    (f64::from(value) * f64::from(SCORE_STEPS)).round().clamp(least, f64::from(i16::MAX)) as i16
}

/// The distances of heads and of query tokens in a bias, 0 where all share.
fn strides(bias: &AttentionBias, keys: usize) -> Result<[u32; 2], String> {
    let stride = |count: usize, length: usize| if count > 1 { u32::try_from(length) } else { Ok(0) };
    let too_large = |_| "its bias is too large".to_owned();
    Ok([
        stride(bias.heads, bias.queries * keys).map_err(too_large)?,
        stride(bias.queries, keys).map_err(too_large)?,
    ])
}

impl Lowering<'_, '_> {
    /// Attention; `flags` beside those that follow from it.
    pub(super) fn attention(&mut self, attention: &Attention, flags: u16) -> Result<(), String> {
        let [query, key] = [0, 1].map(|index| self.graph.tensor(self.node.inputs[index]).shape);
        let (value, output) = (self.input(2), self.result());
        let keys = Sequences::of(key, attention.key_patch).map_or(0, |sequences| sequences.tokens);
        let largest = largest_weight(keys)?;
        let factor = f64::from(attention.scale)
            * f64::from(self.input(0).scale)
            * f64::from(self.input(1).scale)
            * f64::from(SCORE_STEPS);
        let (score_multiplier, score_shift) = score(factor, query.channels / attention.heads)?;
        let ratio = f64::from(value.scale) / f64::from(output.scale);
        let (output_shift, output_multiplier) = (1..=22u32)
            .rev()
            .map(|shift| (shift, (ratio * f64::from(shift + 11).exp2()).round()))
            .find(|(_, multiplier)| *multiplier <= f64::from(i32::MAX))
            .ok_or_else(|| format!("its value's scale is {ratio:.1e} times its output's"))?;
        let offset = f64::from(output.zero_point) - f64::from(value.zero_point) * ratio;
        let output_bias =
            (offset * f64::from(output_shift).exp2()).round() as i32 + (1 << (output_shift - 1));

        let mut flags = flags | if attention.causal { AttentionQ32Record::CAUSAL } else { 0 };
        let (mut bias, mut bias_strides) = (0, [0; 2]);
        if let Some(given) = &attention.bias {
            flags |= AttentionQ32Record::BIAS;
            let steps: Vec<i16> = given.values.iter().map(|&value| bias_steps(value)).collect();
            bias = self.writer.weights(steps.as_slice());
            bias_strides = strides(given, keys)?;
        }
        let record = AttentionQ32Record {
            patch: [narrow(attention.patch[0])?, narrow(attention.patch[1])?],
            key_patch: [narrow(attention.key_patch[0])?, narrow(attention.key_patch[1])?],
            heads: narrow(attention.heads)?,
            flags,
            score_multiplier,
            score_shift,
            exponentials: exponentials(largest, self.exponentials, self.writer),
            output_multiplier: output_multiplier as i32,
            output_bias,
            output_shift,
            bias,
            bias_head_stride: bias_strides[0],
            bias_query_stride: bias_strides[1],
        };
        self.emit(Operator::AttentionQ32, &record)
    }

    pub(super) fn separable_attention(&mut self, patch: [usize; 2]) -> Result<(), String> {
        let shape = self.graph.tensor(self.node.inputs[0]).shape;
        let tokens = Sequences::of(shape, patch).map_or(0, |sequences| sequences.tokens);
        let largest = f64::from(largest_weight(tokens)?);
        let step = f64::from(self.input(0).scale);
        let exponentials: Vec<u16> =
            (0..256).map(|d| (largest * (-f64::from(d) * step).exp()).round() as u16).collect();
        let scale = f64::from(self.input(1).scale) * f64::from(self.input(2).scale)
            / f64::from(self.result().scale)
            / f64::from(CONTEXT_BITS).exp2();
        let reach = (255 * 255) << CONTEXT_BITS;
        let record = SeparableAttentionQ32Record {
            patch: [narrow(patch[0])?, narrow(patch[1])?],
            exponentials: self.writer.weights(exponentials.as_slice()),
            channel: self.product_channel(scale, reach)?,
        };
        self.emit(Operator::SeparableAttentionQ32, &record)
    }

    pub(super) fn matmul(&mut self, transpose_second: bool) -> Result<(), String> {
        let inner = self.graph.tensor(self.node.inputs[0]).shape.channels;
        if inner > LONGEST_SUM {
            return Err(format!("sums of {inner} products leave 32 bits: at most {LONGEST_SUM}"));
        }
        let scale =
            f64::from(self.input(0).scale) * f64::from(self.input(1).scale) / f64::from(self.result().scale);
        let record = MatMulQ32Record {
            channel: self.product_channel(scale, 255 * 255 * inner as i64)?,
            flags: if transpose_second { MatMulQ32Record::TRANSPOSE_SECOND } else { 0 },
        };
        self.emit(Operator::MatMulQ32, &record)
    }

    /// The requantization of sums of products, none beyond `reach`.
    fn product_channel(&self, scale: f64, reach: i64) -> Result<ocelli_kernels::Q32Channel, String> {
        q32_channel(scale, 0, self.result().zero_point)
            .filter(|channel| i64::from(channel.bias).abs() + reach <= i64::from(i32::MAX))
            .ok_or_else(|| out_of_range(scale, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_long_sequences_add_up_to_24_bits() {
        for tokens in [1, 512, 513, 4096, LONGEST_SEQUENCE] {
            let largest = usize::from(largest_weight(tokens).unwrap());
            assert!(
                largest * tokens < LARGEST_TOTAL
                    && (largest == 32767 || (largest + 1) * tokens >= LARGEST_TOTAL)
            );
        }
        assert!(largest_weight(LONGEST_SEQUENCE + 1).unwrap_err().contains("at most 16384"));
    }

    #[test]
    fn scores_of_any_scale_keep_their_digits() {
        for factor in [1e-4, 0.3, -0.49, 0.5, 7.0, 100.0] {
            let (multiplier, shift) = score(factor, 64).unwrap();
            let real = f64::from(multiplier) / 4_294_967_296.0 * f64::from(1 << shift);
            assert!((real / factor - 1.0).abs() < 1e-5, "{factor}: {real}");
        }
        assert!(score(1e4, 64).unwrap_err().contains("more heads"));
    }

    #[test]
    fn only_infinity_hides_a_key() {
        assert_eq!([f32::NEG_INFINITY, -1e9, -0.5, 1e9].map(bias_steps), [-32768, -32767, -48, 32767]);
    }
}
