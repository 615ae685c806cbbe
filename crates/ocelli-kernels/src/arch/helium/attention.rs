//! Attention: what is the same for all queries of a head (keys side by side, values transposed) is made once a call, then the assembly takes
//! queries by twos.

#[cfg(ocelli_helium)]
pub use queries::rows;

use crate::attention::scratch_bytes;
use crate::scratch::SPARE;

/// Queries that are copied at once, where a head's channels are no multiple of 16.
const QUERIES: usize = 32;

/// Sizes of working memory.
#[cfg_attr(not(ocelli_helium), expect(dead_code, reason = "what lies where matters to the assembly only"))]
struct Sizes {
    /// Bytes of a copied key or query.
    key: usize,
    /// Keys, rounded up to 8 and 16.
    keys: [usize; 2],
    /// Bytes of keys, values, and copied queries.
    bytes: [usize; 3],
}

impl Sizes {
    fn new(key_tokens: usize, key_dimension: usize, value_dimension: usize) -> Option<Self> {
        let key = key_dimension.checked_add(15)? & !15;
        let keys = [key_tokens.checked_add(7)? & !7, key_tokens.checked_add(15)? & !15];
        let copied = if key_dimension.is_multiple_of(16) { 0 } else { key.checked_mul(QUERIES)? };
        let bytes = [keys[0].checked_mul(key)?, keys[1].checked_mul(value_dimension)?, copied];
        Some(Self { key, keys, bytes })
    }

    /// With a word a key, and two rows of scores.
    fn total(&self) -> Option<usize> {
        let words = self.keys[0].checked_mul(4)?.checked_add(self.keys[1].checked_mul(4)?)?;
        self.bytes.iter().try_fold(words.checked_add(SPARE)?, |sum, &bytes| sum.checked_add(bytes))
    }
}

/// Bytes of scratch: as many as the portable kernel takes, at least, which makes what the assembly does not.
pub fn scratch(key_tokens: usize, key_dimension: usize, value_dimension: usize) -> usize {
    let needed = Sizes::new(key_tokens, key_dimension, value_dimension).and_then(|sizes| sizes.total());
    needed.unwrap_or(0).max(scratch_bytes(key_tokens, key_dimension))
}

#[cfg(ocelli_helium)]
mod queries {
    #![allow(unsafe_code)]

    use core::num::NonZero;

    use super::super::{asm, bytes};
    use super::{QUERIES, Sizes};
    use crate::Map;
    use crate::arch::{Arch, Portable};
    use crate::attention::Attention;
    use crate::scratch::{align, take};
    use crate::sequence::Patch;

    /// The working memory of a call.
    struct Work<'s> {
        sizes: Sizes,
        /// What each key adds to products.
        sums: &'s mut [i32],
        scores: &'s mut [u16],
        keys: &'s mut [i8],
        values: &'s mut [i8],
        queries: &'s mut [i8],
    }

    /// What is the same for all heads.
    struct Heads<'a> {
        attention: &'a Attention<'a>,
        key: &'a Map<'a>,
        value: &'a Map<'a>,
        /// Tokens of a sequence of the keys.
        tokens: usize,
        dimension: usize,
        value_dimension: usize,
    }

    /// Tokens of a sequence that are evenly spaced: the first one's values, and the distance to the next.
    type Run<'m> = (&'m [i8], usize);

    /// Calls `visit` with the tokens of each row of a sequence, from row `first` of the map on, from the values of a token's `channel` on.
    fn runs<'m>(
        map: &Map<'m>,
        patch: [usize; 2],
        sequence: [usize; 2],
        channel: usize,
        mut visit: impl FnMut(Run<'m>, usize) -> Option<()>,
    ) -> Option<()> {
        let stride = patch[1].checked_mul(map.channels)?;
        let start = sequence[1].checked_mul(map.channels)?.checked_add(channel)?;
        if patch == [1, 1]
            && let Some(data) = map.rows(0, map.height)
        {
            return visit((data.get(channel..)?, stride), map.height.checked_mul(map.width)?);
        }
        let tokens = map.width.checked_div(patch[1])?;
        let mut y = sequence[0];
        while y < map.height {
            visit((map.row(y)?.get(start..)?, stride), tokens)?;
            y = y.checked_add(patch[0])?;
        }
        Some(())
    }

    impl Heads<'_> {
        /// Copies the keys of a head of a sequence, sums them, and transposes its values.
        fn prepare(
            &self,
            sequence: [usize; 2],
            head: usize,
            query_zero_point: i8,
            work: &mut Work<'_>,
        ) -> Option<()> {
            let Sizes { key: size, keys: [keys, _], .. } = work.sizes;
            let patch = self.attention.key_patch;
            let mut token = 0;
            runs(self.key, patch, sequence, head.checked_mul(self.dimension)?, |(from, stride), count| {
                let to = work.keys.get_mut(token * size..)?;
                bytes::pieces(from, stride, to, size, self.dimension, count)?;
                token += count;
                Some(())
            })?;
            // The last group is filled up with copies of the first key, which change no maximum.
            let (first, rest) = work.keys.split_at_mut_checked(size)?;
            for copy in rest.chunks_exact_mut(size.max(1)).skip(self.tokens - 1) {
                bytes::copy(first, copy)?;
            }
            let factor = -i32::from(query_zero_point);
            if work.keys.len() < keys * size || work.sums.len() < keys {
                return None;
            }
            let function = if size == 16 { asm::key_sums16 } else { asm::key_sums };
            // SAFETY: `keys` keys of `size` bytes, a multiple of 16, and as many words.
            unsafe {
                function(work.keys.as_ptr(), size / 16, work.sums.as_mut_ptr(), factor, keys / 8);
            }
            self.transpose(sequence, head, work)
        }

        fn transpose(&self, sequence: [usize; 2], head: usize, work: &mut Work<'_>) -> Option<()> {
            let four = work.sizes.keys[1].checked_mul(4)?;
            let mut offsets = [0u16; 8];
            for (lane, offset) in offsets.iter_mut().enumerate() {
                *offset = u16::try_from(lane / 4 * four + lane % 4 * 8).ok()?;
            }
            let mut channel = 0;
            while channel < self.value_dimension {
                let channels = (self.value_dimension - channel).min(8);
                let to = work.values.get_mut(channel / 4 * four..)?.get_mut(..channels / 4 * four)?;
                let first = head.checked_mul(self.value_dimension)?.checked_add(channel)?;
                let mut token = 0usize;
                runs(self.value, self.attention.key_patch, sequence, first, |(from, stride), count| {
                    let last = count.checked_sub(1)?;
                    let enough = last.checked_mul(stride)?.checked_add(channels)? <= from.len()
                        && token.checked_add(count)? <= self.tokens;
                    if !enough {
                        return None;
                    }
                    let to = to.as_mut_ptr().wrapping_add(token / 8 * 32 + token % 8);
                    // SAFETY: `channels` values of `count` tokens are within `from`; their places, of tokens below `self.tokens`, are within
                    // `to`, which has room for four channels of all tokens, rounded up to 16, for each four channels.
                    unsafe {
                        asm::transpose(
                            from.as_ptr(),
                            stride,
                            to,
                            token % 8,
                            count,
                            channels,
                            offsets.as_ptr(),
                        );
                    }
                    token += count;
                    Some(())
                })?;
                channel += channels;
            }
            Some(())
        }

        /// Makes the outputs of evenly spaced queries of a head.
        fn attend(
            &self,
            query: &Map<'_>,
            (values, stride): Run<'_>,
            output: &mut [i8],
            output_stride: usize,
            count: usize,
            work: &mut Work<'_>,
        ) -> Option<()> {
            if self.dimension.is_multiple_of(16) {
                return self.call(query, (values, stride), output, output_stride, count, work);
            }
            let size = work.sizes.key;
            let mut first = 0;
            while first < count {
                let some = (count - first).min(QUERIES);
                let from = values.get(first * stride..)?;
                let queries = core::mem::take(&mut work.queries);
                bytes::pieces(from, stride, queries, size, self.dimension, some)?;
                let output = output.get_mut(first * output_stride..)?;
                self.call(query, (queries, size), output, output_stride, some, work)?;
                work.queries = queries;
                first += some;
            }
            Some(())
        }

        fn call(
            &self,
            query: &Map<'_>,
            (values, stride): Run<'_>,
            output: &mut [i8],
            output_stride: usize,
            count: usize,
            work: &mut Work<'_>,
        ) -> Option<()> {
            let Self { attention, tokens, value_dimension, .. } = *self;
            let Sizes { key: size, keys: [keys, padded], .. } = work.sizes;
            let last = count.checked_sub(1)?;
            let enough = last.checked_mul(stride)?.checked_add(size)? <= values.len()
                && last.checked_mul(output_stride)?.checked_add(value_dimension)? <= output.len()
                && work.scores.len() >= 2 * padded
                && work.sums.len() >= keys
                && work.keys.len() >= keys * size
                && work.values.len() >= padded * value_dimension;
            if !enough {
                return None;
            }
            let zero_points = i32::from(query.zero_point) * i32::from(self.key.zero_point);
            let function = match (size, attention.score_shift & 31) {
                (16, 0) => asm::attend16,
                (16, _) => asm::attend16_shifted,
                _ => asm::attend,
            };
            let scores = work.scores.as_mut_ptr();
            let mut pairs = |first: usize, pairs: usize, [stride, output_stride]: [usize; 2]| {
                let mut arguments = [
                    values.as_ptr() as usize + first * stride,
                    stride,
                    output.as_mut_ptr() as usize + first * output_stride,
                    output_stride,
                    pairs,
                    work.keys.as_ptr() as usize,
                    keys / 8,
                    work.sums.as_ptr() as usize,
                    (-i32::from(self.key.zero_point)).cast_unsigned() as usize,
                    (zero_points * self.dimension as i32).cast_unsigned() as usize,
                    attention.score_shift as usize & 31,
                    attention.score_multiplier.cast_unsigned() as usize,
                    scores as usize,
                    scores.wrapping_add(padded) as usize,
                    tokens,
                    attention.exponentials.as_ptr() as usize,
                    attention.output_multiplier.cast_unsigned() as usize,
                    attention.output_bias.cast_unsigned() as usize,
                    (attention.output_shift as usize & 31).wrapping_neg(),
                    work.values.as_ptr() as usize,
                    value_dimension / 4,
                    padded / 16,
                    size / 16,
                ];
                // SAFETY: above it is checked that `count` queries of `size` bytes and their outputs are within their slices, and that the
                // working memory has room for the keys; indices of exponentials are limited to 1023.
                unsafe { function(arguments.as_mut_ptr()) }
            };
            match count {
                1 => pairs(0, 1, [0, 0]),
                _ => {
                    pairs(0, count / 2, [stride, output_stride]);
                    if !count.is_multiple_of(2) {
                        pairs(count - 2, 1, [stride, output_stride]);
                    }
                }
            }
            Some(())
        }
    }

    /// [`Arch::attention`].
    pub fn rows(
        attention: &Attention<'_>,
        maps: [&Map<'_>; 3],
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let [query, key, value] = maps;
        let key_patch = Patch::new(attention.key_patch)?;
        let tokens = key_patch.tokens(key)?;
        Patch::new(attention.patch)?.tokens(query)?;
        let sequences = attention.patch[0].checked_mul(attention.patch[1])?;
        let dimension = query.channels.checked_div(attention.heads)?;
        let value_dimension = value.channels.checked_div(attention.heads)?;
        let same = Some(sequences) == key_patch.sequences()
            && query.channels == key.channels
            && [key.height, key.width] == [value.height, value.width];
        if !same || dimension == 0 || value_dimension == 0 {
            return None;
        }
        // Weights are signed 16-bit numbers, a sum of them is not 0 and has 8 leading zeros.
        let largest = usize::from(*attention.exponentials.first()?);
        let bounded = (1..=32767).contains(&largest) && largest.checked_mul(tokens)? < 1 << 24;
        let whole_heads = [query.channels, value.channels]
            == [dimension * attention.heads, value_dimension * attention.heads];
        if !bounded
            || !whole_heads
            || !value_dimension.is_multiple_of(4)
            || tokens > 1 << 13
            || attention.causal
            || attention.bias.is_some()
        {
            return Portable::attention(attention, maps, y, output, scratch);
        }
        let sizes = Sizes::new(tokens, dimension, value_dimension)?;
        let (sums, rest) = take::<i32>(align(scratch)?, sizes.keys[0])?;
        let (scores, rest) = take::<u16>(rest, 2 * sizes.keys[1])?;
        let [key_bytes, value_bytes, query_bytes] = sizes.bytes;
        let (keys, rest) = take::<i8>(rest, key_bytes)?;
        let (values, rest) = take::<i8>(rest, value_bytes)?;
        let (queries, _) = take::<i8>(rest, query_bytes)?;
        if !dimension.is_multiple_of(16) {
            bytes::fill(keys, 0);
            bytes::fill(queries, 0);
        }
        if !tokens.is_multiple_of(16) {
            bytes::fill(values, 0);
        }
        let mut work = Work { sizes, sums, scores, keys, values, queries };
        let heads = Heads { attention, key, value, tokens, dimension, value_dimension };

        let row_length = NonZero::new(query.width.checked_mul(value.channels)?)?;
        let rows = output.len() / row_length;
        let ends = y.checked_add(rows).filter(|&end| end <= query.height)?;
        let [height, width] = attention.patch;
        let stride = width.checked_mul(query.channels)?;
        let output_stride = width.checked_mul(value.channels)?;
        for top in 0..height {
            // The first of the rows that have sequences of this row of patches.
            let first = y.checked_add(
                top.checked_add(height)?.checked_sub(y.checked_rem(height)?)?.checked_rem(height)?,
            )?;
            if first >= ends {
                continue;
            }
            for left in 0..width {
                let place = key_patch.place(top.checked_mul(width)?.checked_add(left)?);
                for head in 0..attention.heads {
                    heads.prepare(place, head, query.zero_point, &mut work)?;
                    let (from, to) = (head * dimension, head * value_dimension);
                    if height == 1
                        && width == 1
                        && let Some(data) = query.rows(first, rows)
                    {
                        let run = (data.get(from..)?, stride);
                        let count = rows.checked_mul(query.width)?;
                        heads.attend(query, run, output.get_mut(to..)?, output_stride, count, &mut work)?;
                        continue;
                    }
                    let count = query.width.checked_div(width)?;
                    let mut row = first;
                    while row < ends {
                        let run = (query.row(row)?.get(left * query.channels + from..)?, stride);
                        let start = (row - y) * row_length.get() + left * value.channels + to;
                        heads.attend(
                            query,
                            run,
                            output.get_mut(start..)?,
                            output_stride,
                            count,
                            &mut work,
                        )?;
                        row = row.checked_add(height)?;
                    }
                }
            }
        }
        Some(())
    }
}
