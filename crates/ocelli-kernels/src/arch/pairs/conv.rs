//! Convolutions without groups: what four pixels see is made pair words, and the 1x1 kernel does the rest.

use core::num::NonZero;

use super::pixels::Windows;
use super::stream::{self, Stream, padded};
use super::{Core, requantize};
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Weights of an output channel.
fn depth(shape: &ConvShape) -> Option<usize> {
    let [height, width] = shape.window.kernel.map(usize::from);
    height.checked_mul(width)?.checked_mul(shape.input[2]).filter(|&depth| depth > 0)
}

/// Whether windows are single pixels of the map.
fn is_pointwise(shape: &ConvShape) -> bool {
    let window = &shape.window;
    window.kernel == [1, 1] && window.padding == [0, 0]
}

/// [`crate::arch::Arch::conv_words`].
pub(in crate::arch) fn conv_words<C: Core, R: Rule>(shape: &ConvShape) -> Option<usize> {
    stream::words::<C>(depth(shape)?, shape.output[2], R::TFLITE)
}

/// [`crate::arch::Arch::pack_conv`].
pub(in crate::arch) fn pack_conv<C: Core, R: Rule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    if parameters.channels.len() != shape.output[2] {
        return None;
    }
    let Parameters { rule, channels, weights } = parameters;
    stream::pack::<C, R>(rule, channels, weights, depth(shape)?, packed)
}

/// [`crate::arch::Arch::conv_scratch`]: pair words, and patches where windows reach over the border.
pub(in crate::arch) fn conv_scratch<C: Core>(shape: &ConvShape) -> usize {
    let depth = depth(shape).unwrap_or(0);
    let patches = if is_pointwise(shape) { 0 } else { depth * 4 };
    padded::<C>(depth) * 8 + patches + SPARE
}

/// [`crate::arch::Arch::conv`].
pub(in crate::arch) fn conv<C: Core, R: Rule>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let [_, width, channels] = shape.output;
    let channels = NonZero::new(channels)?;
    let width = NonZero::new(width)?;
    if output.len().checked_rem(channels.checked_mul(width)?.get())? != 0 {
        return None;
    }
    let depth = depth(shape)?;
    let stream = Stream::<C>::new(packed, depth, channels.get(), R::TFLITE)?;
    let (x, rest) = take::<u32>(align(scratch)?, padded::<C>(depth).checked_mul(2)?)?;
    let windows = Windows::new(shape, input)?;
    let kernel_rows = usize::from(shape.window.kernel[0]);
    let patch = if is_pointwise(shape) { 0 } else { depth };
    let (patches, _) = take::<i8>(rest, patch.checked_mul(4)?)?;
    let run = NonZero::new(depth.checked_div(kernel_rows)?)?;

    let mut place = [y, 0];
    for group in output.chunks_mut(channels.checked_mul(NonZero::new(4)?)?.get()) {
        let mut at = [0; 4];
        let mut seen = [windows.seen(place)?; 4];
        for (pixel, seen) in seen.iter_mut().enumerate() {
            let start = pixel * channels.get();
            // Pixels that a last group lacks are its first one again.
            if start < group.len() {
                if let Some(at) = at.get_mut(pixel) {
                    *at = start;
                }
                *seen = windows.seen(place)?;
                place = if place[1] + 1 < width.get() { [place[0], place[1] + 1] } else { [place[0] + 1, 0] };
            }
            windows.prepare(seen, patches.get_mut(pixel * patch..)?.get_mut(..patch)?)?;
        }
        let patch = |pixel: usize| patches.get(pixel * patch..)?.get(..patch);
        let patches = [patch(0)?, patch(1)?, patch(2)?, patch(3)?];
        let [a, b, c, d] = &seen;
        for (tap_y, x) in x.chunks_exact_mut(run.get().checked_mul(2)?.max(1)).enumerate().take(kernel_rows) {
            let sources = [
                windows.run(a, patches[0], tap_y)?,
                windows.run(b, patches[1], tap_y)?,
                windows.run(c, patches[2], tap_y)?,
                windows.run(d, patches[3], tap_y)?,
            ];
            C::widen(sources, x)?;
        }
        C::pointwise(&stream, x, group, at)?;
    }
    requantize::clamp(rule, output);
    Some(())
}
