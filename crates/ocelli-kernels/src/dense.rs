//! Fully connected layers: convolutions of stride 1 whose windows lie on the map.

use core::num::NonZero;

use crate::{Map, Requantize};

/// A fully connected layer's kernel size and weights.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// Height and width of the window: those of the map, or 1x1.
    pub kernel: [u16; 2],
    /// `[output channels][kernel height][kernel width][input channels]`.
    pub weights: &'a [i8],
}

impl Dense<'_> {
    /// Makes output row `y`, as [`crate::conv::Conv2d::row`] does.
    pub fn row<R: Requantize>(
        &self,
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        rule: &R,
        channels: &[R::Channel],
    ) -> Option<()> {
        let [height, width] = self.kernel.map(usize::from);
        let length = NonZero::new(width.checked_mul(input.channels)?)?;
        let taps = NonZero::new(height)?.checked_mul(length)?;
        for (x, pixel) in output.chunks_exact_mut(NonZero::new(channels.len())?.get()).enumerate() {
            let outputs = pixel.iter_mut().zip(channels).zip(self.weights.chunks_exact(taps.get()));
            for ((value, channel), weights) in outputs {
                let mut sum = R::bias(channel);
                for (tap, weights) in weights.chunks_exact(length.get()).enumerate() {
                    let seen = input.row(y.checked_add(tap)?)?.get(x.checked_mul(input.channels)?..)?;
                    for (&weight, &value) in weights.iter().zip(seen.get(..length.get())?) {
                        sum = sum.wrapping_add(i32::from(weight) * i32::from(value));
                    }
                }
                *value = rule.finish(channel, sum);
            }
        }
        Some(())
    }
}
