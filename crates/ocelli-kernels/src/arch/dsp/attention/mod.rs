//! Attention: a head's keys and values are packed once for all queries of a call, which then go through two at a time.

mod pack;
mod rows;

use core::ops::Range;

use crate::Map;
use crate::attention::{Attention, scratch_bytes};
use crate::scratch::{SPARE, align, take};
use crate::sequence::Patch;
use rows::{Memory, Rows};

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

    /// Words of queries, keys, values and scores; `None` where the packed form does not do.
    fn words(&self) -> Option<[usize; 4]> {
        if self.dimension == 0 || self.value_dimension == 0 || self.key_tokens == 0 {
            return None;
        }
        Some([
            self.steps().checked_add(1)?.checked_mul(2)?,
            self.steps().checked_mul(self.key_groups())?.checked_mul(4)?,
            self.value_groups().checked_mul(self.pairs())?.checked_mul(4)?,
            self.key_groups().checked_mul(4)?,
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
        let [queries, keys, values, scores] = self.shape.words()?;
        let (queries, scratch) = take::<u32>(align(scratch)?, queries)?;
        let (keys, scratch) = take::<u32>(scratch, keys)?;
        let (values, scratch) = take::<u32>(scratch, values)?;
        let (scores, _) = take::<u32>(scratch, scores)?;
        let [_, key, value] = self.maps;
        let Shape { dimension, value_dimension, .. } = self.shape;
        for sequence in 0..self.patches[0].sequences()? {
            for head in 0..self.attention.heads {
                let channels = [head.wrapping_mul(dimension), dimension];
                let value_channels = [head.wrapping_mul(value_dimension), value_dimension];
                pack::keys(key, &self.patches[1], sequence, channels, keys)?;
                pack::values(value, &self.patches[1], sequence, value_channels, self.shape.pairs(), values)?;
                let memory =
                    Memory { queries: &mut *queries, keys: &*keys, values: &*values, scores: &mut *scores };
                let rows = Rows::new(self.attention, self.shape, memory)?;
                self.head(sequence, [channels, value_channels], rows, output)?;
            }
        }
        Some(())
    }

    /// Makes a head's channels of all tokens of a sequence in the rows to make.
    fn head(
        &self,
        sequence: usize,
        [channels, value_channels]: [[usize; 2]; 2],
        mut rows: Rows<'_>,
        output: &mut [i8],
    ) -> Option<()> {
        let Heads { maps: [query, _, value], patches: [patch, _], rows: [first, end], .. } = *self;
        let [mut y, column] = self.start(sequence)?;
        let columns = patch.stride(1)?.get();
        let mut waiting: Option<(&[i8], Range<usize>)> = None;
        while y < end {
            let row = query.row(y)?;
            let mut place = y.wrapping_sub(first).wrapping_mul(query.width).wrapping_add(column);
            place = place.wrapping_mul(value.channels).wrapping_add(value_channels[0]);
            let mut x = column;
            while x < query.width {
                let start = x.wrapping_mul(query.channels).wrapping_add(channels[0]);
                let token = row.get(start..)?.get(..channels[1])?;
                let range = place..place.wrapping_add(value_channels[1]);
                match waiting.take() {
                    None => waiting = Some((token, range)),
                    Some((before, range_before)) => {
                        pack::queries([before, token], query.zero_point, rows.queries())?;
                        let [first, second] = output.get_disjoint_mut([range_before, range]).ok()?;
                        rows.compute(first, Some(second))?;
                    }
                }
                x = x.wrapping_add(columns);
                place = place.wrapping_add(columns.wrapping_mul(value.channels));
            }
            y = y.checked_add(patch.rows())?;
        }
        if let Some((token, range)) = waiting {
            pack::queries([token, token], query.zero_point, rows.queries())?;
            rows.compute(output.get_mut(range)?, None)?;
        }
        Some(())
    }

    /// The first row of a sequence that is not above the first row to make, and its first column.
    fn start(&self, sequence: usize) -> Option<[usize; 2]> {
        let [row, column] = self.patches[0].place(sequence);
        let above = self.rows[0].saturating_sub(row);
        let row = above.checked_next_multiple_of(self.patches[0].rows())?.checked_add(row)?;
        Some([row, column])
    }
}
