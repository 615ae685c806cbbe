//! Cortex-M4, M7 and M33: the DSP extension's pairs of 16-bit multiplications.
//!
//! Convolutions work on a *stream*: int16 values of two pixels side by side, `[pixel pair][step][2 pixels][2 values]`, so that one load feeds
//! two pixels, and on *paired weights*: 16-bit lanes `256 * b + a` hold the weights of two output channels.

mod conv;
pub mod intrinsics;
mod pack;
mod pointwise;
mod widen;

use super::{Arch, ConvShape, Parameters};
use crate::Map;
use crate::requantize::Rule;

/// The kernels of the DSP extension (Armv7E-M, and Armv8-M mainline with it).
#[derive(Clone, Copy, Debug)]
pub struct Dsp;

impl Arch for Dsp {
    const ROWS: usize = 2;

    fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        conv::words::<R>(shape)
    }

    fn pack_conv<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        conv::pack(shape, parameters, packed)
    }

    fn conv_scratch<R: Rule>(shape: &ConvShape) -> usize {
        conv::scratch(shape)
    }

    fn conv<R: Rule>(
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        conv::conv(shape, rule, packed, input, y, output, scratch)
    }
}
