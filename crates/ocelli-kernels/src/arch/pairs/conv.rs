//! Convolutions without groups: what four pixels see is made pair words, and the 1x1 kernel does the rest.

use core::num::NonZero;

use super::pixels::{Cursor, Windows};
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

/// [`crate::arch::Arch::check_conv`].
pub(in crate::arch) fn check_conv<C: Core, R: Rule>(shape: &ConvShape, packed: &[u32]) -> Option<()> {
    Stream::<C>::new(packed, depth(shape)?, shape.output[2], R::TFLITE).map(|_| ())
}

/// [`crate::arch::Arch::conv_scratch`]: pair words, and patches where windows reach over the border.
pub(in crate::arch) fn conv_scratch<C: Core>(shape: &ConvShape) -> usize {
    let depth = depth(shape).unwrap_or(0);
    let patches = if shape.sees_single_pixels() { 0 } else { depth * 4 };
    padded::<C>(depth) * 8 + patches + SPARE
}

/// The pixels that as many rows of a 1x1 convolution as `length` values are see, if they lie one after the other.
fn single_pixels<'a>(shape: &ConvShape, input: &Map<'a>, y: usize, length: usize) -> Option<&'a [i8]> {
    let fits = shape.sees_single_pixels()
        && shape.window.stride == [1, 1]
        && shape.output[1] == input.width
        && shape.input == [input.height, input.width, input.channels];
    let row = shape.output[1].checked_mul(shape.output[2])?;
    input.rows(y, length.checked_div(row)?).filter(|_| fits)
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
    if let Some(pixels) = single_pixels(shape, input, y, output.len()) {
        let four = NonZero::new(4)?;
        // Zipped chunks would divide by what may be 0, as far as the linker sees.
        let mut groups = pixels.chunks(NonZero::new(depth)?.checked_mul(four)?.get());
        for group in output.chunks_mut(channels.checked_mul(four)?.get()) {
            let pixels = groups.next()?;
            let mut sources = [pixels.get(..depth)?; 4];
            let mut at = [0; 4];
            let (mut from, mut to) = (depth, channels.get());
            for (source, at) in sources.iter_mut().zip(&mut at).skip(1) {
                // Pixels that a last group lacks are its first one again.
                let Some(pixel) = pixels.get(from..from + depth) else { break };
                (*source, *at) = (pixel, to);
                (from, to) = (from + depth, to + channels.get());
            }
            C::widen(sources, x)?;
            C::pointwise::<R>(&stream, x, group, at)?;
        }
        requantize::clamp(rule, output);
        return Some(());
    }
    let windows = Windows::new(shape, input)?;
    let kernel_rows = usize::from(shape.window.kernel[0]);
    let patch = if shape.sees_single_pixels() { 0 } else { depth };
    let (patches, _) = take::<i8>(rest, patch.checked_mul(4)?)?;
    let run = depth.checked_div(kernel_rows)?.checked_mul(2)?.max(1);

    let mut cursor = Cursor::new(shape, y)?;
    for group in output.chunks_mut(channels.checked_mul(NonZero::new(4)?)?.get()) {
        let mut at = [0; 4];
        let (first, rest) = patches.split_at_mut_checked(patch)?;
        let (second, rest) = rest.split_at_mut_checked(patch)?;
        let (third, fourth) = rest.split_at_mut_checked(patch)?;
        let mut pixels = [windows.next(&mut cursor, first)?; 4];
        let mut sources = [&*first; 4];
        let others = pixels.iter_mut().zip(&mut sources).zip(&mut at).skip(1).zip([second, third, fourth]);
        let mut start = channels.get();
        for (((pixel, source), at), patch) in others {
            // Pixels that a last group lacks are its first one again.
            if start < group.len() {
                *pixel = windows.next(&mut cursor, patch)?;
                *source = patch;
                *at = start;
                start += channels.get();
            }
        }
        for (tap_y, x) in x.chunks_exact_mut(NonZero::new(run)?.get()).enumerate().take(kernel_rows) {
            C::widen(windows.runs(&pixels, sources, tap_y)?, x)?;
        }
        C::pointwise::<R>(&stream, x, group, at)?;
    }
    requantize::clamp(rule, output);
    Some(())
}
