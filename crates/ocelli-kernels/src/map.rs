//! Feature maps seen as rows, and the windows that slide over them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A feature map of which at least the rows in use are in memory.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// Rows of `width * channels` values; row `y` is in slot `y % slots`.
    pub data: &'a [i8],
    /// What there is of the slots behind the end of `data`, and how many bytes from the start of `data` it lies: while a step writes into the
    /// middle of a map, where rows are of no use any more, the map is in parts.
    pub rest: [(usize, &'a [i8]); 2],
    /// A row below which none is read, a multiple of `slots`: it spares [`Map::row`] divisions, which small cores do in software.
    pub base: usize,
    /// Number of row slots in `data`: `height` for a whole map, fewer for a ring.
    pub slots: usize,
    /// Rows of the map.
    pub height: usize,
    /// Pixels a row.
    pub width: usize,
    /// Values a pixel.
    pub channels: usize,
    /// The value that stands for 0.0, and so for padding.
    pub zero_point: i8,
}

impl<'a> Map<'a> {
    /// A map of `[height, width, channels]` in a ring of `slots` rows that lie together.
    pub fn ring(data: &'a [i8], slots: usize, shape: [usize; 3], zero_point: i8) -> Self {
        let [height, width, channels] = shape;
        Self { data, rest: [(0, &[]); 2], base: 0, slots, height, width, channels, zero_point }
    }

    /// A map of `[height, width, channels]`, all of it in memory.
    pub fn whole(data: &'a [i8], shape: [usize; 3], zero_point: i8) -> Self {
        Self::ring(data, shape[0], shape, zero_point)
    }

    /// Row `y`, `width * channels` values; `None` where it is not in memory.
    #[inline]
    pub fn row(&self, y: usize) -> Option<&'a [i8]> {
        self.rows(y, 1)
    }

    /// Rows `y..y + count`, where they are in memory one after the other.
    #[inline]
    pub fn rows(&self, y: usize, count: usize) -> Option<&'a [i8]> {
        // Products that wrap (impossible sizes) fail at `get`, or give other values of the same data.
        let slot = self.slot(y)?;
        if slot.checked_add(count)? > self.slots {
            return None;
        }
        let length = self.width.wrapping_mul(self.channels);
        let start = slot.wrapping_mul(length);
        let length = length.wrapping_mul(count);
        match self.data.get(start..).and_then(|rows| rows.get(..length)) {
            Some(row) => Some(row),
            None => self.rest(start, length),
        }
    }

    /// The slot of row `y`.
    #[inline]
    fn slot(&self, y: usize) -> Option<usize> {
        let mut slot = y.checked_sub(self.base)?;
        if slot >= self.slots {
            slot = slot.wrapping_sub(self.slots);
            if slot >= self.slots {
                slot = slot.checked_rem(self.slots)?;
            }
        }
        Some(slot)
    }

    /// Rows from `y` on, one after the other: cheaper than [`Map::row`] for each.
    #[inline]
    pub(crate) fn rows_from(&self, y: usize) -> Option<FromRow<'_, 'a>> {
        let slot = self.slot(y)?;
        let length = self.width.wrapping_mul(self.channels);
        Some(FromRow { map: self, slot, start: slot.wrapping_mul(length), length })
    }

    /// Values that are not in `data`.
    #[cold]
    #[inline(never)]
    fn rest(&self, start: usize, length: usize) -> Option<&'a [i8]> {
        self.rest.iter().find_map(|&(at, part)| part.get(start.checked_sub(at)?..)?.get(..length))
    }
}

/// Rows of a map, one after the other; what is beyond the map's last row has arbitrary values.
pub(crate) struct FromRow<'m, 'a> {
    map: &'m Map<'a>,
    slot: usize,
    start: usize,
    length: usize,
}

impl<'a> FromRow<'_, 'a> {
    /// The next row, as [`Map::row`] gives it.
    #[inline]
    pub fn next(&mut self) -> Option<&'a [i8]> {
        let end = self.start.wrapping_add(self.length);
        let row = match self.map.data.get(self.start..end) {
            Some(row) => row,
            None => self.map.rest(self.start, self.length)?,
        };
        self.slot = self.slot.wrapping_add(1);
        self.start = end;
        if self.slot == self.map.slots {
            (self.slot, self.start) = (0, 0);
        }
        Some(row)
    }
}

/// A window that slides over a map. Pairs are `[vertical, horizontal]`. Padding below and on the right follows from the output's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Window {
    /// Taps.
    pub kernel: [u16; 2],
    /// Step between outputs, at least 1.
    pub stride: [u16; 2],
    /// Distance between taps, at least 1.
    pub dilation: [u16; 2],
    /// Rows above and columns on the left of the map.
    pub padding: [u16; 2],
}

/// The taps of one axis of a window that fall on the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    /// First tap on the map.
    pub first: usize,
    /// One past the last tap on the map; equal to `first` where there is none.
    pub end: usize,
    /// Coordinate of tap `first`; at most the map's size where there is none.
    pub start: usize,
    /// Distance between taps.
    pub step: usize,
}

impl Window {
    /// The taps of `axis` (0 vertical, 1 horizontal) that fall on a map of `size` for output `position`.
    pub(crate) fn taps(&self, axis: usize, position: usize, size: usize) -> Option<Taps> {
        let pick = |pair: &[u16; 2]| pair.get(axis).map(|&value| usize::from(value));
        let (kernel, step) = (pick(&self.kernel)?, pick(&self.dilation)?);
        let (padding, origin) = (pick(&self.padding)?, position * pick(&self.stride)?);
        let first = if step == 1 {
            padding.saturating_sub(origin)
        } else {
            padding.saturating_sub(origin).checked_add(step)?.checked_sub(1)?.checked_div(step)?
        }
        .min(kernel);
        let room = (size + padding).saturating_sub(origin);
        let end = if step == 1 { room } else { room.checked_add(step)?.checked_sub(1)?.checked_div(step)? };
        let end = end.clamp(first, kernel.max(first));
        let start = (origin + first * step).saturating_sub(padding).min(size);
        Some(Taps { first, end, start, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn taps_are_those_on_the_map(
            kernel in 1u16..9, stride in 1u16..6, dilation in 1u16..5, padding in 0u16..9, position in 0usize..12, size in 1usize..12,
        ) {
            let window = Window { kernel: [kernel, 1], stride: [stride, 1], dilation: [dilation, 1], padding: [padding, 0] };
            let expected: std::vec::Vec<(usize, usize)> = (0..usize::from(kernel))
                .filter_map(|tap| {
                    let at = position * usize::from(stride) + tap * usize::from(dilation);
                    let at = at.checked_sub(usize::from(padding))?;
                    (at < size).then_some((tap, at))
                })
                .collect();
            let taps = window.taps(0, position, size).unwrap();
            let found: std::vec::Vec<(usize, usize)> =
                (taps.first..taps.end).map(|tap| (tap, taps.start + (tap - taps.first) * taps.step)).collect();
            prop_assert_eq!(found, expected);
        }
    }
    extern crate std;
}
