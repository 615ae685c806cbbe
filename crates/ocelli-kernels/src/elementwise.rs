//! Operations on single elements. All update in place: `data` holds the first operand and receives the result.
//!
//! A second operand is as long as `data`, one pixel long (a value a channel) or one value long.

use crate::requantize::{TfLite, multiply_by_quantized_multiplier, saturate};
use crate::{Requantize, TfLiteChannel};

/// `data[i] = table[data[i] + 128]`: any function of one int8 value. Compiled with this crate, whatever calls it.
#[inline(never)]
pub fn table(data: &mut [i8], table: &[i8; 256]) {
    // Flipping the sign bit maps -128..=127 to 0..=255 in order.
    let look_up = |value: &mut i8| *value = table[usize::from(value.cast_unsigned() ^ 0x80)];
    let (fours, rest) = data.as_chunks_mut::<4>();
    for four in fours {
        four.iter_mut().for_each(look_up);
    }
    rest.iter_mut().for_each(look_up);
}

/// `data[p][c] = tables[channels[c]][data[p][c] + 128]`: a function of one int8 value for each channel. `None` where `data` is not pixels of
/// as many channels, or a table is missing.
pub fn channel_tables(data: &mut [i8], tables: &[[i8; 256]], channels: &[u8]) -> Option<()> {
    if channels.is_empty() || data.len().checked_rem(channels.len())? != 0 {
        return None;
    }
    for pixel in data.chunks_exact_mut(channels.len()) {
        for (value, &table) in pixel.iter_mut().zip(channels) {
            *value = tables.get(usize::from(table))?[usize::from(value.cast_unsigned() ^ 0x80)];
        }
    }
    Some(())
}

/// A residual add under the `Q32` rule: `sat8((a * multipliers[0] + b * multipliers[1] + bias) >> shift)`.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// `round(operand scale / output scale * 2^shift)`, within int16.
    pub multipliers: [i32; 2],
    /// Zero points of all three and the rounding half.
    pub bias: i32,
    /// 0..=30.
    pub shift: u32,
}

impl Add {
    /// Adds `other` to `data`.
    pub fn apply(&self, data: &mut [i8], other: &[i8]) -> Option<()> {
        let [first, second] = self.multipliers;
        zip_broadcast(data, other, |a, b| {
            let sum = a.wrapping_mul(first).wrapping_add(b.wrapping_mul(second)).wrapping_add(self.bias);
            saturate(sum.wrapping_shr(self.shift))
        })
    }
}

/// An add under the `TfLite` rule: both operands to a common scale, sum, then to the output's.
#[derive(Clone, Copy, Debug)]
pub struct AddTfLite {
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// From an operand, shifted left by [`AddTfLite::LEFT_SHIFT`], to the common scale; the bias is not used.
    pub operands: [TfLiteChannel; 2],
    /// From the common scale to the output's; the bias is not used.
    pub output: TfLiteChannel,
    /// Zero point and bounds of the output.
    pub rule: TfLite,
}

impl AddTfLite {
    /// Bits of headroom that operands are raised by before they are scaled.
    pub const LEFT_SHIFT: u32 = 20;

    /// Adds `other` to `data`.
    pub fn apply(&self, data: &mut [i8], other: &[i8]) -> Option<()> {
        let [first, second] = self.operands;
        let scale = |value: i32, zero_point: i32, to: TfLiteChannel| {
            let raised = value.wrapping_sub(zero_point).wrapping_shl(Self::LEFT_SHIFT);
            multiply_by_quantized_multiplier(raised, to.multiplier, to.shift)
        };
        zip_broadcast(data, other, |a, b| {
            let sum =
                scale(a, self.zero_points[0], first).wrapping_add(scale(b, self.zero_points[1], second));
            self.rule.finish(&self.output, sum)
        })
    }
}

/// A product of two tensors: `finish((a - zero_points[0]) * (b - zero_points[1]) + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Mul<'a, R: Requantize> {
    /// Zero points of the operands.
    pub zero_points: [i32; 2],
    /// The rule.
    pub rule: R,
    /// Its parameters, the same for all channels.
    pub channel: &'a R::Channel,
}

impl<R: Requantize> Mul<'_, R> {
    /// Multiplies `data` by `other`.
    pub fn apply(&self, data: &mut [i8], other: &[i8]) -> Option<()> {
        let bias = R::bias(self.channel);
        zip_broadcast(data, other, |a, b| {
            let product =
                a.wrapping_sub(self.zero_points[0]).wrapping_mul(b.wrapping_sub(self.zero_points[1]));
            self.rule.finish(self.channel, product.wrapping_add(bias))
        })
    }
}

/// A leaky ReLU with a slope a channel. With `d = x - zero_point`:
/// `d >= 0 ? finish_positive(d << SHIFT) : finish_negative((d * (slope - slope_zero_point)) << SHIFT)`.
#[derive(Clone, Copy, Debug)]
pub struct PRelu<'a, R: Requantize> {
    /// Zero point of the input.
    pub zero_point: i32,
    /// Zero point of the slopes.
    pub slope_zero_point: i32,
    /// Left shift of the products: 0 for `TfLite`; 8 for `Q32`, whose multiplier must stay below 1/2.
    pub shift: u32,
    /// The rule.
    pub rule: R,
    /// Its parameters for values of the positive and of the negative half.
    pub halves: [&'a R::Channel; 2],
    /// One slope a channel.
    pub slopes: &'a [i8],
}

impl<R: Requantize> PRelu<'_, R> {
    /// Applies it to pixels of as many channels as there are slopes.
    pub fn apply(&self, data: &mut [i8]) -> Option<()> {
        let [positive, negative] = self.halves;
        zip_broadcast(data, self.slopes, |value, slope| {
            let value = value.wrapping_sub(self.zero_point);
            let (channel, factor) = if value >= 0 {
                (positive, 1)
            } else {
                (negative, slope.wrapping_sub(self.slope_zero_point))
            };
            let product = value.wrapping_mul(factor).wrapping_shl(self.shift);
            self.rule.finish(channel, R::bias(channel).wrapping_add(product))
        })
    }
}

/// `data[i] = function(data[i], other[i % other.len()])`.
#[inline]
fn zip_broadcast(data: &mut [i8], other: &[i8], function: impl Fn(i32, i32) -> i8) -> Option<()> {
    if other.is_empty() || data.len().checked_rem(other.len())? != 0 {
        return None;
    }
    for chunk in data.chunks_exact_mut(other.len()) {
        for (value, &other) in chunk.iter_mut().zip(other) {
            *value = function(i32::from(*value), i32::from(other));
        }
    }
    Some(())
}
