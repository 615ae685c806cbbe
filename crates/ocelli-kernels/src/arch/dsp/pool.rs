//! Maxima and sums under a window, four channels of a tap at a time.
#![allow(unsafe_code)]

use super::intrinsics::{max8, sxtab16, sxtab16_ror8};
use super::words::{Bounds, load, store};
use crate::pool::{self, AveragePool, finish_tflite, whole_window};
use crate::requantize::TfLite;
use crate::{Map, Requantize, TfLiteChannel, Window};

/// Rows of a window that are kept at hand.
const ROWS: usize = 32;

/// Taps whose sum fits 16 bits.
const LARGEST_COUNT: usize = 256;

/// Channels whose sums are made side by side.
const BLOCK: usize = 8;

/// [`AveragePool::row`].
pub fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
    match Under::new(&pool.window, input, y) {
        Some(under) => under.sums(output, |sum, count| pool.finish(sum, count, input.zero_point)),
        None => pool.row(input, y, output),
    }
}

/// [`pool::average_row_tflite`].
pub fn average_row_tflite(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    rule: &TfLite,
) -> Option<()> {
    match Under::new(window, input, y) {
        Some(under) => under.sums(output, |sum, count| finish_tflite(sum, count, rule)),
        None => pool::average_row_tflite(window, input, y, output, rule),
    }
}

/// [`pool::mean_tflite`].
pub fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
    let window = whole_window(input)?;
    match Under::new(&window, input, 0) {
        Some(under) => {
            under.sums(output, |sum, _| Some(rule.finish(channel, sum.wrapping_add(channel.bias))))
        }
        None => pool::mean_tflite(input, output, rule, channel),
    }
}

/// [`pool::max_row`].
pub fn max_row(window: &Window, input: &Map<'_>, y: usize, output: &mut [i8], bounds: [i8; 2]) -> Option<()> {
    match Under::new(window, input, y) {
        Some(under) => under.maxima(output, bounds),
        None => pool::max_row(window, input, y, output, bounds),
    }
}

/// The rows of a map that a row of outputs sees.
struct Under<'a> {
    window: &'a Window,
    rows: [&'a [i8]; ROWS],
    /// How many of them there are.
    count: usize,
    width: usize,
    channels: usize,
}

impl<'a> Under<'a> {
    /// `None` where the portable kernels have to do it, or to refuse it.
    fn new(window: &'a Window, input: &Map<'a>, y: usize) -> Option<Self> {
        let vertical = window.taps(0, y, input.height)?;
        let count = vertical.end.checked_sub(vertical.first)?;
        let mut rows: [&[i8]; ROWS] = [&[]; ROWS];
        for (index, row) in rows.get_mut(..count)?.iter_mut().enumerate() {
            *row = input.row(vertical.start.checked_add(index.checked_mul(vertical.step)?)?)?;
        }
        let narrow = usize::from(window.kernel[1]) <= LARGEST_COUNT;
        (narrow && input.channels > 0).then_some(Self {
            window,
            rows,
            count,
            width: input.width,
            channels: input.channels,
        })
    }

    /// For each pixel of a row of outputs: its values, where its first tap is in a row, how many there are in a row and how far apart.
    fn each_pixel(
        &self,
        output: &mut [i8],
        mut visit: impl FnMut(&mut [i8], Steps) -> Option<()>,
    ) -> Option<()> {
        for (x, pixel) in output.chunks_exact_mut(self.channels.max(1)).enumerate() {
            let taps = self.window.taps(1, x, self.width)?;
            visit(
                pixel,
                Steps {
                    start: taps.start.checked_mul(self.channels)?,
                    count: taps.end.checked_sub(taps.first)?,
                    stride: taps.step.checked_mul(self.channels)?,
                },
            )?;
        }
        Some(())
    }

    /// Sums of all taps on the map, each finished with the number of taps.
    fn sums(&self, output: &mut [i8], finish: impl Fn(i32, usize) -> Option<i8>) -> Option<()> {
        let rows = self.rows.get(..self.count)?;
        self.each_pixel(output, |pixel, steps| {
            let count = self.count.checked_mul(steps.count)?;
            let at_once = LARGEST_COUNT.checked_div(steps.count.max(1))?;
            let (blocks, rest) = pixel.as_chunks_mut::<BLOCK>();
            let mut steps = steps;
            for block in blocks {
                let mut sums = [0; BLOCK];
                for rows in rows.chunks(at_once.max(1)) {
                    let mut lanes = [0; 4];
                    for row in rows {
                        steps.add(row, &mut lanes)?;
                    }
                    flush(&mut sums, lanes);
                }
                for (value, sum) in block.iter_mut().zip(sums) {
                    *value = finish(sum, count)?;
                }
                steps.start = steps.start.checked_add(BLOCK)?;
            }
            for (channel, value) in rest.iter_mut().enumerate() {
                let mut sum = 0i32;
                for row in rows {
                    let mut at = steps.start.checked_add(channel)?;
                    for _ in 0..steps.count {
                        sum = sum.wrapping_add(i32::from(*row.get(at)?));
                        at = at.checked_add(steps.stride)?;
                    }
                }
                *value = finish(sum, count)?;
            }
            Some(())
        })
    }

    /// The largest value of all taps on the map, within bounds.
    fn maxima(&self, output: &mut [i8], [min, max]: [i8; 2]) -> Option<()> {
        let bounds = Bounds::new(min, max);
        let rows = self.rows.get(..self.count)?;
        self.each_pixel(output, |pixel, steps| {
            pixel.fill(i8::MIN);
            for row in rows {
                let mut at = steps.start;
                let mut left = steps.count;
                while left > 0 {
                    // Two taps at once; an odd one twice.
                    let next = if left > 1 { at.checked_add(steps.stride)? } else { at };
                    larger(
                        pixel,
                        row.get(at..)?.get(..self.channels)?,
                        row.get(next..)?.get(..self.channels)?,
                    );
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
