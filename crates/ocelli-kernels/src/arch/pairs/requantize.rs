//! Requantization as packed for a kernel.

use super::TRAILER;
use crate::requantize::{Q32, Q32Channel, Requantize, Rule, TfLite, TfLiteChannel, saturate};

/// What the magnitude of a channel's accumulator cannot exceed.
pub(super) fn bound(channel: &TfLiteChannel, weights: &[i8]) -> i64 {
    let weights: i64 = weights.iter().map(|weight| i64::from(weight.unsigned_abs())).sum();
    i64::from(channel.bias).abs() + weights * 128
}

/// For cores with a 32 x 32 -> 64 bit multiplication. `Q32`: the multiplier. `TfLite` with a right shift of `e` bits and the zero point `z`:
/// `z * 2^(e - 1) + 2^(e - 2)`, multiplier, `e - 1`.
///
/// TFLite's rule is `floor((v + 2^(e - 1) - (v < 0)) / 2^e) + z` with `v = floor((accumulator * multiplier + 2^30) / 2^31)`. Two floors are
/// one; and `v < 0` may be `accumulator < 0`, since they only differ where `v` is 0, which gives 0 either way.
pub(in crate::arch) fn wide_trailer(
    rule: Option<&TfLite>,
    channel: &TfLiteChannel,
) -> Option<[u32; TRAILER]> {
    let multiplier = channel.multiplier.cast_unsigned();
    let Some(rule) = rule else { return Some([multiplier, 0, 0, 0, 0]) };
    let exponent = channel.shift.checked_neg().filter(|exponent| (2..=22).contains(exponent))?;
    let zero_point = i8::try_from(rule.zero_point).ok().filter(|_| channel.multiplier >= 0)?;
    let half = (i32::from(zero_point) << (exponent - 1)) + (1 << (exponent - 2));
    Some([half.cast_unsigned(), multiplier, exponent.cast_unsigned() - 1, 0, 0])
}

/// What kernels with [`wide_trailer`] compute.
pub(in crate::arch) fn finish_wide(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8 {
    let [half, multiplier, shift, ..] = trailer;
    if !tflite {
        let channel = Q32Channel { bias: 0, multiplier: half.cast_signed() };
        return Q32.finish(&channel, accumulator);
    }
    let low = accumulator.cast_unsigned() & 0x8000_0000 | 0x4000_0000;
    let high = half.cast_signed().wrapping_add(accumulator >> 31);
    let start = (i64::from(high) << 32) + i64::from(low);
    let sum = start.wrapping_add(i64::from(accumulator).wrapping_mul(i64::from(multiplier.cast_signed())));
    saturate(((sum >> 32) as i32).wrapping_shr(shift))
}

/// Applies the bounds of `TfLite`: kernels saturate to int8 only.
pub(super) fn clamp<R: Rule>(rule: &R, output: &mut [i8]) {
    if let Some((min, max)) = bounds(rule) {
        for value in output {
            *value = saturate(i32::from(*value).max(min).min(max));
        }
    }
}

/// The bounds of `TfLite`, where they are narrower than int8.
pub(super) fn bounds<R: Rule>(rule: &R) -> Option<(i32, i32)> {
    let rule = rule.tflite()?;
    (rule.min > i32::from(i8::MIN) || rule.max < i32::from(i8::MAX)).then_some((rule.min, rule.max))
}
