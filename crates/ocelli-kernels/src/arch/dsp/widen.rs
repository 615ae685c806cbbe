//! Windows of pixel pairs as the stream that the pointwise kernel reads: `widen.s`, and the same in plain Rust.
//!
//! A window is some rows of equally many values; which value of it is where in the stream, [`Order`] says.
#![allow(unsafe_code)]

use core::marker::PhantomData;

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("widen.s"), options(raw));

/// Rows of a window at most.
pub const MAX_ROWS: usize = 16;
/// Values of a row of a 3x3 window of three channels, which has an order of its own.
const RGB: usize = 9;

/// A row of the windows of pairs of pixels. The assembly reads it, and moves its pointers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Row<'a> {
    first: *const i8,
    second: *const i8,
    step: usize,
    length: usize,
    values: PhantomData<&'a [i8]>,
}

impl Default for Row<'_> {
    fn default() -> Self {
        Self::new(&[], &[], 0)
    }
}

impl<'a> Row<'a> {
    /// The first window of the first pixels begins where `first` does, that of the second pixels where `second` does; those of the next pair
    /// `step` values later.
    #[inline]
    pub fn new(first: &'a [i8], second: &'a [i8], step: usize) -> Self {
        let length = first.len().min(second.len());
        Self { first: first.as_ptr(), second: second.as_ptr(), step, length, values: PhantomData }
    }

    /// What pixel 0 or 1 of a pair sees.
    #[cfg(not(ocelli_dsp))]
    fn values(&self, pixel: usize) -> &'a [i8] {
        let start = if pixel == 0 { self.first } else { self.second };
        // SAFETY: both pointers are those of slices of at least `length` values that live for 'a, by `new`; only assembly changes them, which
        // then is what reads the row last.
        unsafe { core::slice::from_raw_parts(start, self.length) }
    }
}

/// The order of a window's values in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Rows of a window.
    pub rows: usize,
    /// Values of a row.
    pub length: usize,
}

impl Order {
    fn rgb(&self) -> bool {
        self.rows == 3 && self.length == RGB
    }

    /// Steps of two values of a window.
    pub fn steps(&self) -> usize {
        if self.rgb() { 14 } else { self.rows.saturating_mul(self.length.div_ceil(2)) }
    }

    /// Which value, counted row by row, is value `lane` of `step`; `None` for one that counts nothing.
    pub fn value(&self, step: usize, lane: usize) -> Option<usize> {
        let (row, step) = if self.rgb() {
            match (step, lane) {
                (8, lane) => return Some(8 + lane * RGB),
                (13, 0) => return Some(8 + 2 * RGB),
                (13, _) => return None,
                (9.., _) => (2, step - 9),
                _ => (step / 4, step % 4),
            }
        } else {
            let steps = self.length.div_ceil(2);
            (step.checked_div(steps)?, step.checked_rem(steps)?)
        };
        let start = step / 2 * 4;
        // Two values that are left have no word to be taken apart.
        let at = if self.length - start == 2 { start + lane } else { start + step % 2 + lane * 2 };
        (at < self.length).then(|| row * self.length + at)
    }

    /// Writes the stream of `pairs` pairs of windows. The rows are of no use any more then.
    pub fn widen(&self, rows: &mut [Row<'_>], pairs: usize, stream: &mut [i16]) -> Option<()> {
        let last = pairs.checked_sub(1)?;
        let values = pairs.checked_mul(self.steps())?.checked_mul(4)?;
        if rows.len() != self.rows || values > stream.len() || values == 0 {
            return None;
        }
        for row in &*rows {
            if last.checked_mul(row.step)?.checked_add(self.length)? > row.length {
                return None;
            }
        }
        #[cfg(ocelli_dsp)]
        {
            let control = Widen {
                rows: rows.as_mut_ptr().cast(),
                count: rows.len(),
                words: self.length / 4,
                stream: stream.as_mut_ptr(),
                tail: self.length % 4,
                pairs,
            };
            // SAFETY: both read `length` values at each `step` of both pixels of `rows`, at least one, and write `steps` steps of 4 values a
            // pair: they are in the slices, as checked. The first is for three rows of 9 values.
            unsafe {
                if self.rgb() {
                    ocelli_dsp_widen_rgb(&raw const control);
                } else {
                    ocelli_dsp_widen(&raw const control);
                }
            }
            Some(())
        }
        #[cfg(not(ocelli_dsp))]
        self.model(rows, pairs, stream)
    }

    #[cfg(not(ocelli_dsp))]
    fn model(&self, rows: &[Row<'_>], pairs: usize, stream: &mut [i16]) -> Option<()> {
        let steps = self.steps();
        for (pair, stream) in stream.chunks_exact_mut(steps.checked_mul(4)?).take(pairs).enumerate() {
            for (step, values) in stream.chunks_exact_mut(4).enumerate() {
                for (at, value) in values.iter_mut().enumerate() {
                    let tap = self.value(step, at % 2);
                    let row = rows.get(tap.map_or(0, |tap| tap.checked_div(self.length).unwrap_or(0)))?;
                    let column = tap.and_then(|tap| tap.checked_rem(self.length));
                    *value = match column {
                        Some(column) => i16::from(*row.values(at / 2).get(pair * row.step + column)?),
                        None => 0,
                    };
                }
            }
        }
        Some(())
    }
}

/// What the assembly reads. `widen.s` has the offsets.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Widen {
    rows: *mut Row<'static>,
    count: usize,
    words: usize,
    stream: *mut i16,
    tail: usize,
    pairs: usize,
}

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_widen(control: *const Widen);
    fn ocelli_dsp_widen_rgb(control: *const Widen);
    fn ocelli_dsp_columns(rows: *const *const i8, words: usize, stream: *mut i16);
    fn ocelli_dsp_color_columns(rows: *const *const i8, stream: *mut i16, end: *const i16);
    fn ocelli_dsp_color_halves(rows: *const *const i8, stream: *mut i16, end: *const i16, right: usize);
}

/// Writes columns of 3x3 windows of two output rows, `[column][channels / 4][values 0, 2 | 1, 3][kernel row][2 rows][2 values]`, from as many
/// values of the four rows that they see.
pub fn columns(rows: [&[i8]; 4], stream: &mut [i16]) -> Option<()> {
    let words = rows.iter().map(|row| row.len()).min()? / 4;
    let stream = stream.get_mut(..words.checked_mul(24)?)?;
    if words == 0 {
        return None;
    }
    #[cfg(ocelli_dsp)]
    {
        let rows = rows.map(<[i8]>::as_ptr);
        // SAFETY: the function reads `words` words, at least one, of each row, which is no longer than the shortest of them, and writes 24 values
        // for each.
        unsafe { ocelli_dsp_columns(rows.as_ptr(), words, stream.as_mut_ptr()) };
    }
    #[cfg(not(ocelli_dsp))]
    for (word, stream) in stream.chunks_exact_mut(24).enumerate() {
        for (at, value) in stream.iter_mut().enumerate() {
            let (half, row, pixel, lane) = (at / 12, at / 4 % 3, at / 2 % 2, at % 2);
            *value = i16::from(*rows.get(row + pixel)?.get(word * 4 + half + lane * 2)?);
        }
    }
    Some(())
}

/// Row of the window, and value of the six of a pair of columns, that a lane of each of the nine steps of [`color_columns`] holds.
pub fn color_value(step: usize, lane: usize) -> (usize, usize) {
    match step {
        0 | 1 => (lane, step),
        2 | 3 => (2, step - 2 + lane * 2),
        8 => (2, 4 + lane),
        _ => (lane, step.saturating_sub(2)),
    }
}

/// Writes pairs of columns of 3x3 windows of stride 2 and three channels, of two output rows: `[pair][9 steps][2 rows][2 values]`, from the five
/// rows that they see, each of six values a pair.
pub fn color_columns(rows: [&[i8]; 5], stream: &mut [i16]) -> Option<()> {
    let pairs = rows.iter().map(|row| row.len()).min()? / 6;
    let stream = stream.get_mut(..pairs.checked_mul(36)?)?;
    if pairs == 0 {
        return None;
    }
    #[cfg(ocelli_dsp)]
    {
        let rows = rows.map(<[i8]>::as_ptr);
        let stream = stream.as_mut_ptr_range();
        // SAFETY: the function reads 6 values of each row for each 36 that it writes from `start` to `end`, which are that far apart: the rows hold
        // as many.
        unsafe { ocelli_dsp_color_columns(rows.as_ptr(), stream.start, stream.end) };
    }
    #[cfg(not(ocelli_dsp))]
    for (pair, stream) in stream.chunks_exact_mut(36).enumerate() {
        for (at, value) in stream.iter_mut().enumerate() {
            let (step, pixel, lane) = (at / 4, at / 2 % 2, at % 2);
            let (row, from) = color_value(step, lane);
            *value = i16::from(*rows.get(pixel * 2 + row)?.get(pair * 6 + from)?);
        }
    }
    Some(())
}

/// As [`color_columns`], of one output row: pairs of columns from the start of the three rows that it sees take the place of the first row, and
/// those from `right` values after it that of a second.
pub fn color_halves(rows: [&[i8]; 3], right: usize, stream: &mut [i16]) -> Option<()> {
    let pairs = rows.iter().map(|row| row.len()).min()?.checked_sub(right)? / 6;
    let stream = stream.get_mut(..pairs.checked_mul(36)?)?;
    if pairs == 0 {
        return None;
    }
    #[cfg(ocelli_dsp)]
    {
        let rows = rows.map(<[i8]>::as_ptr);
        let stream = stream.as_mut_ptr_range();
        // SAFETY: the function reads 6 values of each row, and 6 that are `right` values after them, for each 36 that it writes from `start` to
        // `end`, which are that far apart: the rows hold as many after the first `right`.
        unsafe { ocelli_dsp_color_halves(rows.as_ptr(), stream.start, stream.end, right) };
    }
    #[cfg(not(ocelli_dsp))]
    for (pair, stream) in stream.chunks_exact_mut(36).enumerate() {
        for (at, value) in stream.iter_mut().enumerate() {
            let (step, pixel, lane) = (at / 4, at / 2 % 2, at % 2);
            let (row, from) = color_value(step, lane);
            *value = i16::from(*rows.get(row)?.get(pixel * right + pair * 6 + from)?);
        }
    }
    Some(())
}
