//! From int32 accumulators back to int8: the two rules of `docs/numerics.md`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A rule that turns an accumulator into an int8 value.
pub trait Requantize {
    /// What the rule keeps for each output channel.
    type Channel: Copy;

    /// What accumulation starts from.
    fn bias(channel: &Self::Channel) -> i32;

    /// The int8 value of an accumulator (bias included).
    fn finish(&self, channel: &Self::Channel, accumulator: i32) -> i8;
}

/// A rule that architectures have kernels for.
pub trait Rule: Requantize<Channel: FromBytes + KnownLayout + Immutable> + Copy {
    /// How a channel's parameters look in common form; what is not there is 0.
    fn common(channel: &Self::Channel) -> TfLiteChannel;

    /// [`TfLite`], or `None` under [`Q32`].
    fn tflite(&self) -> Option<TfLite>;

    /// Whether it is [`TfLite`].
    const TFLITE: bool;
}

impl Rule for Q32 {
    const TFLITE: bool = false;

    #[inline]
    fn common(channel: &Q32Channel) -> TfLiteChannel {
        TfLiteChannel { bias: channel.bias, multiplier: channel.multiplier, shift: 0 }
    }

    #[inline]
    fn tflite(&self) -> Option<TfLite> {
        None
    }
}

impl Rule for TfLite {
    const TFLITE: bool = true;

    #[inline]
    fn common(channel: &TfLiteChannel) -> TfLiteChannel {
        *channel
    }

    #[inline]
    fn tflite(&self) -> Option<TfLite> {
        Some(*self)
    }
}

/// The rule of models quantized by Ocelli: `sat8((accumulator * multiplier + 2^31) >> 32)`, one rounding.
///
/// The output's zero point is part of the bias; activations that clip are the saturation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Q32;

/// Parameters of [`Q32`] for one output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Q32Channel {
    /// `bias - input zero_point * sum(weights) + round(output zero_point * 2^32 / multiplier)`.
    pub bias: i32,
    /// `round(input scale * weight scale / output scale * 2^32)`.
    pub multiplier: i32,
}

impl Requantize for Q32 {
    type Channel = Q32Channel;

    #[inline]
    fn bias(channel: &Q32Channel) -> i32 {
        channel.bias
    }

    #[inline]
    fn finish(&self, channel: &Q32Channel, accumulator: i32) -> i8 {
        let scaled = (i64::from(accumulator) * i64::from(channel.multiplier) + (1 << 31)) >> 32;
        saturate(scaled as i32)
    }
}

/// The rule of imported int8 TFLite models: TFLite's reference kernels, double rounding and clamp included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TfLite {
    /// Zero point of the output.
    pub zero_point: i32,
    /// Lower bound of the output, from the fused activation.
    pub min: i32,
    /// Upper bound of the output, from the fused activation.
    pub max: i32,
}

/// Parameters of [`TfLite`] for one output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TfLiteChannel {
    /// `bias - input zero_point * sum(weights)`.
    pub bias: i32,
    /// 31-bit multiplier, `multiplier / 2^31 * 2^shift = input scale * weight scale / output scale`.
    pub multiplier: i32,
    /// Left shift where positive, right shift where negative.
    pub shift: i32,
}

impl Requantize for TfLite {
    type Channel = TfLiteChannel;

    #[inline]
    fn bias(channel: &TfLiteChannel) -> i32 {
        channel.bias
    }

    #[inline]
    fn finish(&self, channel: &TfLiteChannel, accumulator: i32) -> i8 {
        let scaled = multiply_by_quantized_multiplier(accumulator, channel.multiplier, channel.shift);
        self.clamp(scaled.wrapping_add(self.zero_point))
    }
}

/// The rule of imported fully connected layers: as [`TfLite`], but TFLite's kernel rounds `accumulator * multiplier` once, halves away
/// from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TfLiteFullyConnected(pub TfLite);

impl Requantize for TfLiteFullyConnected {
    type Channel = TfLiteChannel;

    #[inline]
    fn bias(channel: &TfLiteChannel) -> i32 {
        channel.bias
    }

    #[inline]
    fn finish(&self, channel: &TfLiteChannel, accumulator: i32) -> i8 {
        let bits = 31u32.wrapping_sub(channel.shift.cast_unsigned()) & 63;
        let product = u64::from(accumulator.unsigned_abs()) * u64::from(channel.multiplier.unsigned_abs());
        let half = (1u64 << bits) >> 1;
        let magnitude = (product.wrapping_add(half) >> bits) as i32;
        let scaled = if accumulator < 0 { magnitude.wrapping_neg() } else { magnitude };
        self.0.clamp(scaled.wrapping_add(self.0.zero_point))
    }
}

impl TfLite {
    /// The int8 value within the bounds. (`Ord::clamp` would panic on bounds in the wrong order.)
    #[inline]
    pub(crate) fn clamp(&self, value: i32) -> i8 {
        saturate(value.max(self.min).min(self.max))
    }
}

/// Saturation to int8.
#[inline]
pub(crate) fn saturate(value: i32) -> i8 {
    value.clamp(-128, 127) as i8
}

/// TFLite's `MultiplyByQuantizedMultiplier` with double rounding; `shift` in -31..=30.
#[inline]
pub fn multiply_by_quantized_multiplier(value: i32, multiplier: i32, shift: i32) -> i32 {
    let (left, right) = if shift > 0 { (shift.unsigned_abs(), 0) } else { (0, shift.unsigned_abs()) };
    rounding_divide_by_power_of_two(
        saturating_rounding_doubling_high_mul(value.wrapping_shl(left), multiplier),
        right,
    )
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul`: `round(a * b / 2^31)`, halves up, saturated.
#[inline]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1 << 31)) as i32
}

/// gemmlowp's `RoundingDivideByPOT`: `round(value / 2^exponent)`, halves away from zero; `exponent` in 0..=31.
#[inline]
pub fn rounding_divide_by_power_of_two(value: i32, exponent: u32) -> i32 {
    let mask = (1u32.wrapping_shl(exponent)).wrapping_sub(1) as i32;
    let remainder = value & mask;
    let threshold = (mask >> 1) + i32::from(value < 0);
    (value >> (exponent & 31)) + i32::from(remainder > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn q32_rounds_once(accumulator: i32, multiplier: i32) {
            let exact = f64::from(accumulator) * f64::from(multiplier) / 4_294_967_296.0;
            let found = Q32.finish(&Q32Channel { bias: 0, multiplier }, accumulator);
            prop_assert!((exact.clamp(-128.0, 127.0) - f64::from(found)).abs() <= 0.5 + 1e-9);
        }

        #[test]
        fn tflite_division_rounds_halves_away_from_zero(value: i32, exponent in 0u32..32) {
            let exact = f64::from(value) / f64::from(exponent).exp2();
            prop_assert_eq!(f64::from(rounding_divide_by_power_of_two(value, exponent)), exact.round());
        }

        #[test]
        fn tflite_multiplier_is_within_its_two_roundings(value in -(1i32 << 24)..1 << 24, multiplier in 1i32 << 30..i32::MAX, shift in -31..7) {
            let exact = f64::from(value) * f64::from(multiplier) / 2f64.powi(31 - shift);
            let found = multiply_by_quantized_multiplier(value, multiplier, shift);
            prop_assert!((exact - f64::from(found)).abs() <= 1.0, "{exact} {found}");
        }
    }
}
