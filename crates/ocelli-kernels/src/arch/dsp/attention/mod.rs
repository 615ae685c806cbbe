//! Attention: a head's keys and values are packed once for all queries of a call, which then go through two at a time.

mod pack;
mod rows;

use super::words::{store, store_partial};
use crate::Map;
use crate::attention::{Attention, scratch_bytes};
use crate::scratch::{SPARE, align, take};
use crate::sequence::{Patch, reciprocal};
use rows::{Means, Scale, Scores, Weights};

/// Memory beyond which the packed form is not worth it.
const LARGEST_SCRATCH: usize = 32 * 1024;

/// Sizes of one head in packed form.
#[derive(Clone, Copy)]
struct Shape {
    key_tokens: usize,
    dimension: usize,
    value_dimension: usize,
}

impl Shape {
    const fn steps(&self) -> usize {
        pack::steps(self.dimension)
    }

    const fn key_groups(&self) -> usize {
        self.key_tokens.div_ceil(4)
    }

    const fn pairs(&self) -> usize {
        self.key_tokens.div_ceil(2)
    }

    const fn value_groups(&self) -> usize {
        self.value_dimension.div_ceil(4)
    }

    /// Words of queries, keys, values, scores and outputs; `None` where the packed form does not do.
    fn words(&self) -> Option<[usize; 5]> {
        if self.dimension == 0 || self.value_dimension == 0 || self.key_tokens == 0 {
            return None;
        }
        let queries = self.steps().checked_mul(2)?;
        Some([
            queries,
            queries.checked_mul(self.key_groups())?.checked_mul(2)?,
            self.value_groups().checked_mul(self.pairs())?.checked_mul(4)?,
            self.key_groups().checked_mul(4)?,
            self.value_groups().checked_mul(2)?,
        ])
    }

    /// Bytes of all of them.
    fn bytes(&self) -> Option<usize> {
        let words = self.words()?.into_iter().try_fold(0usize, usize::checked_add)?;
        words.checked_mul(4)?.checked_add(SPARE).filter(|&bytes| bytes <= LARGEST_SCRATCH)
    }
}

/// [`crate::arch::Arch::attention_scratch`].
pub fn scratch(key_tokens: usize, dimension: usize, value_dimension: usize) -> usize {
    let shape = Shape { key_tokens, dimension, value_dimension };
    shape.bytes().unwrap_or(0).max(scratch_bytes(key_tokens, dimension))
}

/// [`Attention::row`] for the rows that `output` holds.
pub fn rows(
    attention: &Attention<'_>,
    maps: [&Map<'_>; 3],
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    if let Some(heads) = Heads::new(attention, maps, y, output.len(), scratch.len()) {
        return heads.run(output, scratch);
    }
    let [query, _, value] = maps;
    let length = query.width.checked_mul(value.channels).filter(|&length| length > 0)?;
    for (row, output) in output.chunks_exact_mut(length).enumerate() {
        attention.row(maps, y.checked_add(row)?, output, scratch)?;
    }
    Some(())
}

/// An attention that the packed form computes exactly, and the rows to make.
struct Heads<'a, 'm> {
    attention: &'a Attention<'a>,
    maps: [&'a Map<'m>; 3],
    patches: [Patch; 2],
    shape: Shape,
    /// The first row and one past the last.
    rows: [usize; 2],
}

impl<'a, 'm> Heads<'a, 'm> {
    /// `None` where the portable kernel has to do it, or to refuse it.
    fn new(
        attention: &'a Attention<'a>,
        maps: [&'a Map<'m>; 3],
        y: usize,
        length: usize,
        scratch: usize,
    ) -> Option<Self> {
        let [query, key, value] = maps;
        let patches = [Patch::new(attention.patch)?, Patch::new(attention.key_patch)?];
        let shape = Shape {
            key_tokens: patches[1].tokens(key)?,
            dimension: query.channels.checked_div(attention.heads)?,
            value_dimension: value.channels.checked_div(attention.heads)?,
        };
        patches[0].tokens(query)?;
        let row = query.width.checked_mul(value.channels)?;
        let end = y.checked_add(length.checked_div(row)?)?;
        // Weights are signed where they are multiplied here.
        let signed = attention.exponentials.iter().fold(0, |all, &weight| all | weight) <= i16::MAX as u16;
        let fits = patches[0].sequences()? == patches[1].sequences()?
            && query.channels == key.channels
            && [key.height, key.width] == [value.height, value.width]
            && shape.dimension.checked_mul(attention.heads)? == query.channels
            && shape.value_dimension.checked_mul(attention.heads)? == value.channels
            && length.checked_rem(row)? == 0
            && end <= query.height
            && shape.bytes()? <= scratch
            && !attention.causal
            && attention.bias.is_none()
            && signed;
        fits.then_some(Self { attention, maps, patches, shape, rows: [y, end] })
    }

    fn run(&self, output: &mut [i8], scratch: &mut [i8]) -> Option<()> {
        let [queries, keys, values, scores, outputs] = self.shape.words()?;
        let (queries, scratch) = take::<u32>(align(scratch)?, queries)?;
        let (keys, scratch) = take::<u32>(scratch, keys)?;
        let (values, scratch) = take::<u32>(scratch, values)?;
        let (scores, scratch) = take::<u32>(scratch, scores)?;
        let (outputs, _) = take::<u32>(scratch, outputs)?;
        let [_, key, value] = self.maps;
        for sequence in 0..self.patches[0].sequences()? {
            for head in 0..self.attention.heads {
                let channels = |dimension: usize| [head.wrapping_mul(dimension), dimension];
                let Shape { dimension, value_dimension, .. } = self.shape;
                pack::keys(key, &self.patches[1], sequence, channels(dimension), keys)?;
                let value_channels = channels(value_dimension);
                pack::values(value, &self.patches[1], sequence, value_channels, self.shape.pairs(), values)?;
                let head = Head { heads: self, keys, values };
                head.run(
                    sequence,
                    [channels(dimension), value_channels],
                    output,
                    [queries, scores, outputs],
                )?;
            }
        }
        Some(())
    }

    /// Parameters of the inner loops, without what each two queries have of their own.
    fn parameters(&self) -> (Scores, Means) {
        let Heads { attention, shape, .. } = self;
        let multiplier = attention.score_multiplier;
        let largest =
            (shape.dimension as u64).wrapping_mul(255 * 255).wrapping_mul(multiplier.unsigned_abs().into());
        let scores = Scores {
            multiplier,
            shift: attention.score_shift & 31,
            steps: shape.steps(),
            groups: shape.key_groups(),
            plain: attention.score_shift & 31 == 0 && largest >> 32 < i16::MAX as u64,
        };
        let means = Means {
            scales: [Scale { shift: 0, multiplier: 0 }; 2],
            bias: attention.output_bias,
            shift: attention.output_shift & 31,
            pairs: shape.pairs(),
            groups: shape.value_groups(),
        };
        (scores, means)
    }

    /// The first row of a sequence that is not above the first row to make, and its first column.
    fn start(&self, sequence: usize) -> Option<[usize; 2]> {
        let [row, column] = self.patches[0].place(sequence);
        let above = self.rows[0].saturating_sub(row);
        let row = above.checked_next_multiple_of(self.patches[0].rows())?.checked_add(row)?;
        Some([row, column])
    }
}

/// A head of a sequence, packed.
struct Head<'a, 'm, 'p> {
    heads: &'p Heads<'a, 'm>,
    keys: &'p [u32],
    values: &'p [u32],
}

impl Head<'_, '_, '_> {
    /// Makes the head's channels of all tokens of the sequence in the rows to make.
    fn run(
        &self,
        sequence: usize,
        [channels, value_channels]: [[usize; 2]; 2],
        output: &mut [i8],
        [queries, scores, outputs]: [&mut [u32]; 3],
    ) -> Option<()> {
        let Heads { maps: [query, _, value], patches: [patch, _], rows: [first, end], .. } = *self.heads;
        let [mut y, column] = self.heads.start(sequence)?;
        let columns = patch.stride(1)?.get();
        let mut parameters = self.heads.parameters();
        let mut two = |tokens: [&[i8]; 2], outputs: &mut [u32]| {
            pack::queries(tokens, query.zero_point, queries)?;
            self.two(&mut parameters, queries, scores, outputs)
        };
        let mut waiting: Option<(&[i8], usize)> = None;
        while y < end {
            let row = query.row(y)?;
            let mut place = y.wrapping_sub(first).wrapping_mul(query.width).wrapping_add(column);
            place = place.wrapping_mul(value.channels).wrapping_add(value_channels[0]);
            let mut x = column;
            while x < query.width {
                let start = x.wrapping_mul(query.channels).wrapping_add(channels[0]);
                let token = row.get(start..)?.get(..channels[1])?;
                match waiting.take() {
                    None => waiting = Some((token, place)),
                    Some((before, place_before)) => {
                        two([before, token], outputs)?;
                        copy(outputs, 0, output.get_mut(place_before..)?.get_mut(..value_channels[1])?)?;
                        copy(outputs, 1, output.get_mut(place..)?.get_mut(..value_channels[1])?)?;
                    }
                }
                x = x.wrapping_add(columns);
                place = place.wrapping_add(columns.wrapping_mul(value.channels));
            }
            y = y.checked_add(patch.rows())?;
        }
        if let Some((token, place)) = waiting {
            two([token, token], outputs)?;
            copy(outputs, 0, output.get_mut(place..)?.get_mut(..value_channels[1])?)?;
        }
        Some(())
    }

    /// The means of two queries, whose channels have these sums.
    fn two(
        &self,
        (score, means): &mut (Scores, Means),
        queries: &[u32],
        scores: &mut [u32],
        outputs: &mut [u32],
    ) -> Option<()> {
        let Heads { attention, shape, .. } = *self.heads;
        let largest = score.compute(queries, self.keys, scores)?;
        let weights = scores.as_chunks_mut::<2>().0.get_mut(..shape.pairs())?;
        let mut totals = Weights::compute(weights, largest, attention.exponentials)?;
        if shape.key_tokens & 1 != 0 {
            // The last key's copy.
            for (weights, total) in weights.last_mut()?.iter_mut().zip(&mut totals) {
                *total = total.wrapping_sub(*weights >> 16);
                *weights &= 0xffff;
            }
        }
        means.scales = [scale(attention, totals[0])?, scale(attention, totals[1])?];
        means.compute(weights.as_flattened(), self.values, outputs)
    }
}

/// Of a query whose weights have this sum.
fn scale(attention: &Attention<'_>, total: u32) -> Option<Scale> {
    let (inverse, zeros) = reciprocal(total)?;
    let multiplier = (i64::from(inverse << 14) * i64::from(attention.output_multiplier) + (1 << 31)) >> 32;
    Some(Scale { shift: zeros.wrapping_sub(8) & 31, multiplier: multiplier as i32 })
}

/// Copies the channels of query 0 or 1.
#[inline(always)]
fn copy(outputs: &[u32], query: usize, to: &mut [i8]) -> Option<()> {
    let outputs = outputs.as_chunks::<2>().0;
    let (words, rest) = to.as_chunks_mut::<4>();
    for (word, output) in words.iter_mut().zip(outputs) {
        *word = store(*output.get(query)?);
    }
    if !rest.is_empty() {
        store_partial(*outputs.last()?.get(query)?, rest);
    }
    Some(())
}
