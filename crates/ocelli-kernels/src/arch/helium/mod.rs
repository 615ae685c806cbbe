//! Cortex-M55 and M85: the M-profile vector extension (Helium).
//!
//! The functions in assembly are few and general: sums of products along pixels (`dot`), depthwise windows (`windows`), and loops over
//! bytes (`bytes`). Each has a safe wrapper that checks lengths, and a model in plain Rust that takes its place elsewhere; what calls them
//! is the same on all targets.

#[cfg(ocelli_helium)]
mod asm;
mod attention;
mod bytes;
mod conv;
mod depthwise;
mod dot;
#[cfg(ocelli_helium)]
mod elementwise;
#[cfg(ocelli_helium)]
mod norm;
mod patches;
#[cfg(ocelli_helium)]
mod pool;
mod quad;
mod separable;
mod windows;

use super::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::Map;
use crate::requantize::Rule;
#[cfg(ocelli_helium)]
use crate::{
    TfLite, TfLiteChannel, Window,
    attention::Attention,
    elementwise::{Add, AddTfLite},
    norm::Norm,
    pool::AveragePool,
};

/// The kernels of the M-profile vector extension.
#[derive(Clone, Copy, Debug)]
pub struct Helium;

impl Arch for Helium {
    /// Two rows of a 3x3 depthwise convolution share the four rows that they see.
    const ROWS: usize = 2;

    fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        conv::Plan::new(shape)?.dot.words::<R>()
    }

    fn pack_conv<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        conv::Plan::new(shape)?.pack(shape, parameters, packed)
    }

    fn conv_scratch<R: Rule>(shape: &ConvShape) -> usize {
        conv::Plan::new(shape).and_then(|plan| plan.scratch(shape)).unwrap_or(0)
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
        conv::Plan::new(shape)?.rows(shape, rule, packed, input, y, output, scratch)
    }

    fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        depthwise::Plan::new(shape)?.words::<R>()
    }

    fn pack_depthwise<R: Rule>(
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        depthwise::Plan::new(shape)?.pack(parameters, packed)
    }

    fn depthwise_scratch<R: Rule>(shape: &ConvShape) -> usize {
        depthwise::Plan::new(shape).and_then(|plan| plan.scratch()).unwrap_or(0)
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
        depthwise::rows(shape, rule, packed, input, y, output, scratch)
    }

    fn separable_words<R: Rule>(shape: &SeparableShape) -> Option<usize> {
        separable::Plan::new(shape)?.words::<R>()
    }

    fn pack_separable<R: Rule>(
        shape: &SeparableShape,
        parameters: [&Parameters<'_, R>; 2],
        packed: &mut [u32],
    ) -> Option<()> {
        separable::Plan::new(shape)?.pack(parameters, packed)
    }

    fn separable_scratch<R: Rule>(shape: &SeparableShape) -> usize {
        separable::Plan::new(shape).and_then(|plan| plan.scratch()).unwrap_or(0)
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
        separable::Plan::new(shape)?.rows(rules, packed, input, y, output, scratch)
    }

    fn table(data: &mut [i8], table: &[i8; 256]) {
        bytes::table(data, table);
    }

    fn attention_scratch(key_tokens: usize, key_head_dimension: usize, value_head_dimension: usize) -> usize {
        attention::scratch(key_tokens, key_head_dimension, value_head_dimension)
    }

    #[cfg(ocelli_helium)]
    fn attention(
        attention: &Attention<'_>,
        maps: [&Map<'_>; 3],
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        attention::rows(attention, maps, y, output, scratch)
    }

    #[cfg(ocelli_helium)]
    fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
        elementwise::add(add, data, other)
    }

    #[cfg(ocelli_helium)]
    fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
        elementwise::add_tflite(add, data, other)
    }

    #[cfg(ocelli_helium)]
    fn max_row(window: &Window, input: &Map<'_>, y: usize, output: &mut [i8], bounds: [i8; 2]) -> Option<()> {
        pool::max_row(window, input, y, output, bounds)
    }

    #[cfg(ocelli_helium)]
    fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
        pool::average_row(pool, input, y, output)
    }

    #[cfg(ocelli_helium)]
    fn average_row_tflite(
        window: &Window,
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        rule: &TfLite,
    ) -> Option<()> {
        pool::average_row_tflite(window, input, y, output, rule)
    }

    #[cfg(ocelli_helium)]
    fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
        pool::mean_tflite(input, output, rule, channel)
    }

    #[cfg(ocelli_helium)]
    fn norm_pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
        norm::pixels(norm, data)
    }
}
