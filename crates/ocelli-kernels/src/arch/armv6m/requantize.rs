//! Requantization without a 32 x 32 -> 64 bit multiplication.
//!
//! `Q32` with a multiplier `m << e` of 16 significant bits `m`: `(floor(accumulator * m / 2^16) + 2^(15 - e)) >> (16 - e)`, where
//! `accumulator * m / 2^16` takes two multiplications of halves. Floors of floors are exact. Packed: `16 - e`, `m`, `2^(15 - e)`.
//!
//! `TfLite` with a multiplier `M` of 31 bits and a right shift `e`: `m = round(M / 2^15)` gives `q = floor(accumulator * m / 2^16)`, near
//! `accumulator * M / 2^31`. With `half = 2^(e - 1) + zero_point * 2^e`, the value is `(q + half) >> e`, unless `q + half` is so near to a
//! multiple of `2^e` that what `q` lacks could change the quotient: within `c` of it. Rotated right by `e`, `q + half + c` starts with its
//! remainder, so one comparison finds these; they are computed again with `M`. Packed: `e`, `m`, `half + c`, the largest rotated value that
//! is not exact, `M`.

use crate::arch::pairs::TRAILER;
use crate::requantize::{TfLite, TfLiteChannel, multiply_by_quantized_multiplier, saturate};

/// A channel's requantization; `None` where it would not be exact for all accumulators up to `bound`.
pub(super) fn trailer(rule: Option<&TfLite>, channel: &TfLiteChannel, bound: i64) -> Option<[u32; TRAILER]> {
    let multiplier = u32::try_from(channel.multiplier).ok()?;
    match rule {
        None => q32(multiplier, bound),
        Some(rule) => tflite(rule, multiplier, channel.shift, bound),
    }
}

/// Whether `floor(accumulator * multiplier / 2^16)` and what is added to it stay within 31 bits.
fn fits(bound: i64, multiplier: u32, added: i64) -> Option<()> {
    let product = bound.checked_mul(i64::from(multiplier))? >> 16;
    (bound < 1 << 31 && product.checked_add(added.abs())? < (1 << 31) - 2).then_some(())
}

fn q32(multiplier: u32, bound: i64) -> Option<[u32; TRAILER]> {
    let excess = 16u32.saturating_sub(multiplier.leading_zeros());
    let short = multiplier >> excess;
    if short << excess != multiplier || excess > 15 {
        return None;
    }
    let half = 1u32 << (15 - excess);
    fits(bound, short, half.into())?;
    Some([16 - excess, short, half, 0, 0])
}

fn tflite(rule: &TfLite, multiplier: u32, shift: i32, bound: i64) -> Option<[u32; TRAILER]> {
    let exponent = shift.checked_neg().and_then(|exponent| u32::try_from(exponent).ok())?;
    let zero_point = i64::from(i8::try_from(rule.zero_point).ok()?);
    if exponent > 20 {
        return None;
    }
    let short = ((multiplier + (1 << 14)) >> 15).min(0xffff);
    // What `q` can lack where the value does not saturate, that is below 2^(9 + e), and no accumulator is larger than `bound`. Half a step
    // more, since TFLite rounds twice, and another where negative.
    let error = i64::from((short << 15).abs_diff(multiplier));
    let largest = bound.min((1i64 << (9 + 31 + exponent)).checked_div(multiplier.into()).unwrap_or(bound));
    let lacks = (largest.checked_mul(error)? >> 31) + 1;
    let near = u32::try_from(lacks).ok()?.checked_add(1)?;
    let unsure = u64::from(near) * 2;
    // Without a right shift there is no second rounding to hide the first one.
    let (near, limit) = if exponent == 0 || unsure >= 1 << exponent {
        (0, u32::MAX)
    } else {
        (near, ((unsure << (32 - exponent)) - 1) as u32)
    };
    let half = (zero_point << exponent) + (1i64 << exponent >> 1) + i64::from(near);
    fits(bound, short, half)?;
    // What is computed again with `M`, one less where negative, stays within 31 bits, too, with and without `near`.
    let exact = (bound.checked_mul(multiplier.into())? >> 31) + 2;
    if exact + half.abs() + i64::from(near) >= 1 << 31 {
        return None;
    }
    Some([exponent, short, (half as i32).cast_unsigned(), limit, multiplier])
}

/// What the kernels compute.
pub(super) fn finish(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8 {
    let [shift, short, half, limit, multiplier] = trailer;
    let low = (accumulator.cast_unsigned() & 0xffff).wrapping_mul(short) >> 16;
    let high = (accumulator >> 16).cast_unsigned().wrapping_mul(short);
    let sum = high.wrapping_add(low).wrapping_add(half);
    if !tflite || sum.rotate_right(shift) > limit {
        return saturate(sum.cast_signed().wrapping_shr(shift));
    }
    let near = limit.wrapping_add(1).checked_shr(33u32.wrapping_sub(shift)).unwrap_or(0);
    let zero_point = half.wrapping_sub(near).cast_signed().wrapping_shr(shift);
    let scaled =
        multiply_by_quantized_multiplier(accumulator, multiplier.cast_signed(), -((shift & 31) as i32));
    saturate(scaled.wrapping_add(zero_point))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requantize::{Q32, Q32Channel, Requantize};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn q32_is_exact(short in 0u32..1 << 16, excess in 0u32..15, accumulator in -(1i32 << 28)..1 << 28, near in -300i64..300) {
            let multiplier = short << excess;
            // Accumulators that give int8 values, and any.
            let small = (near << 32).checked_div(multiplier.into()).unwrap_or(0).clamp(-(1 << 28), 1 << 28) as i32;
            let channel = TfLiteChannel { bias: 0, multiplier: multiplier.cast_signed(), shift: 0 };
            let Some(trailer) = trailer(None, &channel, 1 << 28) else { return Ok(()) };
            for accumulator in [accumulator, small, small.wrapping_add(1)] {
                let expected = Q32.finish(&Q32Channel { bias: 0, multiplier: channel.multiplier }, accumulator);
                prop_assert_eq!(finish(trailer, accumulator, false), expected);
            }
        }

        #[test]
        fn tflite_is_exact(
            multiplier in 1i32 << 30..i32::MAX, exponent in 0i32..16, zero_point in -128i32..128, near in -300_000i64..300_000, off in -2i32..3,
        ) {
            let channel = TfLiteChannel { bias: 0, multiplier, shift: -exponent };
            let rule = TfLite { zero_point, min: -128, max: 127 };
            let bound = 1i64 << (12 + exponent).min(28);
            let accumulator = ((near << (31 + exponent)) / i64::from(multiplier) / 1024).clamp(1 - bound, bound - 1) as i32 + off;
            let Some(trailer) = trailer(Some(&rule), &channel, bound + 2) else { return Ok(()) };
            prop_assert_eq!(finish(trailer, accumulator, true), rule.finish(&channel, accumulator));
        }

        /// Accumulators next to where the value changes, where both roundings matter.
        #[test]
        fn tflite_is_exact_at_halves(
            multiplier in 1i32 << 30..i32::MAX, exponent in 0i32..16, zero_point in -128i32..128, half in -300i64..300, off in -2i32..3,
        ) {
            let channel = TfLiteChannel { bias: 0, multiplier, shift: -exponent };
            let rule = TfLite { zero_point, min: -128, max: 127 };
            let bound = 1i64 << (12 + exponent).min(28);
            let accumulator = (((half * 2 + 1) << (30 + exponent)) / i64::from(multiplier)).clamp(1 - bound, bound - 1) as i32 + off;
            let Some(trailer) = trailer(Some(&rule), &channel, bound + 2) else { return Ok(()) };
            prop_assert_eq!(finish(trailer, accumulator, true), rule.finish(&channel, accumulator));
        }
    }
}
