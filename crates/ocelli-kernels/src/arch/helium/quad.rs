//! The parameters of four output channels that follow their weights: multipliers, biases and, under `TfLite`, shifts.

#[cfg(not(ocelli_helium))]
use crate::requantize::Requantize;
use crate::requantize::Rule;
#[cfg(not(ocelli_helium))]
use crate::{Q32, Q32Channel, TfLite, TfLiteChannel};

/// Words after a quad's weights.
pub const fn words<R: Rule>() -> usize {
    if R::TFLITE { 12 } else { 8 }
}

/// Writes the words after the weights of up to four channels; `None` where a shift is outside what the kernels do.
pub fn pack<R: Rule>(channels: &[R::Channel], packed: &mut [u32]) -> Option<()> {
    for lane in 0..4 {
        let (mut multiplier, mut bias, mut shift) = (0, 0, -1);
        if let Some(channel) = channels.get(lane) {
            let common = R::common(channel);
            (multiplier, bias) = (common.multiplier, common.bias);
            // A multiplier of 0 gives 0 with any shift.
            if R::TFLITE && multiplier != 0 {
                shift = common.shift;
            }
        }
        if !(-31..=-1).contains(&shift) {
            return None;
        }
        *packed.get_mut(lane)? = multiplier.cast_unsigned();
        *packed.get_mut(lane + 4)? = bias.cast_unsigned();
        if R::TFLITE {
            *packed.get_mut(lane + 8)? = shift.cast_unsigned();
        }
    }
    Some(())
}

/// The value of a channel's sum without bias, within int8 but not yet within the rule's bounds.
#[cfg(not(ocelli_helium))]
pub fn finish<R: Rule>(rule: &R, packed: &[u32], lane: usize, sum: i32) -> Option<i8> {
    let word = |index: usize| packed.get(index).map(|word| word.cast_signed());
    let (multiplier, bias) = (word(lane)?, word(lane + 4)?);
    let sum = sum.wrapping_add(bias);
    Some(match rule.tflite() {
        Some(TfLite { zero_point, .. }) => TfLite { zero_point, min: -128, max: 127 }
            .finish(&TfLiteChannel { bias, multiplier, shift: word(lane + 8)? }, sum),
        None => Q32.finish(&Q32Channel { bias, multiplier }, sum),
    })
}

/// Applies the rule's bounds to finished values.
pub fn clamp<R: Rule>(rule: &R, data: &mut [i8]) {
    let Some(rule) = rule.tflite() else { return };
    let [min, max] = [rule.min, rule.max].map(crate::requantize::saturate);
    if min != i8::MIN || max != i8::MAX {
        super::bytes::clamp(data, min, max);
    }
}

/// What a rule adds to finished values.
#[cfg(ocelli_helium)]
pub fn zero_point<R: Rule>(rule: &R) -> usize {
    rule.tflite().map_or(0, |rule| rule.zero_point.cast_unsigned() as usize)
}
