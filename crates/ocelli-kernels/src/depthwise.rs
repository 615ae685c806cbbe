//! Depthwise convolution: each input channel makes its own output channels.

use crate::map::Taps;
use crate::{Map, Requantize, Window};

/// A depthwise convolution's window and weights.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<'a> {
    /// The window.
    pub window: Window,
    /// Output channels an input channel, at least 1: output channel `c` reads input channel `c / multiplier`.
    pub channel_multiplier: usize,
    /// `[kernel height][kernel width][output channels]`.
    pub weights: &'a [i8],
}

/// Channels accumulated side by side, in registers where the core has enough.
const BLOCK: usize = 8;

impl DepthwiseConv2d<'_> {
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
        if channels.is_empty() || input.channels.checked_mul(self.channel_multiplier)? != channels.len() {
            return None;
        }
        let vertical = self.window.taps(0, y, input.height)?;
        for (x, pixel) in output.chunks_exact_mut(channels.len()).enumerate() {
            let horizontal = self.window.taps(1, x, input.width)?;
            let blocks = pixel.chunks_mut(BLOCK).zip(channels.chunks(BLOCK));
            for (block, (pixel, channels_of_block)) in blocks.enumerate() {
                let mut sums = [0i32; BLOCK];
                for (sum, channel) in sums.iter_mut().zip(channels_of_block) {
                    *sum = R::bias(channel);
                }
                let first = block * BLOCK;
                self.accumulate(
                    input,
                    [vertical, horizontal],
                    first..first + pixel.len(),
                    channels.len(),
                    &mut sums,
                )?;
                for ((value, channel), sum) in pixel.iter_mut().zip(channels_of_block).zip(sums) {
                    *value = rule.finish(channel, sum);
                }
            }
        }
        Some(())
    }

    /// Adds `weight * input` over the window at one output pixel to the sums of the output channels in `range`.
    #[inline]
    fn accumulate(
        &self,
        input: &Map<'_>,
        [vertical, horizontal]: [Taps; 2],
        range: core::ops::Range<usize>,
        outputs: usize,
        sums: &mut [i32; BLOCK],
    ) -> Option<()> {
        let padding = i32::from(input.zero_point);
        let kernel_width = usize::from(self.window.kernel[1]);
        for tap_y in 0..usize::from(self.window.kernel[0]) {
            let row = if tap_y < vertical.first || tap_y >= vertical.end {
                None
            } else {
                Some(input.row(vertical.start + (tap_y - vertical.first) * vertical.step)?)
            };
            for tap_x in 0..kernel_width {
                let tap = (tap_y * kernel_width + tap_x) * outputs;
                let weights = self.weights.get(tap + range.start..tap + range.end)?;
                let row = row.filter(|_| tap_x >= horizontal.first && tap_x < horizontal.end);
                let Some(row) = row else {
                    for (sum, &weight) in sums.iter_mut().zip(weights) {
                        *sum = sum.wrapping_add(padding * i32::from(weight));
                    }
                    continue;
                };
                let pixel =
                    (horizontal.start + (tap_x - horizontal.first) * horizontal.step) * input.channels;
                let pixel = row.get(pixel..pixel + input.channels)?;
                if self.channel_multiplier == 1 {
                    for ((sum, &weight), &value) in
                        sums.iter_mut().zip(weights).zip(pixel.get(range.clone())?)
                    {
                        *sum = sum.wrapping_add(i32::from(value) * i32::from(weight));
                    }
                } else {
                    for ((sum, &weight), channel) in sums.iter_mut().zip(weights).zip(range.clone()) {
                        let value = *pixel.get(channel.checked_div(self.channel_multiplier)?)?;
                        *sum = sum.wrapping_add(i32::from(value) * i32::from(weight));
                    }
                }
            }
        }
        Some(())
    }
}
