//! Scaled dot-product attention: `softmax(scale * query key^T + bias) value`, row by row of the query's map.
//!
//! Weights are never normalised to int8: a query row's scores become 15-bit weights, their weighted sum of values is divided once.

use core::num::NonZero;

use crate::Map;
use crate::requantize::saturate;
use crate::scratch::{SPARE, align, take};
use crate::sequence::{BLOCK, Patch, reciprocal, weighted_sums};

/// Scores are in steps of `1 / SCORE_STEPS`.
pub const SCORE_STEPS: i32 = 96;

/// Entries of the table of exponentials.
pub const EXPONENTIALS: usize = 1024;

/// The score of a key that a bias does not hide, at least: further below any maximum than the table reaches, hidden keys are lower still.
const LOWEST: i32 = i16::MIN as i32 + EXPONENTIALS as i32;

/// Bytes that [`Attention::row`] needs to work in.
pub const fn scratch_bytes(key_tokens: usize, key_head_dimension: usize) -> usize {
    key_tokens.saturating_add(key_head_dimension).saturating_mul(2).saturating_add(SPARE)
}

/// Multi-head attention. Maps have `heads * head dimension` channels, a head's side by side; query and key have the same head dimension.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Number of heads.
    pub heads: usize,
    /// Rows and columns of a patch of the query's map: pixels at the same place of their patches form a sequence.
    pub patch: [usize; 2],
    /// The same of the key's and value's maps, with as many sequences.
    pub key_patch: [usize; 2],
    /// Whether token `i` of the query sees keys `0..=i` only.
    pub causal: bool,
    /// `scale * query scale * key scale * SCORE_STEPS / 2^score_shift * 2^32`.
    pub score_multiplier: i32,
    /// Left shift of products.
    pub score_shift: u32,
    /// `round(largest * exp(-i / SCORE_STEPS))`; the last one, which stands for all further differences, is 0.
    pub exponentials: &'a [u16; EXPONENTIALS],
    /// `value scale / output scale * 2^(output_shift + 11)`.
    pub output_multiplier: i32,
    /// `(output zero_point - value zero_point * value scale / output scale) * 2^output_shift + 2^(output_shift - 1)`.
    pub output_bias: i32,
    /// Fraction bits of the output before it is rounded.
    pub output_shift: u32,
    /// Zero point of the output: what a row gives whose keys are all hidden.
    pub zero_point: i8,
    /// What is added to the scores.
    pub bias: Option<Bias<'a>>,
}

/// Values added to scores, in steps of `1 / SCORE_STEPS`; [`i16::MIN`] hides the key.
#[derive(Clone, Copy, Debug)]
pub struct Bias<'a> {
    /// `[heads][query tokens][key tokens]`, where the first two may be shared.
    pub values: &'a [i16],
    /// Values from a head to the next, 0 where all share.
    pub head_stride: usize,
    /// Values from a query token to the next, 0 where all share.
    pub query_stride: usize,
}

impl Bias<'_> {
    fn add(&self, scores: &mut [u16], head: usize, token: usize) -> Option<()> {
        let start = head.checked_mul(self.head_stride)?.checked_add(token.checked_mul(self.query_stride)?)?;
        let values = self.values.get(start..)?.get(..scores.len())?;
        for (score, &bias) in scores.iter_mut().zip(values) {
            let sum = i32::from(score.cast_signed()) + i32::from(bias);
            let sum = sum.clamp(LOWEST, i32::from(i16::MAX)) as i16;
            *score = if bias == i16::MIN { i16::MIN } else { sum }.cast_unsigned();
        }
        Some(())
    }
}

/// What is the same for all query rows of a map.
struct Keys<'m, 'k> {
    key: &'m Map<'k>,
    value: &'m Map<'k>,
    patch: Patch,
    dimension: NonZero<usize>,
    value_dimension: NonZero<usize>,
}

/// One query row: a token of a head.
struct Row {
    sequence: usize,
    token: usize,
    head: usize,
}

impl Attention<'_> {
    /// Makes output row `y`, `query width * value channels` values. `scratch` takes [`scratch_bytes`] bytes.
    pub fn row(
        &self,
        [query, key, value]: [&Map<'_>; 3],
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let (patch, key_patch) = (Patch::new(self.patch)?, Patch::new(self.key_patch)?);
        let key_tokens = key_patch.tokens(key)?;
        patch.tokens(query)?;
        let same = patch.sequences()? == key_patch.sequences()?
            && query.channels == key.channels
            && [key.height, key.width] == [value.height, value.width];
        let dimension = NonZero::new(query.channels.checked_div(self.heads)?)?;
        let value_dimension = NonZero::new(value.channels.checked_div(self.heads)?)?;
        if !same || query.channels == 0 || value.channels == 0 {
            return None;
        }
        let (centered, scratch) = take::<i16>(align(scratch)?, dimension.get())?;
        let (weights, _) = take::<u16>(scratch, key_tokens)?;
        let keys = Keys { key, value, patch: key_patch, dimension, value_dimension };

        // Not zipped: zipping chunks divides by their lengths, which can panic as far as the linker sees.
        let mut pixels = query.row(y)?.chunks_exact(query.channels);
        for (x, output) in output.chunks_exact_mut(value.channels).enumerate() {
            let mut heads = pixels.next()?.chunks_exact(dimension.get());
            let [sequence, token] = patch.sequence_and_token(query.width, [y, x]);
            let seen = if self.causal { token.wrapping_add(1).min(key_tokens) } else { key_tokens };
            let weights = weights.get_mut(..seen)?;
            for (head, output) in output.chunks_exact_mut(value_dimension.get()).enumerate() {
                let pixel = heads.next()?;
                for (centered, &value) in centered.iter_mut().zip(pixel) {
                    *centered = i16::from(value) - i16::from(query.zero_point);
                }
                self.attend(&keys, &Row { sequence, token, head }, centered, weights, output)?;
            }
        }
        Some(())
    }

    /// One head of one token, `centered`: scores and weights take turns in `weights`.
    fn attend(
        &self,
        keys: &Keys<'_, '_>,
        row: &Row,
        centered: &[i16],
        weights: &mut [u16],
        output: &mut [i8],
    ) -> Option<()> {
        let length = keys.dimension.get();
        let total = centered.iter().fold(0i32, |sum, &value| sum.wrapping_add(i32::from(value)));
        let start = total.wrapping_mul(i32::from(keys.key.zero_point)).wrapping_neg();
        let mut scores = weights.iter_mut();
        keys.patch.visit(keys.key, row.sequence, [row.head.wrapping_mul(length), length], |token| {
            let product = dot(centered, token).wrapping_add(start).wrapping_shl(self.score_shift);
            let score = (i64::from(product) * i64::from(self.score_multiplier) + (1 << 31)) >> 32;
            let score = (score as i32).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            *scores.next()? = score.cast_unsigned();
            Some(())
        })?;
        if !scores.into_slice().is_empty() {
            return None;
        }
        if let Some(bias) = &self.bias {
            bias.add(weights, row.head, row.token)?;
        }
        let largest = weights.iter().fold(i16::MIN, |largest, &score| largest.max(score.cast_signed()));
        if self.bias.is_some() && largest == i16::MIN {
            output.fill(self.zero_point);
            return Some(());
        }
        let total = self.exponentiate(weights, largest);
        self.average(keys, row, weights, total, output)
    }

    /// Turns scores into weights and gives their sum.
    fn exponentiate(&self, weights: &mut [u16], largest: i16) -> u32 {
        let mut total = 0u32;
        for weight in weights {
            let difference = i32::from(largest) - i32::from(weight.cast_signed());
            let index = difference.cast_unsigned() as usize;
            *weight = self.exponentials[index.min(EXPONENTIALS - 1)];
            total = total.wrapping_add(u32::from(*weight));
        }
        total
    }

    /// The mean of the values by their weights, in the output's scale.
    fn average(
        &self,
        keys: &Keys<'_, '_>,
        row: &Row,
        weights: &[u16],
        total: u32,
        output: &mut [i8],
    ) -> Option<()> {
        let (inverse, zeros) = reciprocal(total)?;
        let multiplier = (i64::from(inverse << 14) * i64::from(self.output_multiplier) + (1 << 31)) >> 32;
        let shift = zeros.wrapping_sub(8);
        let mut first = row.head.wrapping_mul(keys.value_dimension.get());
        for output in output.chunks_mut(BLOCK) {
            let sums = weighted_sums(&keys.patch, keys.value, row.sequence, [first, output.len()], weights)?;
            for (output, sum) in output.iter_mut().zip(sums) {
                let scaled =
                    (i64::from(sum.wrapping_shl(shift)) * i64::from(multiplier as i32) + (1 << 31)) >> 32;
                *output =
                    saturate((scaled as i32).wrapping_add(self.output_bias).wrapping_shr(self.output_shift));
            }
            first = first.wrapping_add(BLOCK);
        }
        Some(())
    }
}

#[inline]
fn dot(a: &[i16], b: &[i8]) -> i32 {
    a.iter().zip(b).fold(0i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b))))
}
