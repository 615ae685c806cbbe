//! Rows of camera pixels as rows of input.

use crate::{Engine, Preprocessing, RunError};

/// How a camera's bytes are pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PixelFormat {
    /// Red, green, blue: a byte each.
    Rgb888,
    /// Two bytes, the low one first: blue in the low five bits, then six of green, then five of red. A value of few bits stands for the byte
    /// that repeats its highest bits below them.
    Rgb565,
    /// One byte. A model of three channels gets it three times.
    Gray,
}

impl PixelFormat {
    /// Bytes of a pixel.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Rgb888 => 3,
            Self::Rgb565 => 2,
            Self::Gray => 1,
        }
    }

    /// Red, green and blue of the pixel that starts `bytes`.
    #[inline]
    fn rgb(self, bytes: &[u8]) -> Option<[u8; 3]> {
        match (self, bytes) {
            (Self::Rgb888, &[red, green, blue, ..]) => Some([red, green, blue]),
            (Self::Rgb565, &[low, high, ..]) => {
                let (red, green, blue) = (high >> 3, (high & 7) << 3 | low >> 5, low & 31);
                Some([red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2])
            }
            (Self::Gray, &[gray, ..]) => Some([gray; 3]),
            _ => None,
        }
    }
}

impl<'m: 'a, 'a, const OPERATORS: u64> Engine<'m, 'a, OPERATORS> {
    /// Takes the next row of the input as `width` pixels, turns them into int8 by the model's own tables, and makes of it what can be made.
    ///
    /// # Errors
    /// [`RunError::NoPreprocessing`] where the model has no such tables, or has one channel and the pixels are in color;
    /// [`RunError::RowLength`] and [`RunError::TooManyRows`] as [`Engine::push_row`].
    pub fn push_pixels(&mut self, pixels: &[u8], format: PixelFormat) -> Result<(), RunError> {
        let input = *self.model().input();
        let preprocessing = self.model().preprocessing().ok_or(RunError::NoPreprocessing)?;
        let (expected, found) = (usize::from(input.width).wrapping_mul(format.bytes()), pixels.len());
        if found != expected {
            return Err(RunError::RowLength { expected, found });
        }
        let rows = usize::from(input.height);
        let row = self.input_row().ok_or(RunError::TooManyRows { expected: rows })?;
        match input.channels {
            1 if format == PixelFormat::Gray => gray(row, pixels, &preprocessing),
            3 => color(row, pixels, format, &preprocessing),
            _ => None,
        }
        .ok_or(RunError::NoPreprocessing)?;
        self.push()
    }
}

fn gray(row: &mut [i8], pixels: &[u8], preprocessing: &Preprocessing<'_>) -> Option<()> {
    let table = preprocessing.table(0)?;
    for (value, &pixel) in row.iter_mut().zip(pixels) {
        *value = table[usize::from(pixel)];
    }
    Some(())
}

fn color(
    row: &mut [i8],
    pixels: &[u8],
    format: PixelFormat,
    preprocessing: &Preprocessing<'_>,
) -> Option<()> {
    let tables = [preprocessing.table(0)?, preprocessing.table(1)?, preprocessing.table(2)?];
    for (values, pixel) in row.chunks_exact_mut(3).zip(pixels.chunks_exact(format.bytes())) {
        let [red, green, blue] = format.rgb(pixel)?;
        let channels = if preprocessing.bgr { [blue, green, red] } else { [red, green, blue] };
        for ((value, channel), table) in values.iter_mut().zip(channels).zip(tables) {
            *value = table[usize::from(channel)];
        }
    }
    Some(())
}
