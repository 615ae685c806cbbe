//! Convolutions on cores without SIMD: two pixels in one multiplication.
//!
//! A *pair word* holds two pixels' values of one channel as `(high << 16) + low`, both signed. One multiplication by an int8 weight makes
//! both products, modulo 2^32. The sum over a *block* of weights with `sum(|weight|) <= 255` keeps the low product within +-32640, so that
//! after adding 0x8000 the two sums separate exactly: `high += sum >> 16`, and `low` follows at the end from the sum of all blocks modulo
//! 2^32. Accumulators are therefore exact modulo 2^32, as the portable kernels' are, whatever the weights and inputs.
//!
//! The cores differ in how long a step of the unrolled inner loop is, in how the weight stream enters it, and in requantization: [`Core`].

mod add;
#[cfg(any(ocelli_armv6m, ocelli_armv7m))]
pub(super) mod assembly;
mod conv;
mod depthwise;
mod pixels;
mod requantize;
mod separable;
mod stream;

pub(super) use add::add_tflite;
pub(super) use conv::{check_conv, conv, conv_scratch, conv_words, pack_conv};
pub(super) use depthwise::{
    Columns, Taps, Work, depthwise, depthwise_scratch, depthwise_words, each_channel, model_columns,
    model_taps, pack_depthwise,
};
pub(super) use requantize::{finish_wide, wide_trailer};
pub(super) use separable::{check_separable, pack_separable, separable, separable_scratch, separable_words};
pub(super) use stream::{Jump, Stream, model_pointwise, model_widen};

use crate::requantize::{Rule, TfLite, TfLiteChannel};

/// Words that a channel's requantization has at most.
pub(super) const TRAILER: usize = 5;

/// What the cores differ in.
pub(super) trait Core: Sized {
    /// Weights a step of the inner loop.
    const STEP: usize;
    /// Steps a block has at most.
    const STEPS: usize;
    /// Bytes of a jump: 1 or 2.
    const JUMP: usize;
    /// Words of requantization a channel, under `Q32` and `TfLite`.
    const TRAILERS: [usize; 2];

    /// Weights of the block that a jump after a block enters, by the jump's first byte; 0 where it is no such jump.
    const LENGTHS: &'static [u8; 256];
    /// What the jump at a channel's start is ahead of a jump after a block to as many steps, where jumps are bytes.
    const FIRST: Option<u8>;

    /// The bytes that jump, at a channel's start or after a block.
    fn encode(jump: Jump, first: bool, tflite: bool) -> i16;

    /// What they mean; `None` where no jump is meant.
    fn decode(code: i16, first: bool, tflite: bool) -> Option<Jump>;

    /// A channel's requantization for accumulators of at most `bound` magnitude; `None` where it would not be exact.
    fn trailer(rule: Option<&TfLite>, channel: &TfLiteChannel, bound: i64) -> Option<[u32; TRAILER]>;

    /// The int8 value of an accumulator.
    fn finish(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8;

    /// All channels of `stream`, which is under the rule `R`, for four pixels: `x` holds two pair words a weight, pixels 0 and 1, 2 and 3. Pixel `i` goes to
    /// `output[at[i]..]`. Later pixels are written first, so that a pixel that does not exist may share the place of one before it.
    #[inline]
    fn pointwise<R: Rule>(
        stream: &Stream<'_, Self>,
        x: &[u32],
        output: &mut [i8],
        at: [usize; 4],
    ) -> Option<()> {
        model_pointwise(stream, x, output, at)
    }

    /// Two pair words for each value of four equally long slices.
    #[inline]
    fn widen(sources: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
        model_widen(sources, x)
    }

    /// All channels of a tile of a depthwise convolution under the rule `R`: columns of pair words are made in `words` channel by channel; the first output's
    /// pair word of channel `c` goes to `x[2 * c]`.
    #[inline]
    fn depthwise<R: Rule>(work: &Work<'_>, records: &[u32], words: &mut [u32], x: &mut [u32]) -> Option<()> {
        each_channel::<Self>(work, records, words, x)
    }

    /// Pair words of one channel for the columns of a depthwise convolution.
    #[inline]
    fn columns(columns: &Columns<'_>, channel: usize, words: &mut [u32]) -> Option<()> {
        model_columns(columns, channel, words)
    }

    /// One channel of a depthwise convolution from its columns.
    #[inline]
    fn taps(taps: &Taps, words: &[u32], record: &[u32], x: &mut [u32]) -> Option<()> {
        model_taps::<Self>(taps, words, record, x)
    }
}

/// The kernels of [`crate::arch::Arch`] for a [`Core`].
macro_rules! convolutions {
    () => {
        const ROWS: usize = 2;

        fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
            pairs::conv_words::<Self, R>(shape)
        }

        fn pack_conv<R: Rule>(
            shape: &ConvShape,
            parameters: &Parameters<'_, R>,
            packed: &mut [u32],
        ) -> Option<()> {
            pairs::pack_conv::<Self, R>(shape, parameters, packed)
        }

        fn check_conv<R: Rule>(shape: &ConvShape, packed: &[u32]) -> Option<()> {
            pairs::check_conv::<Self, R>(shape, packed)
        }

        fn conv_scratch<R: Rule>(shape: &ConvShape) -> usize {
            pairs::conv_scratch::<Self>(shape)
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
            pairs::conv::<Self, R>(shape, rule, packed, input, y, output, scratch)
        }

        fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
            pairs::add_tflite::<Self>(add, data, other)
        }

        fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
            pairs::depthwise_words::<Self, R>(shape)
        }

        fn pack_depthwise<R: Rule>(
            shape: &ConvShape,
            parameters: &Parameters<'_, R>,
            packed: &mut [u32],
        ) -> Option<()> {
            pairs::pack_depthwise::<Self, R>(shape, parameters, packed)
        }

        fn depthwise_scratch<R: Rule>(shape: &ConvShape) -> usize {
            pairs::depthwise_scratch(shape)
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
            pairs::depthwise::<Self, R>(shape, rule, packed, input, y, output, scratch)
        }

        fn separable_words<R: Rule>(shape: &SeparableShape) -> Option<usize> {
            pairs::separable_words::<Self, R>(shape)
        }

        fn pack_separable<R: Rule>(
            shape: &SeparableShape,
            parameters: [&Parameters<'_, R>; 2],
            packed: &mut [u32],
        ) -> Option<()> {
            pairs::pack_separable::<Self, R>(shape, parameters, packed)
        }

        fn check_separable<R: Rule>(shape: &SeparableShape, packed: &[u32]) -> Option<()> {
            pairs::check_separable::<Self, R>(shape, packed)
        }

        fn separable_scratch<R: Rule>(shape: &SeparableShape) -> usize {
            pairs::separable_scratch::<Self>(shape)
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
            pairs::separable::<Self, R>(shape, rules, packed, input, y, output, scratch)
        }
    };
}
pub(super) use convolutions;
