//! Attention two query tokens at a time: what does not depend on the instruction set.

use core::ops::Range;

use crate::Map;
use crate::attention::Attention;
use crate::sequence::Patch;

/// Sizes of one head.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Tokens of a sequence of keys.
    pub key_tokens: usize,
    /// Channels of a head's queries and keys.
    pub dimension: usize,
    /// Channels of a head's values.
    pub value_dimension: usize,
}

/// An attention without a bias or a mask, and the rows to make.
pub struct Heads<'a, 'm> {
    pub attention: &'a Attention<'a>,
    pub maps: [&'a Map<'m>; 3],
    /// Of the query, and of key and value.
    pub patches: [Patch; 2],
    pub shape: Shape,
    /// The first row and one past the last.
    rows: [usize; 2],
}

/// A head of a sequence.
#[derive(Clone, Copy)]
pub struct Head {
    /// Number of the sequence.
    pub sequence: usize,
    /// First channel and number of channels of queries and keys.
    pub channels: [usize; 2],
    /// The same of values.
    pub value_channels: [usize; 2],
}

impl<'a, 'm> Heads<'a, 'm> {
    /// For an output of `length` values from row `y` on; `None` where the portable kernel has to do it, or to refuse it.
    pub fn new(
        attention: &'a Attention<'a>,
        maps: [&'a Map<'m>; 3],
        y: usize,
        length: usize,
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
        // Weights are signed where they are multiplied.
        let signed = attention.exponentials.iter().fold(0, |all, &weight| all | weight) <= i16::MAX as u16;
        let fits = patches[0].sequences()? == patches[1].sequences()?
            && query.channels == key.channels
            && [key.height, key.width] == [value.height, value.width]
            && shape.dimension > 0
            && shape.value_dimension > 0
            && shape.dimension.checked_mul(attention.heads)? == query.channels
            && shape.value_dimension.checked_mul(attention.heads)? == value.channels
            && length.checked_rem(row)? == 0
            && end <= query.height
            && !attention.causal
            && attention.bias.is_none()
            && signed;
        fits.then_some(Self { attention, maps, patches, shape, rows: [y, end] })
    }

    /// Calls `visit` with each head of each sequence.
    pub fn each(&self, mut visit: impl FnMut(Head) -> Option<()>) -> Option<()> {
        let Shape { dimension, value_dimension, .. } = self.shape;
        for sequence in 0..self.patches[0].sequences()? {
            for head in 0..self.attention.heads {
                visit(Head {
                    sequence,
                    channels: [head.wrapping_mul(dimension), dimension],
                    value_channels: [head.wrapping_mul(value_dimension), value_dimension],
                })?;
            }
        }
        Some(())
    }

    /// Calls `visit` with a head's channels of each two tokens in the rows to make, and with where their outputs go. A last token without
    /// another comes twice, with one output.
    #[inline(always)]
    pub fn each_pair(
        &self,
        head: &Head,
        output: &mut [i8],
        mut visit: impl FnMut([&[i8]; 2], &mut [i8], Option<&mut [i8]>) -> Option<()>,
    ) -> Option<()> {
        let ([query, _, value], [patch, _], [first, end]) = (self.maps, self.patches, self.rows);
        let [mut y, column] = self.start(head.sequence)?;
        let columns = patch.stride(1)?.get();
        let mut waiting: Option<(&[i8], Range<usize>)> = None;
        while y < end {
            let row = query.row(y)?;
            let mut place = y.wrapping_sub(first).wrapping_mul(query.width).wrapping_add(column);
            place = place.wrapping_mul(value.channels).wrapping_add(head.value_channels[0]);
            let mut x = column;
            while x < query.width {
                let start = x.wrapping_mul(query.channels).wrapping_add(head.channels[0]);
                let token = row.get(start..)?.get(..head.channels[1])?;
                let range = place..place.wrapping_add(head.value_channels[1]);
                match waiting.take() {
                    None => waiting = Some((token, range)),
                    Some((before, range_before)) => {
                        let [one, other] = output.get_disjoint_mut([range_before, range]).ok()?;
                        visit([before, token], one, Some(other))?;
                    }
                }
                x = x.wrapping_add(columns);
                place = place.wrapping_add(columns.wrapping_mul(value.channels));
            }
            y = y.checked_add(patch.rows())?;
        }
        match waiting {
            Some((token, range)) => visit([token, token], output.get_mut(range)?, None),
            None => Some(()),
        }
    }

    /// The first row of a sequence that is not above the first row to make, and its first column.
    fn start(&self, sequence: usize) -> Option<[usize; 2]> {
        let [row, column] = self.patches[0].place(sequence);
        let above = self.rows[0].saturating_sub(row);
        let row = above.checked_next_multiple_of(self.patches[0].rows())?.checked_add(row)?;
        Some([row, column])
    }
}

/// [`Attention::row`] for the rows that `output` holds.
pub fn portable(
    attention: &Attention<'_>,
    maps: [&Map<'_>; 3],
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let [query, _, value] = maps;
    let length = query.width.checked_mul(value.channels).filter(|&length| length > 0)?;
    for (row, output) in output.chunks_exact_mut(length).enumerate() {
        attention.row(maps, y.checked_add(row)?, output, scratch)?;
    }
    Some(())
}
