//! Convolution with any kernel, stride, dilation, padding and groups; fully connected layers are its 1x1 case.

use core::num::NonZero;

use crate::map::Taps;
use crate::{Map, Requantize, Window};

/// A convolution's window and weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// The window.
    pub window: Window,
    /// Independent groups of input and output channels, at least 1.
    pub groups: usize,
    /// `[output channels][kernel height][kernel width][input channels / groups]`.
    pub weights: &'a [i8],
}

/// Output channels made side by side, so that an input value is loaded once for all of them.
const BLOCK: usize = 4;

impl Conv2d<'_> {
    /// Makes output row `y`: `output` holds `output width * output channels` values, `channels` one entry an output channel.
    ///
    /// For each output, `accumulator = bias + sum(weight * input)`, where padding counts as the input's zero point.
    pub fn row<R: Requantize>(
        &self,
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        rule: &R,
        channels: &[R::Channel],
    ) -> Option<()> {
        // Lengths of chunks, which must not be zero.
        let pixel_length = NonZero::new(channels.len())?;
        let inputs = NonZero::new(input.channels.checked_div(self.groups)?)?;
        let outputs = NonZero::new(channels.len().checked_div(self.groups)?)?;
        let [height, width] = self.window.kernel.map(usize::from);
        let taps = NonZero::new(height)?.checked_mul(NonZero::new(width)?)?.checked_mul(inputs)?;
        let taps_of_block = taps.checked_mul(NonZero::new(BLOCK)?)?.get();
        let taps_of_group = taps.checked_mul(outputs)?.get();
        let (inputs, outputs, taps) = (inputs.get(), outputs.get(), taps.get());
        let vertical = self.window.taps(0, y, input.height)?;
        for (x, pixel) in output.chunks_exact_mut(pixel_length.get()).enumerate() {
            let horizontal = self.window.taps(1, x, input.width)?;
            let seen = self.seen_by_one_tap(input, [vertical, horizontal])?;
            // Not zipped: zipping chunks divides by their lengths, which can panic as far as the linker sees.
            let mut channels_of_groups = channels.chunks_exact(outputs);
            let mut weights_of_groups = self.weights.chunks_exact(taps_of_group);
            for (group, pixel) in pixel.chunks_exact_mut(outputs).enumerate() {
                let mut weights_of_blocks = weights_of_groups.next()?.chunks(taps_of_block);
                for (pixel, channels) in pixel.chunks_mut(BLOCK).zip(channels_of_groups.next()?.chunks(BLOCK))
                {
                    let weights = weights_of_blocks.next()?;
                    let mut rows = weights.chunks_exact(taps);
                    let first = rows.next()?;
                    // A block that is not full computes its first channel again rather than branch in the loop.
                    let mut next = || rows.next().unwrap_or(first);
                    let weights = [first, next(), next(), next()];
                    let sums = match seen {
                        Some(values) => {
                            let mut sums = [0; BLOCK];
                            add_products(&mut sums, values, weights, 0)?;
                            sums
                        }
                        None => {
                            self.accumulate(input, [vertical, horizontal], group * inputs, inputs, weights)?
                        }
                    };
                    for ((value, channel), sum) in pixel.iter_mut().zip(channels).zip(sums) {
                        *value = rule.finish(channel, R::bias(channel).wrapping_add(sum));
                    }
                }
            }
        }
        Some(())
    }

    /// The pixel that a 1x1 window of one group sees, so that it is looked up once for all output channels; `None` inside for other
    /// windows and on the border.
    #[inline]
    fn seen_by_one_tap<'m>(
        &self,
        input: &Map<'m>,
        [vertical, horizontal]: [Taps; 2],
    ) -> Option<Option<&'m [i8]>> {
        let one = self.window.kernel == [1, 1] && self.groups == 1;
        if !one || vertical.first == vertical.end || horizontal.first == horizontal.end {
            return Some(None);
        }
        let start = horizontal.start.wrapping_mul(input.channels);
        Some(Some(input.row(vertical.start)?.get(start..)?.get(..input.channels)?))
    }

    /// `sum(weight * input)` for a block of output channels at one output pixel; `weights` are the taps of each channel.
    #[inline]
    fn accumulate(
        &self,
        input: &Map<'_>,
        [vertical, horizontal]: [Taps; 2],
        first_channel: usize,
        channels: usize,
        weights: [&[i8]; BLOCK],
    ) -> Option<[i32; BLOCK]> {
        let kernel_row = usize::from(self.window.kernel[1]) * channels;
        let zero_point = i32::from(input.zero_point);
        let mut sums = [0i32; BLOCK];

        for tap_y in 0..usize::from(self.window.kernel[0]) {
            let weights = weights.map(|taps| taps.get(tap_y * kernel_row..(tap_y + 1) * kernel_row));
            let weights = all(weights)?;
            if tap_y < vertical.first || tap_y >= vertical.end {
                add_padding(&mut sums, zero_point, weights, 0..kernel_row)?;
                continue;
            }
            let row = input.row(vertical.start + (tap_y - vertical.first) * vertical.step)?;
            add_padding(&mut sums, zero_point, weights, 0..horizontal.first * channels)?;
            add_padding(&mut sums, zero_point, weights, horizontal.end * channels..kernel_row)?;
            if horizontal.step == 1 && channels == input.channels {
                let length = (horizontal.end - horizontal.first) * channels;
                add_products(
                    &mut sums,
                    row.get(horizontal.start * channels..)?.get(..length)?,
                    weights,
                    horizontal.first * channels,
                )?;
            } else {
                for tap_x in horizontal.first..horizontal.end {
                    let pixel = horizontal.start + (tap_x - horizontal.first) * horizontal.step;
                    let values = row.get(pixel * input.channels + first_channel..)?.get(..channels)?;
                    add_products(&mut sums, values, weights, tap_x * channels)?;
                }
            }
        }
        Some(sums)
    }
}

/// The array of all values, where none is missing.
#[inline]
fn all<T: Copy>([a, b, c, d]: [Option<T>; BLOCK]) -> Option<[T; BLOCK]> {
    Some([a?, b?, c?, d?])
}

/// Adds `values . weights[start..]` to each sum.
#[inline]
fn add_products(sums: &mut [i32; BLOCK], values: &[i8], weights: [&[i8]; BLOCK], start: usize) -> Option<()> {
    let [a, b, c, d] = all(weights.map(|taps| taps.get(start..)?.get(..values.len())))?;
    let [mut sum_a, mut sum_b, mut sum_c, mut sum_d] = *sums;
    for ((((&value, &a), &b), &c), &d) in values.iter().zip(a).zip(b).zip(c).zip(d) {
        let value = i32::from(value);
        sum_a = sum_a.wrapping_add(value * i32::from(a));
        sum_b = sum_b.wrapping_add(value * i32::from(b));
        sum_c = sum_c.wrapping_add(value * i32::from(c));
        sum_d = sum_d.wrapping_add(value * i32::from(d));
    }
    *sums = [sum_a, sum_b, sum_c, sum_d];
    Some(())
}

/// Adds `zero_point * sum(weights[range])` to each sum: what taps outside the map see.
#[inline]
fn add_padding(
    sums: &mut [i32; BLOCK],
    zero_point: i32,
    weights: [&[i8]; BLOCK],
    range: core::ops::Range<usize>,
) -> Option<()> {
    if range.is_empty() {
        return Some(());
    }
    for (sum, taps) in sums.iter_mut().zip(weights) {
        let total = taps
            .get(range.clone())?
            .iter()
            .fold(0i32, |total, &weight| total.wrapping_add(i32::from(weight)));
        *sum = sum.wrapping_add(zero_point.wrapping_mul(total));
    }
    Some(())
}
