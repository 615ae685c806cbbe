//! Sequences of tokens in a map that is cut into patches: MobileViT's unfold and fold as index arithmetic.
//!
//! A map of patches of `rows x columns` pixels holds `rows * columns` sequences: pixels at the same place of their patches form one, in
//! raster order. Sequences are numbered in raster order of their places.

use core::num::NonZero;

use crate::Map;

/// Rows and columns of a patch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patch {
    rows: NonZero<usize>,
    columns: NonZero<usize>,
}

impl Patch {
    /// `None` where there is none.
    #[inline]
    pub fn new([rows, columns]: [usize; 2]) -> Option<Self> {
        Some(Self { rows: NonZero::new(rows)?, columns: NonZero::new(columns)? })
    }

    /// Number of sequences.
    #[inline]
    pub fn sequences(&self) -> Option<usize> {
        self.rows.get().checked_mul(self.columns.get())
    }

    /// Length of each sequence of a map; `None` where patches do not divide it, or it has no pixel.
    #[inline]
    pub fn tokens(&self, map: &Map<'_>) -> Option<usize> {
        if map.height % self.rows != 0 || map.width % self.columns != 0 {
            return None;
        }
        (map.height / self.rows).checked_mul(map.width / self.columns).filter(|&tokens| tokens != 0)
    }

    /// The sequence that pixel `(y, x)` is in, and its position there.
    #[inline]
    pub fn sequence_and_token(&self, width: usize, [y, x]: [usize; 2]) -> [usize; 2] {
        let sequence = (y % self.rows).wrapping_mul(self.columns.get()).wrapping_add(x % self.columns);
        let token = (y / self.rows).wrapping_mul(width / self.columns).wrapping_add(x / self.columns);
        [sequence, token]
    }

    /// Where the pixels of row `y` of an unfolded map lie in the map of `height x width` pixels: the row of the first one's line, and its
    /// column. A row takes as many lines as a patch has columns, each as many rows below the other as a patch has rows. `None` where
    /// sequences do not begin with a row.
    #[inline]
    pub fn unfolded_row(&self, [height, width]: [usize; 2], y: usize) -> Option<[usize; 2]> {
        let sequences = self.sequences()?;
        if width % self.columns != 0 || height.checked_rem(sequences)? != 0 || y >= height {
            return None;
        }
        let rows = height.checked_div(sequences)?;
        let [top, left] = self.place(y.checked_div(rows)?);
        let line = y.checked_rem(rows)?.checked_mul(self.columns.get())?;
        Some([line.checked_mul(self.rows.get())?.checked_add(top)?, left])
    }

    /// The first pixel of a sequence: row and column.
    #[inline]
    pub fn place(&self, sequence: usize) -> [usize; 2] {
        [sequence / self.columns, sequence % self.columns]
    }

    /// Rows from a token to the one below.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows.get()
    }

    /// Values from a token to the one beside it; `None` for a map without channels.
    #[inline]
    pub fn stride(&self, channels: usize) -> Option<NonZero<usize>> {
        self.columns.checked_mul(NonZero::new(channels)?)
    }

    /// Calls `visit` with channels `first..first + length` of each token of a sequence, in order, until `visit` gives `None`.
    #[inline]
    pub fn visit<'a>(
        &self,
        map: &Map<'a>,
        sequence: usize,
        [first, length]: [usize; 2],
        mut visit: impl FnMut(&'a [i8]) -> Option<()>,
    ) -> Option<()> {
        let [mut y, x] = self.place(sequence);
        let stride = self.stride(map.channels)?.get();
        let start = x.wrapping_mul(map.channels).wrapping_add(first);
        while y < map.height {
            for token in map.row(y)?.get(start..)?.chunks(stride) {
                if visit(token.get(..length)?).is_none() {
                    return Some(());
                }
            }
            y = y.checked_add(self.rows())?;
        }
        Some(())
    }
}

/// Channels whose weighted sums are made side by side.
pub(crate) const BLOCK: usize = 8;

/// `sum(weight * value)` over the first tokens of a sequence, as many as there are weights, for up to [`BLOCK`] channels from `first` on.
/// Sums wrap.
#[inline]
pub(crate) fn weighted_sums(
    patch: &Patch,
    map: &Map<'_>,
    sequence: usize,
    channels: [usize; 2],
    weights: &[u16],
) -> Option<[i32; BLOCK]> {
    let mut sums = [0i32; BLOCK];
    let mut weights = weights.iter();
    patch.visit(map, sequence, channels, |values| {
        let weight = i32::from(*weights.next()?);
        let add = |sum: &mut i32, value: i8| *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(value)));
        // A whole block has a length that the compiler knows.
        match values.first_chunk::<BLOCK>() {
            Some(values) => sums.iter_mut().zip(values).for_each(|(sum, &value)| add(sum, value)),
            None => sums.iter_mut().zip(values).for_each(|(sum, &value)| add(sum, value)),
        }
        Some(())
    })?;
    weights.as_slice().is_empty().then_some(sums)
}

/// `2^31 / (total << leading zeros >> 16)`, from 2^15 to 2^16, and the leading zeros. 0 counts as 1. A division of 32 bits.
#[inline]
pub(crate) fn reciprocal(total: u32) -> Option<(u32, u32)> {
    let total = total.max(1);
    let zeros = total.leading_zeros();
    let inverse = (1u32 << 31).checked_div(total.wrapping_shl(zeros) >> 16)?;
    Some((inverse, zeros))
}
