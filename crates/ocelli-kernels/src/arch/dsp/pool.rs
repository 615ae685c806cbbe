//! Maxima and sums under a window, four channels of a tap at a time.
#![allow(unsafe_code)]

use super::intrinsics::{max8, sxtab16, sxtab16_ror8};
use super::words::{Bounds, load, store};
use crate::map::Taps;
use crate::pool::{AveragePool, finish_tflite, whole_window};
use crate::requantize::TfLite;
use crate::{Map, Requantize, TfLiteChannel, Window};

/// Rows of a window that are kept at hand.
const ROWS: usize = 8;

/// Taps whose sum fits 16 bits.
const LARGEST_COUNT: usize = 256;

/// Channels whose sums are made side by side.
const BLOCK: usize = 8;

/// [`AveragePool::row`].
pub fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
    let mut rows = [&[][..]; ROWS];
    let under = Under::new(&pool.window, input, y, &mut rows)?;
    under.sums(output, |sum, count| pool.finish(sum, count, input.zero_point))
}

/// [`crate::pool::average_row_tflite`].
pub fn average_row_tflite(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    rule: &TfLite,
) -> Option<()> {
    let mut rows = [&[][..]; ROWS];
    Under::new(window, input, y, &mut rows)?.sums(output, |sum, count| finish_tflite(sum, count, rule))
}

/// [`crate::pool::mean_tflite`].
pub fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
    let window = whole_window(input)?;
    let finish = |sum: i32, _| Some(rule.finish(channel, sum.wrapping_add(channel.bias)));
    let mut rows = [&[][..]; ROWS];
    Under::new(&window, input, 0, &mut rows)?.sums(output, finish)
}

/// [`crate::pool::max_row`].
pub fn max_row(window: &Window, input: &Map<'_>, y: usize, output: &mut [i8], bounds: [i8; 2]) -> Option<()> {
    let mut rows = [&[][..]; ROWS];
    Under::new(window, input, y, &mut rows)?.maxima(output, bounds)
}

/// The rows of a map that a row of outputs sees.
struct Under<'a, 'd> {
    window: &'a Window,
    input: &'a Map<'d>,
    vertical: Taps,
    /// The first of them.
    rows: &'a [&'d [i8]; ROWS],
}

impl<'a, 'd> Under<'a, 'd> {
    /// `None` where rows are not in memory.
    #[inline(never)]
    fn new(window: &'a Window, input: &'a Map<'d>, y: usize, rows: &'a mut [&'d [i8]; ROWS]) -> Option<Self> {
        let vertical = window.taps(0, y, input.height)?;
        let mut at = vertical.start;
        for row in rows.iter_mut().take(vertical.end.wrapping_sub(vertical.first)) {
            *row = input.row(at)?;
            at = at.wrapping_add(vertical.step);
        }
        (input.channels > 0).then_some(Self { window, input, vertical, rows })
    }

    /// How many rows there are.
    fn count(&self) -> usize {
        self.vertical.end.wrapping_sub(self.vertical.first)
    }

    /// A row: those that are not at hand are looked up each time.
    #[inline]
    fn row(&self, index: usize) -> Option<&'d [i8]> {
        match self.rows.get(index) {
            Some(row) => Some(row),
            None => self.input.row(self.vertical.start.wrapping_add(index.wrapping_mul(self.vertical.step))),
        }
    }

    /// For each pixel of a row of outputs: its values, where its first tap is in a row, how many there are in a row and how far apart.
    fn each_pixel(
        &self,
        output: &mut [i8],
        mut visit: impl FnMut(&mut [i8], Steps) -> Option<()>,
    ) -> Option<()> {
        let channels = self.input.channels;
        for (x, pixel) in output.chunks_exact_mut(channels.max(1)).enumerate() {
            let taps = self.window.taps(1, x, self.input.width)?;
            let steps = Steps {
                start: taps.start.checked_mul(channels)?,
                count: taps.end.checked_sub(taps.first)?,
                stride: taps.step.checked_mul(channels)?,
            };
            visit(pixel, steps)?;
        }
        Some(())
    }

    /// Sums of all taps on the map, each finished with the number of taps.
    fn sums(&self, output: &mut [i8], finish: impl Fn(i32, usize) -> Option<i8>) -> Option<()> {
        self.each_pixel(output, |pixel, mut steps| {
            let count = self.count().checked_mul(steps.count)?;
            for block in pixel.chunks_mut(BLOCK) {
                let mut sums = [0; BLOCK];
                if block.len() == BLOCK {
                    self.block(steps, &mut sums)?;
                } else {
                    self.part(steps, sums.get_mut(..block.len())?)?;
                }
                for (value, sum) in block.iter_mut().zip(sums) {
                    *value = finish(sum, count)?;
                }
                steps.start = steps.start.checked_add(BLOCK)?;
            }
            Some(())
        })
    }

    /// Sums of a block of channels.
    #[inline(never)]
    fn block(&self, mut left: Steps, sums: &mut [i32; BLOCK]) -> Option<()> {
        let count = self.count();
        while left.count > 0 {
            let steps = Steps { count: left.count.min(LARGEST_COUNT), ..left };
            let at_once = LARGEST_COUNT.checked_div(steps.count)?;
            let mut index = 0;
            while index < count {
                let end = index.wrapping_add(at_once).min(count);
                let mut lanes = [0; 4];
                for index in index..end {
                    steps.add(self.row(index)?, &mut lanes)?;
                }
                flush(sums, lanes);
                index = end;
            }
            left.count = left.count.wrapping_sub(steps.count);
            left.start = left.start.wrapping_add(steps.count.wrapping_mul(left.stride));
        }
        Some(())
    }

    /// Sums of channels that are less than a block.
    #[inline(never)]
    fn part(&self, steps: Steps, sums: &mut [i32]) -> Option<()> {
        for index in 0..self.count() {
            let row = self.row(index)?;
            let mut at = steps.start;
            for _ in 0..steps.count {
                for (sum, &value) in sums.iter_mut().zip(row.get(at..)?) {
                    *sum = sum.wrapping_add(i32::from(value));
                }
                at = at.checked_add(steps.stride)?;
            }
        }
        Some(())
    }

    /// The largest value of all taps on the map, within bounds.
    fn maxima(&self, output: &mut [i8], [min, max]: [i8; 2]) -> Option<()> {
        let bounds = Bounds::new(min, max);
        let channels = self.input.channels;
        self.each_pixel(output, |pixel, steps| {
            pixel.fill(i8::MIN);
            for index in 0..self.count() {
                let row = self.row(index)?;
                let mut at = steps.start;
                let mut left = steps.count;
                while left > 0 {
                    // Two taps at once; an odd one twice.
                    let next = if left > 1 { at.checked_add(steps.stride)? } else { at };
                    larger(pixel, row.get(at..)?.get(..channels)?, row.get(next..)?.get(..channels)?);
                    left = left.saturating_sub(2);
                    at = next.checked_add(steps.stride)?;
                }
            }
            Some(())
        })?;
        if let Some(bounds) = bounds {
            bounds.apply(output);
        }
        Some(())
    }
}

/// Taps in a row of the map.
#[derive(Clone, Copy)]
struct Steps {
    start: usize,
    count: usize,
    stride: usize,
}

impl Steps {
    /// Adds [`BLOCK`] channels of all taps in a row: values 0 and 2, 1 and 3, 4 and 6, 5 and 7.
    #[inline(always)]
    fn add(&self, row: &[i8], lanes: &mut [u32; 4]) -> Option<()> {
        let Some(last) = self.count.checked_sub(1) else { return Some(()) };
        let taps = row.get(self.start..)?;
        if last.checked_mul(self.stride)?.checked_add(BLOCK)? > taps.len() {
            return None;
        }
        let mut tap = taps.as_ptr();
        for left in (0..self.count).rev() {
            // SAFETY: tap number `count - 1 - left` starts `stride` times as many bytes behind the start of `taps`, and the last one's
            // block ends within `taps`, as was just checked. `[i8; 8]` has no alignment.
            let [a, b, c, d, e, f, g, h] = unsafe { *tap.cast::<[i8; BLOCK]>() };
            let (low, high) = (load([a, b, c, d]), load([e, f, g, h]));
            *lanes = [
                sxtab16(low, lanes[0]),
                sxtab16_ror8(low, lanes[1]),
                sxtab16(high, lanes[2]),
                sxtab16_ror8(high, lanes[3]),
            ];
            if left > 0 {
                // SAFETY: the next tap is within `taps`.
                tap = unsafe { tap.add(self.stride) };
            }
        }
        Some(())
    }
}

/// Adds lanes as [`Steps::add`] orders them.
fn flush(sums: &mut [i32; BLOCK], lanes: [u32; 4]) {
    let [a, b, c, d] = lanes.map(|lanes| [i32::from(lanes as i16), lanes.cast_signed() >> 16]);
    for (sum, lane) in sums.iter_mut().zip([a[0], b[0], a[1], b[1], c[0], d[0], c[1], d[1]]) {
        *sum = sum.wrapping_add(lane);
    }
}

/// The largest of three values, for each channel of a pixel.
#[inline(always)]
fn larger(pixel: &mut [i8], first: &[i8], second: &[i8]) {
    let ((words, rest), (a, a_rest), (b, b_rest)) =
        (pixel.as_chunks_mut::<4>(), first.as_chunks::<4>(), second.as_chunks::<4>());
    for ((word, &a), &b) in words.iter_mut().zip(a).zip(b) {
        *word = store(max8(max8(load(a), load(b)), load(*word)));
    }
    for ((value, &a), &b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
        *value = a.max(b).max(*value);
    }
}
