//! From real scales to the integers of the two requantization rules.

use ocelli_kernels::{Q32Channel, TfLiteChannel};

/// The smallest `Q32` multiplier: below it, the zero point in the bias would not fit 31 bits.
pub const SMALLEST_Q32_MULTIPLIER: i64 = 1 << 9;

/// The largest real scale of `Q32` and the smallest: `multiplier / 2^32`.
pub const Q32_SCALES: std::ops::Range<f64> = SMALLEST_Q32_MULTIPLIER as f64 / 4_294_967_296.0..0.5;

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
    fn a_scale_of_a_half_or_more_has_no_q32_multiplier() {
        assert!(q32_channel(0.5, 0, 0).is_none());
        assert_eq!(q32_channel(0.25, 7, -128), Some(Q32Channel { bias: 7 - 512, multiplier: 1 << 30 }));
    }
}
