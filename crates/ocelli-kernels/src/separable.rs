//! MobileViTv2's separable attention: `value * sum(softmax(scores) * key)`, softmax and sum over the tokens of each sequence.

use crate::requantize::Requantize;
use crate::scratch::{SPARE, align, take};
use crate::sequence::{BLOCK, Patch, reciprocal, weighted_sums};
use crate::{Map, Q32, Q32Channel};

/// Fraction bits of the context, the weighted mean of the keys.
pub const CONTEXT_BITS: u32 = 14;

/// Bytes that [`SeparableAttention::apply`] needs to work in, for sequences of `tokens`.
pub const fn scratch_bytes(tokens: usize, channels: usize) -> usize {
    tokens.saturating_mul(2).saturating_add(channels.saturating_mul(4)).saturating_add(SPARE)
}

/// Scores are a map of one channel; key, value and output have the same shape.
#[derive(Clone, Copy, Debug)]
pub struct SeparableAttention<'a> {
    /// Rows and columns of a patch: pixels at the same place of their patches form a sequence.
    pub patch: [usize; 2],
    /// `round(largest * exp(-d * score scale))` by the difference to the largest score.
    pub exponentials: &'a [u16; 256],
    /// `multiplier = round(key scale * value scale / output scale / 2^CONTEXT_BITS * 2^32)`.
    pub channel: &'a Q32Channel,
}

impl SeparableAttention<'_> {
    /// Makes the whole output. `scratch` takes [`scratch_bytes`] bytes.
    pub fn apply(
        &self,
        [scores, key, value]: [&Map<'_>; 3],
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let patch = Patch::new(self.patch)?;
        let shape = |map: &Map<'_>| [map.height, map.width, map.channels];
        if shape(key) != shape(value) || shape(scores) != [key.height, key.width, 1] {
            return None;
        }
        let (context, scratch) = take::<i32>(align(scratch)?, key.channels)?;
        let (weights, _) = take::<u16>(scratch, patch.tokens(key)?)?;
        for sequence in 0..patch.sequences()? {
            let total = self.weigh(&patch, scores, sequence, weights)?;
            let mut first = 0usize;
            for context in context.chunks_mut(BLOCK) {
                let sums = weighted_sums(&patch, key, sequence, [first, context.len()], weights)?;
                for (context, sum) in context.iter_mut().zip(sums) {
                    *context = mean(sum, total, key.zero_point)?;
                }
                first = first.wrapping_add(BLOCK);
            }
            self.scale(&patch, value, sequence, context, output)?;
        }
        Some(())
    }

    /// The weights of a sequence's tokens, and their sum.
    fn weigh(&self, patch: &Patch, scores: &Map<'_>, sequence: usize, weights: &mut [u16]) -> Option<u32> {
        let mut largest = i8::MIN;
        patch.visit(scores, sequence, [0, 1], |score| {
            largest = largest.max(*score.first()?);
            Some(())
        })?;
        let mut total = 0u32;
        let mut rest = weights.iter_mut();
        patch.visit(scores, sequence, [0, 1], |score| {
            let difference = largest.wrapping_sub(*score.first()?).cast_unsigned();
            let weight = self.exponentials[usize::from(difference)];
            *rest.next()? = weight;
            total = total.wrapping_add(u32::from(weight));
            Some(())
        })?;
        rest.into_slice().is_empty().then_some(total)
    }

    /// Multiplies the values of a sequence by its context.
    fn scale(
        &self,
        patch: &Patch,
        value: &Map<'_>,
        sequence: usize,
        context: &[i32],
        output: &mut [i8],
    ) -> Option<()> {
        let stride = patch.stride(value.channels)?.get();
        let row_length = value.width.checked_mul(value.channels)?;
        let [mut y, x] = patch.place(sequence);
        let start = x.checked_mul(value.channels)?;
        let zero_point = i32::from(value.zero_point);
        while y < value.height {
            let values = value.row(y)?.get(start..)?.chunks(stride);
            let row = output.get_mut(y.checked_mul(row_length)?..)?.get_mut(start..row_length)?;
            for (values, output) in values.zip(row.chunks_mut(stride)) {
                for ((output, &value), &context) in output.iter_mut().zip(values).zip(context) {
                    let product = context.wrapping_mul(i32::from(value) - zero_point);
                    *output = Q32.finish(self.channel, product.wrapping_add(self.channel.bias));
                }
            }
            y = y.checked_add(patch.rows())?;
        }
        Some(())
    }
}

/// `round((sum / total - zero_point) * 2^CONTEXT_BITS)`, up to the reciprocal's error.
fn mean(sum: i32, total: u32, zero_point: i8) -> Option<i32> {
    let (inverse, zeros) = reciprocal(total)?;
    let centered = i64::from(sum).wrapping_sub(i64::from(total).wrapping_mul(i64::from(zero_point)));
    let shift = 47 - CONTEXT_BITS - zeros.min(31);
    let scaled = centered.wrapping_mul(i64::from(inverse)).wrapping_add((1i64 << shift) >> 1);
    Some((scaled >> shift) as i32)
}
