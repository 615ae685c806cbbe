//! What a convolution's window sees, as runs of values that are side by side in memory.

use crate::Map;
use crate::arch::ConvShape;
use crate::map::Taps;

/// The windows of a convolution on a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows<'m, 'd> {
    shape: &'m ConvShape,
    input: &'m Map<'d>,
    /// Taps `[vertical, horizontal]`.
    kernel: [usize; 2],
    /// Values of a row of taps.
    run: usize,
}

/// What one output pixel sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    vertical: Taps,
    horizontal: Taps,
    /// Whether all taps are on the map and those of a row side by side.
    inner: bool,
}

impl<'m, 'd> Windows<'m, 'd> {
    /// `None` where the map is not what the shape says.
    pub fn new(shape: &'m ConvShape, input: &'m Map<'d>) -> Option<Self> {
        let kernel = shape.window.kernel.map(usize::from);
        let run = kernel[1].checked_mul(input.channels)?;
        let fits = shape.input == [input.height, input.width, input.channels] && run > 0;
        fits.then_some(Self { shape, input, kernel, run })
    }

    /// Where the window of an output pixel lies.
    #[inline]
    pub fn seen(&self, [y, x]: [usize; 2]) -> Option<Seen> {
        let window = &self.shape.window;
        let vertical = window.taps(0, y, self.input.height)?;
        let horizontal = window.taps(1, x, self.input.width)?;
        let whole = |taps: &Taps, kernel| taps.first == 0 && taps.end == kernel;
        let inner = whole(&vertical, self.kernel[0])
            && whole(&horizontal, self.kernel[1])
            && (horizontal.step == 1 || self.kernel[1] == 1);
        Some(Seen { vertical, horizontal, inner })
    }

    /// Copies what a pixel sees to `patch`, unless it can be read from the map.
    pub fn prepare(&self, seen: &Seen, patch: &mut [i8]) -> Option<()> {
        if seen.inner {
            return Some(());
        }
        let (vertical, horizontal) = (&seen.vertical, &seen.horizontal);
        patch.fill(self.shape.zero_point);
        let mut rows = patch.chunks_exact_mut(self.run.max(1));
        let mut rows = rows.by_ref().skip(vertical.first);
        let channels = self.input.channels;
        for tap_y in vertical.first..vertical.end {
            let row = self.input.row(vertical.start + (tap_y - vertical.first) * vertical.step)?;
            let patch = rows.next()?;
            for tap_x in horizontal.first..horizontal.end {
                let x = horizontal.start + (tap_x - horizontal.first) * horizontal.step;
                let values = row.get(x * channels..)?.get(..channels)?;
                patch.get_mut(tap_x * channels..)?.get_mut(..channels)?.copy_from_slice(values);
            }
        }
        Some(())
    }

    /// The run of a row of taps.
    #[inline]
    pub fn run<'a>(&self, seen: &Seen, patch: &'a [i8], tap_y: usize) -> Option<&'a [i8]>
    where
        'd: 'a,
    {
        if !seen.inner {
            return patch.get(tap_y * self.run..)?.get(..self.run);
        }
        let row = self.input.row(seen.vertical.start + tap_y * seen.vertical.step)?;
        row.get(seen.horizontal.start * self.input.channels..)?.get(..self.run)
    }
}
