//! Cortex-M4, M7 and M33: the DSP extension's pairs of 16-bit multiplications.
//!
//! Convolutions work on a *stream*: int16 values of two pixels side by side, `[pixel pair][step][2 pixels][2 values]`, so that one load feeds
//! two pixels, and on *paired weights*: 16-bit lanes `256 * b + a` hold the weights of two output channels.

/// What assembly begins with: compilers for Armv8-M leave the DSP extension out, and the assembler does not know it by a name of its own.
#[cfg(ocelli_helium)]
macro_rules! instruction_set {
    () => {
        ".cpu cortex-m33"
    };
}
/// What assembly begins with: compilers for Armv7E-M have all instructions.
#[cfg(all(ocelli_dsp, not(ocelli_helium)))]
macro_rules! instruction_set {
    () => {
        ".thumb"
    };
}

mod add_tflite;
mod attention;
mod conv;
mod conv3x3;
mod conv_rgb;
mod depthwise;
mod depthwise_any;
mod elementwise;
pub mod intrinsics;
mod norm;
mod pack;
mod pointwise;
mod pool;
mod quads;
mod separable;
mod tflite;
mod widen;
mod words;

use super::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::Map;
use crate::Window;
use crate::attention::Attention;
use crate::elementwise::{Add, AddTfLite, Mul};
use crate::norm::Norm;
use crate::pool::AveragePool;
use crate::requantize::Rule;
use crate::requantize::{TfLite, TfLiteChannel};

/// The kernels of the DSP extension (Armv7E-M, and Armv8-M mainline with it). `LINKED` says by [`super::KERNELS`] which of those for
/// convolutions are linked; what needs another one is refused.
#[derive(Clone, Copy, Debug)]
pub struct Dsp<const LINKED: u64 = { super::KERNELS }>;

/// [`Arch::PARTS`].
const PARTS: usize = 4;

/// The kernels' bits in [`super::KERNELS`].
mod linked {
    /// Convolutions of 3x3 and stride 1.
    pub const CONV_3X3: u64 = 1 << 40;
    /// Convolutions of 3x3 and stride 2 of three channels.
    pub const CONV_RGB: u64 = 1 << 41;
    /// All other convolutions.
    pub const CONV_ANY: u64 = 1 << 42;
    /// Depthwise convolutions of 3x3.
    pub const DEPTHWISE_3X3: u64 = 1 << 43;
    /// All other depthwise convolutions.
    pub const DEPTHWISE_ANY: u64 = 1 << 44;
    /// 1x1 convolutions behind depthwise ones, four pixels at a time.
    pub const QUADS: u64 = 1 << 45;
    /// All other 1x1 convolutions behind depthwise ones.
    pub const PAIRS: u64 = 1 << 46;
}

impl<const LINKED: u64> Arch for Dsp<LINKED> {
    const ROWS: usize = 2;

    const PARTS: usize = PARTS;

    fn conv_kernels(shape: &ConvShape) -> u64 {
        conv::kernels(shape)
    }

    fn depthwise_kernels(shape: &ConvShape) -> u64 {
        separable::depthwise_kernels(shape)
    }

    fn separable_kernels(shape: &SeparableShape) -> u64 {
        separable::kernels(shape)
    }

    fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        conv::words::<R, LINKED>(shape)
    }

    fn pack_conv<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        conv::pack::<R, LINKED>(shape, parameters, packed)
    }

    fn conv_scratch<R: Rule>(shape: &ConvShape) -> usize {
        Self::conv_scratch_in_parts::<R>(shape, 1)
    }

    fn conv_scratch_in_parts<R: Rule>(shape: &ConvShape, parts: usize) -> usize {
        conv::scratch::<LINKED>(shape, parts)
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
        conv::conv::<R, LINKED>(shape, rule, packed, input, y, output, scratch)
    }

    fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        separable::depthwise_words::<R, LINKED>(shape)
    }

    fn pack_depthwise<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        separable::pack_depthwise::<R, LINKED>(shape, parameters, packed)
    }

    fn depthwise_scratch<R: Rule>(shape: &ConvShape) -> usize {
        Self::depthwise_scratch_in_parts::<R>(shape, 1)
    }

    fn depthwise_scratch_in_parts<R: Rule>(shape: &ConvShape, parts: usize) -> usize {
        separable::depthwise_scratch::<LINKED>(shape, parts)
    }

    fn depthwise<R: Rule>(
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        separable::depthwise::<R, LINKED>(shape, rule, packed, input, y, output, scratch)
    }

    fn separable_words<R: Rule>(shape: &SeparableShape) -> Option<usize> {
        separable::words::<R, LINKED>(shape)
    }

    fn pack_separable<R: Rule>(
        shape: &SeparableShape,
        parameters: [&Parameters<'_, R>; 2],
        packed: &mut [u32],
    ) -> Option<()> {
        separable::pack::<R, LINKED>(shape, parameters, packed)
    }

    fn separable_scratch<R: Rule>(shape: &SeparableShape) -> usize {
        Self::separable_scratch_in_parts::<R>(shape, 1)
    }

    fn separable_scratch_in_parts<R: Rule>(shape: &SeparableShape, parts: usize) -> usize {
        separable::depthwise_scratch::<LINKED>(&shape.depthwise, parts)
    }

    fn separable<R: Rule>(
        shape: &SeparableShape,
        rules: &SeparableRules<'_, R>,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        separable::separable::<R, LINKED>(shape, rules, packed, input, y, output, scratch)
    }

    fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
        elementwise::add(add, data, other)
    }

    fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
        add_tflite::add_tflite(add, data, other)
    }

    fn mul<R: Rule>(mul: &Mul<'_, R>, data: &mut [i8], other: &[i8]) -> Option<()> {
        elementwise::mul(mul, data, other)
    }

    fn attention_scratch(key_tokens: usize, key_head_dimension: usize, value_head_dimension: usize) -> usize {
        attention::scratch(key_tokens, key_head_dimension, value_head_dimension)
    }

    fn attention(
        attention: &Attention<'_>,
        maps: [&Map<'_>; 3],
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        attention::rows(attention, maps, y, output, scratch)
    }

    fn norm_pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
        norm::pixels(norm, data)
    }

    fn table(data: &mut [i8], table: &[i8; 256]) {
        elementwise::table(data, table);
    }

    fn max_row(window: &Window, input: &Map<'_>, y: usize, output: &mut [i8], bounds: [i8; 2]) -> Option<()> {
        pool::max_row(window, input, y, output, bounds)
    }

    fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
        pool::average_row(pool, input, y, output)
    }

    fn average_row_tflite(
        window: &Window,
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        rule: &TfLite,
    ) -> Option<()> {
        pool::average_row_tflite(window, input, y, output, rule)
    }

    fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
        pool::mean_tflite(input, output, rule, channel)
    }
}
