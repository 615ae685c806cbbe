//! The two requantization rules from their definitions, in 128 bits.

use ocelli_kernels::requantize::{
    multiply_by_quantized_multiplier, rounding_divide_by_power_of_two, saturating_rounding_doubling_high_mul,
};
use ocelli_kernels::{Q32, Q32Channel, Requantize, TfLite, TfLiteChannel, TfLiteFullyConnected};
use proptest::prelude::*;

/// A rule with its definition.
pub trait Defined: Requantize {
    /// The int8 value of an accumulator without the bias, computed naively; sums wrap at 32 bits.
    fn expected(&self, channel: &Self::Channel, sum: i64) -> i8;
}

impl Defined for Q32 {
    fn expected(&self, channel: &Q32Channel, sum: i64) -> i8 {
        let accumulator = i128::from((sum + i64::from(channel.bias)) as i32);
        (accumulator * i128::from(channel.multiplier) + (1 << 31)).div_euclid(1 << 32).clamp(-128, 127) as i8
    }
}

impl Defined for TfLite {
    fn expected(&self, channel: &TfLiteChannel, sum: i64) -> i8 {
        let scaled = mbqm((sum + i64::from(channel.bias)) as i32, channel.multiplier, channel.shift);
        let value = i64::from(scaled) + i64::from(self.zero_point);
        i64::from(value as i32).clamp(i64::from(self.min), i64::from(self.max)) as i8
    }
}

impl Defined for TfLiteFullyConnected {
    /// The real product rounded once, a tie away from zero.
    fn expected(&self, channel: &TfLiteChannel, sum: i64) -> i8 {
        let accumulator = i128::from((sum + i64::from(channel.bias)) as i32);
        let twice = 2 * accumulator * i128::from(channel.multiplier);
        let one = 1i128 << (31 - channel.shift);
        let scaled = twice.signum() * ((twice.abs() + one) / (2 * one));
        let value = i64::from(scaled as i32) + i64::from(self.0.zero_point);
        i64::from(value as i32).clamp(i64::from(self.0.min), i64::from(self.0.max)) as i8
    }
}

/// The nearest integer to `value / 2^31`; a tie rounds up; 2^31 saturates.
fn high_mul(a: i32, b: i32) -> i32 {
    let product = i128::from(a) * i128::from(b);
    (product + (1 << 30)).div_euclid(1 << 31).min(i128::from(i32::MAX)) as i32
}

/// The nearest integer to `value / 2^exponent`; a tie rounds away from zero.
fn divide(value: i32, exponent: u32) -> i32 {
    let magnitude = i128::from(value).abs();
    let rounded = (magnitude * 2 + (1 << exponent)) >> (exponent + 1);
    (i128::from(value).signum() * rounded) as i32
}

/// TFLite's `MultiplyByQuantizedMultiplier`, as `tests/golden/README.md` found it.
pub fn mbqm(value: i32, multiplier: i32, shift: i32) -> i32 {
    let shifted = (i128::from(value) << shift.max(0)) as i32;
    divide(high_mul(shifted, multiplier), (-shift).max(0) as u32)
}

/// Accumulators, the extremes often.
fn accumulator() -> impl Strategy<Value = i32> {
    prop_oneof![Just(i32::MIN), Just(i32::MAX), -70_000i32..70_000, any::<i32>()]
}

/// Parameters of the `Q32` rule for a channel, those that cannot come from a quantizer included.
pub fn q32_channel() -> impl Strategy<Value = Q32Channel> {
    let multiplier = prop_oneof![Just(i32::MAX), 1i32..1 << 22, 1i32 << 22..i32::MAX, any::<i32>()];
    (accumulator(), multiplier).prop_map(|(bias, multiplier)| Q32Channel { bias, multiplier })
}

/// Parameters of the `TfLite` rule for a channel.
pub fn tflite_channel() -> impl Strategy<Value = TfLiteChannel> {
    let multiplier = prop_oneof![Just(0), Just(1 << 30), Just(i32::MAX), 1i32 << 30..i32::MAX];
    (accumulator(), multiplier, prop_oneof![-12i32..1, -31i32..31])
        .prop_map(|(bias, multiplier, shift)| TfLiteChannel { bias, multiplier, shift })
}

/// The `TfLite` rule of an output.
pub fn tflite() -> impl Strategy<Value = TfLite> {
    (any::<i8>(), any::<i8>(), any::<i8>()).prop_map(|(zero_point, a, b)| TfLite {
        zero_point: i32::from(zero_point),
        min: i32::from(a.min(b)),
        max: i32::from(a.max(b)),
    })
}

/// The parameters that a real factor and an output zero point give under the `Q32` rule, as `Q32Channel` documents them.
pub fn q32_from_real(factor: f64, zero_point: i8) -> Q32Channel {
    let multiplier = (factor * 4_294_967_296.0).round();
    let bias = (f64::from(zero_point) * 4_294_967_296.0 / multiplier).round();
    Q32Channel { bias: bias as i32, multiplier: multiplier as i32 }
}

/// TFLite's `QuantizeMultiplier`: multiplier and shift of a positive real factor.
pub fn tflite_from_real(factor: f64) -> TfLiteChannel {
    let mut shift = factor.log2().floor() as i32 + 1;
    let mut multiplier = (factor / f64::from(shift).exp2() * 2_147_483_648.0).round() as i64;
    if multiplier == 1 << 31 {
        multiplier = 1 << 30;
        shift += 1;
    }
    TfLiteChannel { bias: 0, multiplier: multiplier as i32, shift }
}

/// Checks an int8 value against the real value that it rounds: within half a step, the error of the rounded zero point (`factor / 2`) and
/// that of the multiplier.
pub fn assert_rounds(found: i8, exact: f64, factor: f64) {
    let error = (f64::from(found) - exact.clamp(-128.0, 127.0)).abs();
    assert!(error <= 0.5 + factor / 2.0 + 1e-3, "{found} for {exact}, factor {factor}");
}

proptest! {
    #[test]
    fn q32(value in accumulator(), channel in q32_channel()) {
        prop_assert_eq!(Q32.finish(&channel, value), Q32.expected(&Q32Channel { bias: 0, ..channel }, value.into()));
    }

    #[test]
    fn tflite_rule(value in accumulator(), channel in tflite_channel(), rule in tflite()) {
        let without_bias = TfLiteChannel { bias: 0, ..channel };
        prop_assert_eq!(rule.finish(&channel, value), rule.expected(&without_bias, value.into()));
    }

    #[test]
    fn tflite_fully_connected_rule(value in accumulator(), channel in tflite_channel(), rule in tflite()) {
        let without_bias = TfLiteChannel { bias: 0, ..channel };
        let rule = TfLiteFullyConnected(rule);
        prop_assert_eq!(rule.finish(&channel, value), rule.expected(&without_bias, value.into()));
        // A tie: half of an odd number.
        let half = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: 0 };
        let (tie, rule) = ((value % 250) | 1, TfLiteFullyConnected(TfLite { zero_point: 0, min: -128, max: 127 }));
        prop_assert_eq!(rule.finish(&half, tie), rule.expected(&half, tie.into()));
    }

    #[test]
    fn tflite_multiplication(value in accumulator(), multiplier: i32, shift in -31i32..31) {
        prop_assert_eq!(multiply_by_quantized_multiplier(value, multiplier, shift), mbqm(value, multiplier, shift));
    }

    #[test]
    fn high_multiplication_rounds_ties_up(a in accumulator(), b in accumulator()) {
        prop_assert_eq!(saturating_rounding_doubling_high_mul(a, b), high_mul(a, b));
        // Every product of 2^15 with an odd number times 2^15 is a tie.
        let (a, b) = ((a >> 16) << 15, ((b >> 16) | 1) << 15);
        prop_assert_eq!(saturating_rounding_doubling_high_mul(a, b), high_mul(a, b));
    }

    #[test]
    fn division_rounds_ties_away_from_zero(value in accumulator(), exponent in 0u32..32) {
        prop_assert_eq!(rounding_divide_by_power_of_two(value, exponent), divide(value, exponent));
        // A tie: the bits that fall away are one half.
        let tie = if exponent == 0 { value } else { (((i64::from(value) >> exponent) << exponent) | 1 << (exponent - 1)) as i32 };
        prop_assert_eq!(rounding_divide_by_power_of_two(tie, exponent), divide(tie, exponent));
    }

    #[test]
    fn any_parameters_give_a_value(value: i32, q32: (i32, i32), tflite: (i32, i32, i32), rule: (i32, i32, i32)) {
        Q32.finish(&Q32Channel { bias: q32.0, multiplier: q32.1 }, value);
        let rule = TfLite { zero_point: rule.0, min: rule.1, max: rule.2 };
        let channel = TfLiteChannel { bias: tflite.0, multiplier: tflite.1, shift: tflite.2 };
        rule.finish(&channel, value);
        TfLiteFullyConnected(rule).finish(&channel, value);
    }
}
