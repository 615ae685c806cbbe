//! Maxima and means under a window. Rows whose windows are not evenly spaced in memory, or are counted specially, are the portable kernels'.
#![allow(unsafe_code)]

use super::{asm, bytes, quad};
use crate::map::Taps;
use crate::pool::{self, AveragePool};
use crate::{Map, TfLite, TfLiteChannel, Window};

/// What a window sees of a map, evenly spaced in memory.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    data: &'a [i8],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Seen<'_> {
    fn count(&self) -> usize {
        self.rows * self.columns
    }

    /// The first arguments of functions that make a pixel.
    fn arguments<const N: usize>(&self, output: &mut [i8], more: [usize; N]) -> [usize; 12] {
        let Self { data, rows, columns, row_stride, column_stride } = *self;
        let first = [
            data.as_ptr() as usize,
            output.len(),
            output.as_mut_ptr() as usize,
            row_stride,
            rows,
            columns,
            column_stride,
        ];
        let mut arguments = [0; 12];
        for (argument, value) in arguments.iter_mut().zip(first.into_iter().chain(more)) {
            *argument = value;
        }
        arguments
    }
}

/// The rows of a map under a window.
struct Rows<'m> {
    map: &'m Map<'m>,
    data: &'m [i8],
    vertical: Taps,
    stride: usize,
}

impl<'m> Rows<'m> {
    /// `None` where the rows are not evenly spaced, or there are none.
    fn new(window: &Window, map: &'m Map<'m>, y: usize) -> Option<Self> {
        let vertical = window.taps(0, y, map.height)?;
        let last = vertical.end.checked_sub(vertical.first)?.checked_sub(1)?.checked_mul(vertical.step)?;
        let data = map.rows(vertical.start, last.checked_add(1)?)?;
        let length = map.width.checked_mul(map.channels)?;
        Some(Self { map, data, vertical, stride: length.checked_mul(vertical.step)? })
    }

    /// What a pixel of the output sees.
    fn at(&self, window: &Window, x: usize) -> Option<Seen<'m>> {
        let horizontal = window.taps(1, x, self.map.width)?;
        let columns =
            horizontal.end.checked_sub(horizontal.first).filter(|columns| (1..=256).contains(columns))?;
        let step = horizontal.step.checked_mul(self.map.channels)?;
        let rows = self.vertical.end - self.vertical.first;
        let data = self.data.get(horizontal.start.checked_mul(self.map.channels)?..)?;
        let last = (rows - 1).checked_mul(self.stride)?.checked_add((columns - 1).checked_mul(step)?)?;
        (last.checked_add(self.map.channels)? <= data.len()).then_some(Seen {
            data,
            rows,
            columns,
            row_stride: self.stride,
            column_stride: step,
        })
    }

    /// Calls `make` for each pixel. `None` where one of them has no evenly spaced window that `accept` takes: then nothing is called.
    fn pixels(
        &self,
        window: &Window,
        output: &mut [i8],
        accept: impl Fn(&Seen<'_>) -> bool,
        mut make: impl FnMut(&Seen<'_>, &mut [i8]),
    ) -> Option<()> {
        let channels = self.map.channels.max(1);
        let pixels = output.len().checked_div(channels)?;
        for x in 0..pixels {
            self.at(window, x).filter(&accept)?;
        }
        for (x, pixel) in output.chunks_exact_mut(channels).enumerate() {
            make(&self.at(window, x)?, pixel);
        }
        Some(())
    }
}

/// [`pool::max_row`].
pub fn max_row(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    [min, max]: [i8; 2],
) -> Option<()> {
    let make = |seen: &Seen<'_>, pixel: &mut [i8]| {
        let Seen { data, rows, columns, row_stride, column_stride } = *seen;
        // SAFETY: `Rows::at` has checked that the window's pixels, of as many channels as `pixel`, are within `data`.
        unsafe {
            asm::max_pixel(
                data.as_ptr(),
                pixel.len(),
                pixel.as_mut_ptr(),
                row_stride,
                rows,
                columns,
                column_stride,
            );
        }
    };
    let made = Rows::new(window, input, y).and_then(|rows| rows.pixels(window, output, |_| true, make));
    if made.is_none() {
        return pool::max_row(window, input, y, output, [min, max]);
    }
    if [min, max] != [i8::MIN, i8::MAX] {
        bytes::clamp(output, min, max);
    }
    Some(())
}

fn word(value: i32) -> usize {
    value.cast_unsigned() as usize
}

/// [`AveragePool::row`].
pub fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
    let window = &pool.window;
    let taps = usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
    let make = |seen: &Seen<'_>, pixel: &mut [i8]| {
        let offset = (seen.count() as i32).wrapping_mul(i32::from(input.zero_point)).wrapping_neg();
        let arguments = seen.arguments(
            pixel,
            [word(offset), pool.shift as usize & 31, word(pool.channel.bias), word(pool.channel.multiplier)],
        );
        // SAFETY: as in `max_row`.
        unsafe { asm::average_q32(arguments.as_ptr()) }
    };
    let accept = |seen: &Seen<'_>| pool.count_include_pad || seen.count() == taps;
    let made = Rows::new(window, input, y).and_then(|rows| rows.pixels(window, output, accept, make));
    if made.is_none() {
        return pool.row(input, y, output);
    }
    Some(())
}

/// [`pool::average_row_tflite`].
pub fn average_row_tflite(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    rule: &TfLite,
) -> Option<()> {
    // 129 * count^2 < 2^32, so that the product with the inverse is exact.
    let accept = |seen: &Seen<'_>| (2..=4096).contains(&seen.count());
    let make = |seen: &Seen<'_>, pixel: &mut [i8]| {
        let count = seen.count();
        let inverse = (usize::MAX / count.max(1)).wrapping_add(1);
        let arguments = seen.arguments(pixel, [count / 2, inverse]);
        // SAFETY: as in `max_row`.
        unsafe { asm::average_tflite(arguments.as_ptr()) }
    };
    let made = Rows::new(window, input, y).and_then(|rows| rows.pixels(window, output, accept, make));
    if made.is_none() {
        return pool::average_row_tflite(window, input, y, output, rule);
    }
    quad::clamp(rule, output);
    Some(())
}

/// [`pool::mean_tflite`].
pub fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
    let kernel = [u16::try_from(input.height).ok()?, u16::try_from(input.width).ok()?];
    let window = Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
    let make = |seen: &Seen<'_>, pixel: &mut [i8]| {
        let arguments = seen.arguments(
            pixel,
            [
                word(channel.bias),
                word(channel.multiplier),
                usize::from(channel.shift < 0),
                word(channel.shift),
                word(rule.zero_point),
            ],
        );
        // SAFETY: as in `max_row`.
        unsafe { asm::mean_tflite(arguments.as_ptr()) }
    };
    let rows = Rows::new(&window, input, 0).filter(|_| (-31..=0).contains(&channel.shift));
    let made = rows.and_then(|rows| rows.pixels(&window, output, |_| true, make));
    if made.is_none() {
        return pool::mean_tflite(input, output, rule, channel);
    }
    quad::clamp(rule, output);
    Some(())
}
