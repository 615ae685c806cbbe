//! What a convolution's window sees, as runs of values that are side by side in memory.

use crate::Map;
use crate::arch::ConvShape;

/// The windows of a convolution on a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows<'m, 'd> {
    shape: &'m ConvShape,
    input: &'m Map<'d>,
    /// Values of a row of taps.
    run: usize,
    /// Rows from one of taps to the next.
    step: usize,
    /// Padding above and on the left.
    padding: [usize; 2],
    /// From a window's first row and column on the padded map to where it would reach over the border.
    room: [usize; 2],
    /// Whether the taps of a row are side by side.
    dense: bool,
}

/// What one output pixel sees: its place in the map, or a patch that was copied from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixel {
    /// Row of the first tap, if the whole window is on the map.
    y: Option<usize>,
    /// Place of the first tap in its row.
    start: usize,
}

/// The output pixels row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Row and column.
    place: [usize; 2],
    /// The same times the strides: where the window is on the padded map.
    origin: [usize; 2],
}

impl Cursor {
    /// The first pixel of a row.
    pub fn new(shape: &ConvShape, y: usize) -> Option<Self> {
        let origin = [y.checked_mul(shape.window.stride[0].into())?, 0];
        Some(Self { place: [y, 0], origin })
    }
}

impl<'m, 'd> Windows<'m, 'd> {
    /// `None` where the map is not what the shape says.
    pub fn new(shape: &'m ConvShape, input: &'m Map<'d>) -> Option<Self> {
        let window = &shape.window;
        let [height, width] = window.kernel.map(usize::from);
        let run = width.checked_mul(input.channels)?;
        if shape.input != [input.height, input.width, input.channels] || run == 0 {
            return None;
        }
        let padding = window.padding.map(usize::from);
        let dilation = window.dilation.map(usize::from);
        let room = |axis: usize, size: usize, kernel: usize| {
            let extent = kernel.checked_sub(1)?.checked_mul(dilation[axis & 1])?;
            Some((size + padding[axis & 1]).saturating_sub(extent))
        };
        let room = [room(0, input.height, height)?, room(1, input.width, width)?];
        let dense = width == 1 || dilation[1] == 1;
        Some(Self { shape, input, run, step: dilation[0], padding, room, dense })
    }

    /// What the pixel at the cursor sees, copied to `patch` where it cannot be read from the map. The cursor goes on to the next.
    #[inline]
    pub fn next(&self, cursor: &mut Cursor, patch: &mut [i8]) -> Option<Pixel> {
        let (place, [y, x]) = (cursor.place, cursor.origin);
        cursor.place[1] = place[1] + 1;
        cursor.origin[1] = x + usize::from(self.shape.window.stride[1]);
        if cursor.place[1] == self.shape.output[1] {
            cursor.place = [place[0] + 1, 0];
            cursor.origin = [y + usize::from(self.shape.window.stride[0]), 0];
        }
        let inner = y >= self.padding[0] && y < self.room[0] && x >= self.padding[1] && x < self.room[1];
        if inner && self.dense {
            let start = (x - self.padding[1]) * self.input.channels;
            return Some(Pixel { y: Some(y - self.padding[0]), start });
        }
        self.copy(place, patch)?;
        Some(Pixel { y: None, start: 0 })
    }

    /// Copies what a pixel sees.
    #[inline(never)]
    fn copy(&self, [y, x]: [usize; 2], patch: &mut [i8]) -> Option<()> {
        let vertical = self.shape.window.taps(0, y, self.input.height)?;
        let horizontal = self.shape.window.taps(1, x, self.input.width)?;
        patch.fill(self.shape.zero_point);
        let channels = self.input.channels;
        // Taps side by side are copied at once.
        let (copies, length) = match (horizontal.end - horizontal.first, horizontal.step) {
            (taps, 1) => (taps.min(1), taps * channels),
            (taps, _) => (taps, channels),
        };
        let rows = patch.chunks_exact_mut(self.run.max(1)).skip(vertical.first);
        for (tap_y, patch) in (0..vertical.end - vertical.first).zip(rows) {
            let row = self.input.row(vertical.start + tap_y * vertical.step)?;
            for tap_x in 0..copies {
                let from = (horizontal.start + tap_x * horizontal.step) * channels;
                let to = (horizontal.first + tap_x) * channels;
                let values = row.get(from..)?.get(..length)?;
                patch.get_mut(to..)?.get_mut(..length)?.copy_from_slice(values);
            }
        }
        Some(())
    }

    /// The runs of a row of taps.
    #[inline]
    pub fn runs<'a>(&self, pixels: &[Pixel; 4], patches: [&'a [i8]; 4], tap_y: usize) -> Option<[&'a [i8]; 4]>
    where
        'd: 'a,
    {
        // Mostly, all four are in one row.
        let mut row: (Option<usize>, &'a [i8]) = (None, &[]);
        let mut run = |pixel: &Pixel, patch: &'a [i8]| {
            let Some(y) = pixel.y else { return patch.get(tap_y * self.run..)?.get(..self.run) };
            if row.0 != Some(y) {
                row = (Some(y), self.input.row(y + tap_y * self.step)?);
            }
            row.1.get(pixel.start..)?.get(..self.run)
        };
        let [a, b, c, d] = pixels;
        Some([run(a, patches[0])?, run(b, patches[1])?, run(c, patches[2])?, run(d, patches[3])?])
    }
}
