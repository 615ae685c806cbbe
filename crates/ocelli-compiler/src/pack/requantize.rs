//! From real scales to the integers of the two requantization rules.

use ocelli_kernels::{Q32Channel, TfLiteChannel};

/// The smallest `Q32` multiplier: below it, the zero point in the bias would not fit 31 bits.
pub const SMALLEST_Q32_MULTIPLIER: i64 = 1 << 9;

/// The largest real scale of `Q32` and the smallest: `multiplier / 2^32`.
pub const Q32_SCALES: std::ops::Range<f64> = SMALLEST_Q32_MULTIPLIER as f64 / 4_294_967_296.0..0.5;

/// As [`q32_channel`], for a convolution, with the multiplier rounded to what the kernels of every target compute with: 16 significant
/// bits, and a multiple of 256 from 2^20 on. That moves an output by at most 1/32 of a step.
pub fn q32_conv_channel(scale: f64, bias: i64, zero_point: i8) -> Option<Q32Channel> {
    if !Q32_SCALES.contains(&scale) {
        return None;
    }
    let exact = scale * 4_294_967_296.0;
    let fewest_zeros = if exact >= f64::from(1 << 20) { 8.0 } else { 0.0 };
    let unit = (exact.log2().floor() - 15.0).max(fewest_zeros).exp2();
    // Rounded up, the largest would be 2^31.
    let multiplier = ((exact / unit).round() * unit).min(f64::from(0x7fff_8000));
    q32_channel(multiplier / 4_294_967_296.0, bias, zero_point)
}

/// `Q32` parameters for a real scale, an accumulator that starts from `bias` and an output `zero_point`; `None` where they do not fit
/// int32.
pub fn q32_channel(scale: f64, bias: i64, zero_point: i8) -> Option<Q32Channel> {
    let multiplier = (scale * 4_294_967_296.0).round();
    if !(SMALLEST_Q32_MULTIPLIER as f64..=f64::from(i32::MAX)).contains(&multiplier) {
        return None;
    }
    let offset = (f64::from(zero_point) * 4_294_967_296.0 / multiplier).round() as i64;
    Some(Q32Channel { bias: i32::try_from(bias.checked_add(offset)?).ok()?, multiplier: multiplier as i32 })
}

/// TFLite's `QuantizeMultiplier`: `real = multiplier / 2^31 * 2^shift`, and a bias.
pub fn tflite_channel(real: f64, bias: i32) -> TfLiteChannel {
    if real == 0.0 {
        return TfLiteChannel { bias, multiplier: 0, shift: 0 };
    }
    let (fraction, mut shift) = split_exponent(real);
    let mut multiplier = (fraction * 2_147_483_648.0).round() as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    if shift < -31 {
        return TfLiteChannel { bias, multiplier: 0, shift: 0 };
    }
    TfLiteChannel { bias, multiplier: multiplier as i32, shift }
}

/// C's `frexp` for positive normal numbers: `real = fraction * 2^exponent`, `0.5 <= fraction < 1`.
fn split_exponent(real: f64) -> (f64, i32) {
    let bits = real.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    (fraction, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_of_frexp() {
        for (real, expected) in [(1.0, (0.5, 1)), (0.75, (0.75, 0)), (0.1, (0.8, -3)), (6.5, (0.8125, 3))] {
            assert_eq!(split_exponent(real), expected);
        }
    }

    #[test]
    fn multipliers_of_convolutions_have_16_bits() {
        for exact in [512.0, 65_535.0, 65_537.0, 1_048_575.0, 1_048_576.0, 16_777_217.0, 2_147_483_647.0] {
            let scale = exact / 4_294_967_296.0;
            let multiplier = q32_conv_channel(scale, 0, 0).unwrap().multiplier;
            assert!(32 - multiplier.leading_zeros() - multiplier.trailing_zeros() <= 16, "{multiplier}");
            assert!(multiplier < 1 << 20 || multiplier % 256 == 0, "{multiplier}");
            assert!((f64::from(multiplier) / exact - 1.0).abs() <= 2f64.powi(-13), "{multiplier}");
        }
        assert!(q32_conv_channel(0.5, 0, 0).is_none());
        assert!(q32_conv_channel(511.0 / 4_294_967_296.0, 0, 0).is_none());
    }

    #[test]
    fn a_scale_of_a_half_or_more_has_no_q32_multiplier() {
        assert!(q32_channel(0.5, 0, 0).is_none());
        assert_eq!(q32_channel(0.25, 7, -128), Some(Q32Channel { bias: 7 - 512, multiplier: 1 << 30 }));
    }
}
