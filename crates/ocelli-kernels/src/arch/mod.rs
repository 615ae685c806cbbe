//! Kernels for particular instruction sets. Each equals the portable kernels bit for bit.
//!
//! [`Arch`] is what an engine calls. Its defaults are the portable kernels; an architecture replaces what it does faster. Convolutions
//! have parameters in a layout of each architecture's own, which its `pack_*` functions write from the portable one; where they return
//! `None`, a layer keeps the portable form. Maps are the same everywhere: `height x width x channels`, channels innermost.
//!
//! Every architecture compiles everywhere: where a build has not its instructions, a model in plain Rust reads the same layout, so that the
//! host runs any packed model.

pub mod armv6m;
pub mod armv7m;
pub mod dsp;
mod heads;
pub mod helium;
mod line;
mod pairs;
pub mod rv32;
mod scalar;

use crate::attention::{self, Attention};
use crate::elementwise::{self, Add, AddTfLite, Mul};
use crate::norm::Norm;
use crate::pool::{self, AveragePool};
use crate::requantize::{Rule, TfLite, TfLiteChannel};
use crate::{Map, Window};

/// Shapes of a convolution without groups, or of a depthwise one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// The window.
    pub window: Window,
    /// Height, width and channels of the input.
    pub input: [usize; 3],
    /// Height, width and channels of the output. A depthwise convolution has as many as the input.
    pub output: [usize; 3],
    /// Zero point of the input: what padding counts as.
    pub zero_point: i8,
}

impl ConvShape {
    /// Whether each output sees one pixel of the map, and no padding.
    pub(crate) fn sees_single_pixels(&self) -> bool {
        let Window { kernel, stride: [vertical, horizontal], padding, .. } = self.window;
        let ([height, width, _], [rows, columns, _]) = (self.input, self.output);
        let on_map = |outputs: usize, stride: u16, size: usize| {
            outputs.saturating_sub(1).saturating_mul(stride.into()) < size
        };
        kernel == [1, 1]
            && padding == [0, 0]
            && on_map(rows, vertical, height)
            && on_map(columns, horizontal, width)
    }
}

/// Parameters of a convolution as the portable kernels take them.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a, R: Rule> {
    /// The rule.
    pub rule: R,
    /// One entry an output channel.
    pub channels: &'a [R::Channel],
    /// As [`crate::conv::Conv2d`] or [`crate::depthwise::DepthwiseConv2d`] have them.
    pub weights: &'a [i8],
}

/// A depthwise convolution, an optional table, and a 1x1 convolution of stride 1 without padding, as one layer: what lies between them is
/// never a map in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeparableShape {
    /// The depthwise convolution.
    pub depthwise: ConvShape,
    /// Output channels of the 1x1 convolution.
    pub outputs: usize,
}

/// The rules of the two convolutions of a separable layer, and the table between them.
#[derive(Clone, Copy, Debug)]
pub struct SeparableRules<'a, R: Rule> {
    /// Of the depthwise convolution.
    pub depthwise: R,
    /// Applied to its output.
    pub table: Option<&'a [i8; 256]>,
    /// Of the 1x1 convolution.
    pub pointwise: R,
}

/// The bits of a mask of what a program links that say which of a target's kernels it does, in an order of each target's own. Targets whose
/// kernels are few do not tell them apart.
pub const KERNELS: u64 = 0xffff << 40;

/// The kernels of an instruction set.
///
/// Functions that make rows make as many as `output` holds, from row `y` on, and read only the rows of the input that these outputs see.
/// `scratch` is at least what the `*_scratch_in_parts` function says for some number of parts, at any address, with any contents. Functions return `None` where shapes and
/// slices do not fit together, or where what `packed` holds makes no sense; what does may be anything, but then outputs may, too.
pub trait Arch {
    /// Rows that convolutions make at once where they can: calls of a multiple of it are faster.
    const ROWS: usize = 1;

    /// Parts at most that kernels can make a row in, one after another, to work in less memory.
    const PARTS: usize = 1;

    /// Which of [`KERNELS`] a convolution takes.
    fn conv_kernels(_shape: &ConvShape) -> u64 {
        0
    }

    /// As [`Arch::conv_kernels`], for a depthwise convolution.
    fn depthwise_kernels(_shape: &ConvShape) -> u64 {
        0
    }

    /// As [`Arch::conv_kernels`], for a separable layer.
    fn separable_kernels(_shape: &SeparableShape) -> u64 {
        0
    }

    /// Words of a convolution's packed parameters; `None` where the architecture has no kernel for its shape.
    fn conv_words<R: Rule>(_shape: &ConvShape) -> Option<usize> {
        None
    }

    /// Writes a convolution's parameters; `None` where they cannot be computed exactly in this form.
    fn pack_conv<R: Rule>(
        _shape: &ConvShape,
        _parameters: &Parameters<'_, R>,
        _packed: &mut [u32],
    ) -> Option<()> {
        None
    }

    /// Whether [`Arch::conv`] runs on these parameters, of which there are [`Arch::conv_words`]: it returns `None` for others, which may
    /// take long to find out and so is asked for once before.
    fn check_conv<R: Rule>(_shape: &ConvShape, _packed: &[u32]) -> Option<()> {
        Some(())
    }

    /// Bytes that [`Arch::conv`] works in.
    fn conv_scratch<R: Rule>(_shape: &ConvShape) -> usize {
        0
    }

    /// Bytes that [`Arch::conv`] works in where it makes rows in up to `parts` parts, from 1 to [`Arch::PARTS`]: as many as there is memory for.
    fn conv_scratch_in_parts<R: Rule>(shape: &ConvShape, _parts: usize) -> usize {
        Self::conv_scratch::<R>(shape)
    }

    /// A convolution.
    fn conv<R: Rule>(
        _shape: &ConvShape,
        _rule: &R,
        _packed: &[u32],
        _input: &Map<'_>,
        _y: usize,
        _output: &mut [i8],
        _scratch: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// As [`Arch::conv_words`], for a depthwise convolution that makes one output channel of an input channel.
    fn depthwise_words<R: Rule>(_shape: &ConvShape) -> Option<usize> {
        None
    }

    /// As [`Arch::pack_conv`].
    fn pack_depthwise<R: Rule>(
        _shape: &ConvShape,
        _parameters: &Parameters<'_, R>,
        _packed: &mut [u32],
    ) -> Option<()> {
        None
    }

    /// Bytes that [`Arch::depthwise`] works in.
    fn depthwise_scratch<R: Rule>(_shape: &ConvShape) -> usize {
        0
    }

    /// Bytes that [`Arch::depthwise`] works in where it makes rows in up to `parts` parts, from 1 to [`Arch::PARTS`]: as many as there is memory for.
    fn depthwise_scratch_in_parts<R: Rule>(shape: &ConvShape, _parts: usize) -> usize {
        Self::depthwise_scratch::<R>(shape)
    }

    /// A depthwise convolution.
    fn depthwise<R: Rule>(
        _shape: &ConvShape,
        _rule: &R,
        _packed: &[u32],
        _input: &Map<'_>,
        _y: usize,
        _output: &mut [i8],
        _scratch: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// As [`Arch::conv_words`], for a separable layer.
    fn separable_words<R: Rule>(_shape: &SeparableShape) -> Option<usize> {
        None
    }

    /// As [`Arch::pack_conv`]: the depthwise convolution's parameters and the 1x1 convolution's.
    fn pack_separable<R: Rule>(
        _shape: &SeparableShape,
        _parameters: [&Parameters<'_, R>; 2],
        _packed: &mut [u32],
    ) -> Option<()> {
        None
    }

    /// As [`Arch::check_conv`].
    fn check_separable<R: Rule>(_shape: &SeparableShape, _packed: &[u32]) -> Option<()> {
        Some(())
    }

    /// Bytes that [`Arch::separable`] works in.
    fn separable_scratch<R: Rule>(_shape: &SeparableShape) -> usize {
        0
    }

    /// Bytes that [`Arch::separable`] works in where it makes rows in up to `parts` parts, from 1 to [`Arch::PARTS`]: as many as there is memory for.
    fn separable_scratch_in_parts<R: Rule>(shape: &SeparableShape, _parts: usize) -> usize {
        Self::separable_scratch::<R>(shape)
    }

    /// A separable layer; `output` holds rows of the 1x1 convolution's output.
    fn separable<R: Rule>(
        _shape: &SeparableShape,
        _rules: &SeparableRules<'_, R>,
        _packed: &[u32],
        _input: &Map<'_>,
        _y: usize,
        _output: &mut [i8],
        _scratch: &mut [i8],
    ) -> Option<()> {
        None
    }

    /// [`Add::apply`].
    fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
        add.apply(data, other)
    }

    /// [`AddTfLite::apply`].
    fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
        add.apply(data, other)
    }

    /// [`Mul::apply`].
    fn mul<R: Rule>(mul: &Mul<'_, R>, data: &mut [i8], other: &[i8]) -> Option<()> {
        mul.apply(data, other)
    }

    /// [`elementwise::table`].
    fn table(data: &mut [i8], table: &[i8; 256]) {
        elementwise::table(data, table);
    }

    /// [`pool::max_row`].
    fn max_row(window: &Window, input: &Map<'_>, y: usize, output: &mut [i8], bounds: [i8; 2]) -> Option<()> {
        pool::max_row(window, input, y, output, bounds)
    }

    /// [`AveragePool::row`].
    fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
        pool.row(input, y, output)
    }

    /// [`pool::average_row_tflite`].
    fn average_row_tflite(
        window: &Window,
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        rule: &TfLite,
    ) -> Option<()> {
        pool::average_row_tflite(window, input, y, output, rule)
    }

    /// [`pool::mean_tflite`].
    fn mean_tflite(input: &Map<'_>, output: &mut [i8], rule: &TfLite, channel: &TfLiteChannel) -> Option<()> {
        pool::mean_tflite(input, output, rule, channel)
    }

    /// [`Norm::pixels`].
    fn norm_pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
        norm.pixels(data)
    }

    /// Bytes that [`Arch::attention`] works in.
    fn attention_scratch(
        key_tokens: usize,
        key_head_dimension: usize,
        _value_head_dimension: usize,
    ) -> usize {
        attention::scratch_bytes(key_tokens, key_head_dimension)
    }

    /// [`Attention::row`], for as many rows of the query as `output` holds.
    fn attention(
        attention: &Attention<'_>,
        maps: [&Map<'_>; 3],
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        heads::portable(attention, maps, y, output, scratch)
    }
}

/// The portable kernels.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Arch for Portable {}
