//! Maxima and means under a window.

use core::ops::Range;

use crate::requantize::TfLite;
use crate::{Map, Q32, Q32Channel, Requantize, TfLiteChannel, Window};

/// Channels reduced side by side.
const BLOCK: usize = 8;

/// Makes row `y` of a maximum: values outside the map never win. Output scale and zero point are the input's; `min..=max` bounds the
/// output (a fused activation).
pub fn max_row(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    [min, max]: [i8; 2],
) -> Option<()> {
    reduce_row(
        window,
        input,
        y,
        output,
        i32::from(i8::MIN),
        |largest, value| largest.max(value),
        |largest, _| Some((largest as i8).max(min).min(max)),
    )
}

/// A mean under the `Q32` rule.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool<'a> {
    /// The window.
    pub window: Window,
    /// Whether padding counts as zeros in the mean.
    pub count_include_pad: bool,
    /// Left shift of the sum, so that the multiplier stays below 1/2.
    pub shift: u32,
    /// Multiplier `input scale / output scale / taps * 2^(32 - shift)` and the output's zero point as bias.
    pub channel: &'a Q32Channel,
}

impl AveragePool<'_> {
    /// Makes output row `y`. With `sum = sum(x - zero_point)` over the taps on the map, taken to the full number of taps
    /// (`round(sum * taps / on the map)`) where padding does not count: `finish((sum << shift) + bias)`.
    pub fn row(&self, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
        let finish = |sum, count| self.finish(sum, count, input.zero_point);
        reduce_row(&self.window, input, y, output, 0, i32::wrapping_add, finish)
    }

    /// The mean of a sum of `count` taps on the map.
    #[inline(always)]
    pub(crate) fn finish(&self, sum: i32, count: usize, zero_point: i8) -> Option<i8> {
        let taps = u64::from(self.window.kernel[0]) * u64::from(self.window.kernel[1]);
        let count = u32::try_from(count).ok()?;
        let mut sum = sum.wrapping_sub(count.cast_signed().wrapping_mul(i32::from(zero_point)));
        if u64::from(count) != taps && !self.count_include_pad {
            // The magnitude is rounded: halves go away from zero.
            let magnitude =
                divide(u64::from(sum.unsigned_abs()) * taps + u64::from(count / 2), count)? as i32;
            sum = if sum < 0 { magnitude.wrapping_neg() } else { magnitude };
        }
        let accumulator = sum.wrapping_shl(self.shift).wrapping_add(self.channel.bias);
        Some(Q32.finish(self.channel, accumulator))
    }
}

/// `dividend / divisor`. Divisions of 64 bits are a library function of their own, so larger dividends, which need windows of thousands of taps,
/// are divided bit by bit.
fn divide(dividend: u64, divisor: u32) -> Option<u64> {
    if let Ok(dividend) = u32::try_from(dividend) {
        return Some(dividend.checked_div(divisor)?.into());
    }
    let divisor = u64::from(divisor);
    let (mut quotient, mut remainder) = (0, 0);
    for bit in (0..u64::BITS).rev() {
        remainder = remainder << 1 | dividend >> bit & 1;
        quotient <<= 1;
        if remainder >= divisor {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    Some(quotient)
}

/// Makes row `y` of a mean as TFLite's reference kernel does: output scale and zero point are the input's, padding does not count,
/// `round(sum / count)` with halves away from zero.
pub fn average_row_tflite(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    rule: &TfLite,
) -> Option<()> {
    reduce_row(window, input, y, output, 0, i32::wrapping_add, |sum, count| finish_tflite(sum, count, rule))
}

/// `round(sum / count)`, halves away from zero, within the bounds.
#[inline(always)]
pub(crate) fn finish_tflite(sum: i32, count: usize, rule: &TfLite) -> Option<i8> {
    let count = i32::try_from(count).ok()?;
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    Some(rule.clamp(sum.wrapping_add(half).checked_div(count)?))
}

/// A mean over the whole map as TFLite's reference kernel computes it: `finish(sum(x) + bias)` for each channel, where the multiplier holds
/// `1 / (height * width)` and the bias `-height * width * zero_point`.
pub fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
    reduce_row(&whole_window(input)?, input, 0, output, 0, i32::wrapping_add, |sum, _| {
        Some(rule.finish(channel, sum.wrapping_add(channel.bias)))
    })
}

/// A window over the whole map.
pub(crate) fn whole_window(input: &Map<'_>) -> Option<Window> {
    let kernel = [u16::try_from(input.height).ok()?, u16::try_from(input.width).ok()?];
    Some(Window { kernel, stride: [1, 1], dilation: [1, 1], padding: [0, 0] })
}

/// Folds the values of each channel under the window at each output pixel of row `y`; `finish` gets the fold and the number of taps on
/// the map.
#[inline]
fn reduce_row(
    window: &Window,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    start: i32,
    fold: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, usize) -> Option<i8>,
) -> Option<()> {
    if input.channels == 0 {
        return None;
    }
    let vertical = window.taps(0, y, input.height)?;
    for (x, pixel) in output.chunks_exact_mut(input.channels).enumerate() {
        let horizontal = window.taps(1, x, input.width)?;
        let count = (vertical.end - vertical.first) * (horizontal.end - horizontal.first);
        for (block, values) in pixel.chunks_mut(BLOCK).enumerate() {
            let range = block * BLOCK..block * BLOCK + values.len();
            let mut folded = [start; BLOCK];
            for tap_y in 0..vertical.end - vertical.first {
                let row = input.row(vertical.start + tap_y * vertical.step)?;
                for tap_x in 0..horizontal.end - horizontal.first {
                    let pixel = (horizontal.start + tap_x * horizontal.step) * input.channels;
                    fold_pixel(&mut folded, row.get(pixel..pixel + input.channels)?, &range, &fold)?;
                }
            }
            for (value, folded) in values.iter_mut().zip(folded) {
                *value = finish(folded, count)?;
            }
        }
    }
    Some(())
}

#[inline]
fn fold_pixel(
    folded: &mut [i32; BLOCK],
    pixel: &[i8],
    range: &Range<usize>,
    fold: &impl Fn(i32, i32) -> i32,
) -> Option<()> {
    for (folded, &value) in folded.iter_mut().zip(pixel.get(range.clone())?) {
        *folded = fold(*folded, i32::from(value));
    }
    Some(())
}
