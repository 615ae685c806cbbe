//! Drawing the parameters of requantization.

use ocelli_kernels::{Q32, Q32Channel, Requantize, Rule, TfLite, TfLiteChannel};
use zerocopy::IntoBytes;

use crate::random::Random;

/// A rule whose parameters can be drawn.
pub trait DrawRule: Requantize<Channel: IntoBytes> + Rule {
    /// Zero point and bounds.
    fn draw(random: &Random) -> Self;

    /// Parameters for accumulators that are mostly below `typical` and, without the bias, never above `largest`. Biases never make the
    /// accumulator wrap, as packers prove. Where `tame`, biases, multipliers and shifts are near those of networks: packers refuse a layer for
    /// a single channel.
    fn channel(random: &Random, typical: i32, largest: i32, tame: bool) -> Self::Channel;

    /// The same with another bias.
    fn with_bias(channel: Self::Channel, bias: i32) -> Self::Channel;

    /// A rule without narrow bounds.
    fn plain_rule() -> Self;

    /// Parameters as networks have them, for accumulators that are mostly below `typical`.
    fn plain(random: &Random, typical: i32) -> Self::Channel;
}

impl DrawRule for Q32 {
    fn with_bias(channel: Q32Channel, bias: i32) -> Q32Channel {
        Q32Channel { bias, ..channel }
    }

    fn plain_rule() -> Self {
        Self
    }

    fn plain(random: &Random, typical: i32) -> Q32Channel {
        let target = target(typical);
        let multiplier = as_quantized(random.within(target, target.saturating_mul(3)));
        Q32Channel { bias: random.within(-typical, typical), multiplier }
    }

    fn draw(_: &Random) -> Self {
        Self
    }

    fn channel(random: &Random, typical: i32, largest: i32, tame: bool) -> Q32Channel {
        // Up to a factor of 4.
        let target = target(typical);
        let multiplier = match random.size(if tame { 3 } else { 0 }, 11) {
            0 => random.any() as i32 >> random.size(0, 30) & i32::MAX,
            1 => i32::MAX,
            2 => random.within(0, 1),
            _ => random.within(target / 4, target.saturating_mul(4)),
        };
        let multiplier = as_quantized(multiplier);
        // The output's zero point, which is part of the bias.
        let zero_point = i64::from(random.zero_point()) << 32;
        let zero_point = (zero_point / i64::from(multiplier.max(1))).clamp(-1 << 30, 1 << 30) as i32;
        let bias = draw_bias(random, typical, zero_point, tame);
        Q32Channel { bias: keep_below(bias, largest), multiplier }
    }
}

/// The multiplier that makes 60 of typical accumulators.
fn target(typical: i32) -> i32 {
    ((60i64 << 32) / i64::from(typical.max(1))).min(i64::from(i32::MAX)) as i32
}

/// The shift that makes about 60 of typical accumulators: `typical * multiplier / 2^31 / 2^shift`.
fn right_shift(typical: i32) -> i32 {
    32 - (typical.max(1) as u32 / 60).leading_zeros() as i32
}

/// The multiplier as the quantizer leaves it: 16 significant bits, and a multiple of 256 from 2^20 on.
fn as_quantized(multiplier: i32) -> i32 {
    let bits = 32 - multiplier.leading_zeros();
    let dropped = bits.saturating_sub(16).max(if bits > 20 { 8 } else { 0 });
    multiplier >> dropped << dropped
}

impl DrawRule for TfLite {
    fn with_bias(channel: TfLiteChannel, bias: i32) -> TfLiteChannel {
        TfLiteChannel { bias, ..channel }
    }

    fn plain_rule() -> Self {
        Self { zero_point: -128, min: -128, max: 127 }
    }

    fn plain(random: &Random, typical: i32) -> TfLiteChannel {
        TfLiteChannel {
            bias: random.within(-typical, typical),
            multiplier: random.within(1 << 30, i32::MAX),
            shift: -right_shift(typical),
        }
    }

    fn draw(random: &Random) -> Self {
        let zero_point = i32::from(random.zero_point());
        let (min, max) = match random.size(0, 5) {
            0 => (zero_point, 127),
            1 => (zero_point, random.within(zero_point, 127)),
            2 => {
                let min = random.within(-128, 127);
                (min, random.within(min, 127))
            }
            _ => (-128, 127),
        };
        Self { zero_point, min, max }
    }

    fn channel(random: &Random, typical: i32, largest: i32, tame: bool) -> TfLiteChannel {
        let multiplier = match random.size(if tame { 1 } else { 0 }, 7) {
            0 => 0,
            1 => 1 << 30,
            2 => i32::MAX,
            _ => random.within(1 << 30, i32::MAX),
        };
        let bits = right_shift(typical);
        let shift = match random.size(if tame { 2 } else { 0 }, 11) {
            0 => random.within(-31, 2),
            1 => random.within(-2, 2),
            _ => random.within(-bits - 1, -bits + 2).clamp(-31, 7),
        };
        let bias = draw_bias(random, typical, 0, tame);
        // What is shifted to the left must fit 32 bits.
        let room = i32::MAX >> shift.max(0);
        let bias = keep_below(bias, largest.saturating_add(i32::MAX - room));
        let shift = if largest > room { 0 } else { shift };
        TfLiteChannel { bias, multiplier, shift }
    }
}

fn draw_bias(random: &Random, typical: i32, zero_point: i32, tame: bool) -> i32 {
    match random.size(if tame { 3 } else { 0 }, 15) {
        // The edges of 24 and 32 bits.
        0 => random
            .pick(&[(1i32 << 23) - 1, 1 << 23, -(1 << 23), -(1 << 23) - 1])
            .saturating_add(random.within(-2, 2)),
        1 => random.pick(&[i32::MAX, -i32::MAX]),
        2 => random.any() as i32,
        3 => 0,
        _ => random.within(-typical, typical).saturating_add(zero_point),
    }
}

/// The bias, with which accumulators up to `largest` fit 32 bits.
fn keep_below(bias: i32, largest: i32) -> i32 {
    let room = i32::MAX.saturating_sub(largest).max(0);
    bias.clamp(-room, room)
}
