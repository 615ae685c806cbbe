//! Writing parameters in the layout of `pointwise.s` and `quads.s`, and the proofs that it is exact.

use crate::arch::Parameters;
use crate::requantize::{Rule, TfLiteChannel};

/// Layers of more steps keep whole multipliers under [`crate::Q32`]: theirs are so small that 8 bits count.
pub const WHOLE: usize = 64;

/// Words of the parameters of a group of so many output channels, for `steps` steps of two values.
pub const fn group_words<R: Rule>(group: usize, steps: usize) -> usize {
    let finish = if R::TFLITE { 3 } else { 2 };
    steps.saturating_mul(group / 2).saturating_add(group.saturating_mul(finish))
}

/// Least right shift of TFLite's rule that is done by `SMMLAR` with `2^(32 - shift)`.
const LEAST_SHIFT: u32 = 2;

/// `2^(32 - right shift)`, where the finish can do it.
pub fn power(channel: &TfLiteChannel) -> Option<u32> {
    let right = channel.shift.checked_neg()?;
    let right = u32::try_from(right).ok().filter(|right| (LEAST_SHIFT..=31).contains(right))?;
    1u32.checked_shl(32 - right)
}

/// Whether TFLite's bounds and zero point suit the finish, which saturates to int8.
pub fn suits<R: Rule>(rule: &R) -> bool {
    rule.tflite().is_none_or(|rule| {
        (-128..=127).contains(&rule.zero_point) && rule.min >= -128 && rule.max <= 127 && rule.min <= rule.max
    })
}

/// The largest magnitude that an accumulator can have: any int8 input, the zero point included.
pub fn bound(bias: i32, weights: impl Iterator<Item = i8>) -> i64 {
    weights.fold(i64::from(bias).abs(), |sum, weight| sum + 128 * i64::from(weight).abs())
}

/// Two lanes of a word.
pub fn lanes(top: i32, bottom: i32) -> u32 {
    (top.cast_unsigned() << 16) | (bottom.cast_unsigned() & 0xffff)
}

/// Writes all groups, each of an even number of channels, of a layer of which each channel has `taps` weights; `order` says which of them, if
/// any, is value 0 or 1 of a step.
pub fn pack<R: Rule>(
    parameters: &Parameters<'_, R>,
    group: usize,
    taps: usize,
    steps: usize,
    order: impl Fn(usize, usize) -> Option<usize>,
    packed: &mut [u32],
) -> Option<()> {
    if !suits(&parameters.rule) || taps == 0 || group == 0 {
        return None;
    }
    let channels = parameters.channels.chunks(group);
    let weights = parameters.weights.chunks(taps.checked_mul(group)?);
    let words = packed.chunks_exact_mut(group_words::<R>(group, steps));
    let groups = channels.len();
    if weights.len() != groups || words.len() != groups {
        return None;
    }
    for ((channels, weights), words) in channels.zip(weights).zip(words) {
        // What is not there, and channels that are zero whatever they see.
        let none = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: -8 };
        let zero = |at: usize| channels.get(at).is_none_or(|channel| R::common(channel).multiplier == 0);
        let channel = |at: usize| channels.get(at).filter(|_| !zero(at)).map_or(none, R::common);
        let weight = |at: usize, tap: Option<usize>| {
            let weight = tap.and_then(|tap| weights.get(at * taps + tap)).filter(|_| !zero(at));
            weight.map_or(0, |&weight| i32::from(weight))
        };
        let (bias, rest) = words.split_at_mut_checked(group)?;
        let (body, finish) = rest.split_at_mut_checked(steps.checked_mul(group / 2)?)?;
        for pair in 0..group / 2 {
            let [a, b] = [channel(pair * 2), channel(pair * 2 + 1)];
            let [bound_a, bound_b] = [0, 1].map(|at| {
                let start = (pair * 2 + at) * taps;
                let weights = weights.get(start..start + taps).unwrap_or_default();
                bound(channel(pair * 2 + at).bias, weights.iter().copied())
            });
            // 256 * B + A is below 2^31, and so is 2 * A, which TFLite's rule forms.
            if bound_b * 256 + bound_a > i64::from(i32::MAX) || bound_a >= 1 << 30 {
                return None;
            }
            *bias.get_mut(pair * 2)? = b.bias.wrapping_mul(256).wrapping_add(a.bias).cast_unsigned();
            *bias.get_mut(pair * 2 + 1)? = a.bias.cast_unsigned();
            for (step, words) in body.chunks_exact_mut(group / 2).enumerate() {
                let mut paired = [0; 2];
                for (lane, paired) in paired.iter_mut().enumerate() {
                    let tap = order(step, lane);
                    *paired = weight(pair * 2 + 1, tap) * 256 + weight(pair * 2, tap);
                    i16::try_from(*paired).ok()?;
                }
                *words.get_mut(pair)? = lanes(paired[1], paired[0]);
            }
        }
        if R::TFLITE {
            for (at, words) in finish.chunks_exact_mut(2).enumerate() {
                let channel = channel(at);
                if channel.multiplier < 1 << 30 {
                    return None;
                }
                words.copy_from_slice(&[channel.multiplier.cast_unsigned() << 1, power(&channel)?]);
            }
        } else {
            for (at, word) in finish.iter_mut().enumerate() {
                let multiplier = channel(at).multiplier;
                let odd = at % 2 == 1 && steps <= WHOLE;
                if odd && multiplier & 0xff != 0 {
                    return None;
                }
                *word = if odd { multiplier >> 8 } else { multiplier }.cast_unsigned();
            }
        }
    }
    Some(())
}

/// Narrows outputs to the bounds of TFLite's rule where they are not all of int8.
pub fn clamp<R: Rule>(rule: &R, output: &mut [i8]) {
    let Some(rule) = rule.tflite() else { return };
    let (Ok(min), Ok(max)) = (i8::try_from(rule.min), i8::try_from(rule.max)) else { return };
    if min > i8::MIN || max < i8::MAX {
        for value in output {
            *value = (*value).max(min).min(max);
        }
    }
}
