//! Cortex-M3: multiplications of 32 x 32 bits, without SIMD.

#[cfg(ocelli_armv7m)]
mod assembly;

use super::pairs::{self, Core, Jump, TRAILER};
use super::scalar::{self, Scalar};
use super::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::Map;
use crate::attention::Attention;
use crate::elementwise::AddTfLite;
use crate::norm::Norm;
use crate::pool::AveragePool;
use crate::requantize::{Rule, TfLite, TfLiteChannel};

/// The kernels of Cortex-M3.
#[derive(Clone, Copy, Debug)]
pub struct Armv7m;

impl Arch for Armv7m {
    pairs::convolutions!();
    scalar::functions!();
}

impl Scalar for Armv7m {
    type Value = i8;

    #[cfg(ocelli_armv7m)]
    fn products(first: &[[i32; 2]], second: &[[i8; 2]], sums: &mut [[i32; 2]; 2]) {
        assembly::products(first, second, sums);
    }
}

/// Bytes of a step's instructions, and of those from the end of the steps to the base of jumps there.
const STEP: i16 = 26;
const AFTER_STEPS: i16 = 28;

/// From the base of jumps after a block to the requantization of a channel, under `Q32` and `TfLite`.
const LEAVE: [i16; 2] = [-338, -386];

static LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut steps = 1;
    while steps <= 8 {
        let code = -AFTER_STEPS - STEP * steps;
        lengths[(code & 0xff) as usize] = steps as u8 * 2;
        steps += 1;
    }
    lengths
};

// Jumps are distances from the program counter's value, 4 bytes after the instruction that adds to it; `pointwise.s` has the layout.
impl Core for Armv7m {
    const STEP: usize = 2;
    const STEPS: usize = 8;
    const JUMP: usize = 2;
    const LENGTHS: &'static [u8; 256] = &LENGTHS;
    const FIRST: Option<u8> = None;
    const TRAILERS: [usize; 2] = [1, 3];

    #[inline]
    fn encode(jump: Jump, first: bool, tflite: bool) -> i16 {
        match jump {
            Jump::Steps(steps) if first => STEP * (8 - steps as i16) - 2,
            Jump::Steps(steps) => -AFTER_STEPS - STEP * steps as i16,
            Jump::Leave(padding) => LEAVE[usize::from(tflite)] - padding as i16,
            Jump::Exit => STEP * 8 + AFTER_STEPS - 4,
        }
    }

    #[inline]
    fn decode(code: i16, first: bool, tflite: bool) -> Option<Jump> {
        let leave = LEAVE[usize::from(tflite)];
        let distance = if first {
            if code == Self::encode(Jump::Exit, true, tflite) {
                return Some(Jump::Exit);
            }
            (STEP * 8 - 2).checked_sub(code)?
        } else {
            if code == leave || code == leave - 2 {
                return Some(Jump::Leave(usize::from(code != leave) * 2));
            }
            (-AFTER_STEPS).checked_sub(code)?
        };
        // Exact for distances of up to 8 steps; others are refused.
        let distance = usize::try_from(distance).ok().filter(|&distance| distance <= STEP as usize * 8)?;
        let steps = (distance * 2521) >> 16;
        (steps > 0 && steps * STEP as usize == distance).then_some(Jump::Steps(steps))
    }

    fn trailer(rule: Option<&TfLite>, channel: &TfLiteChannel, _bound: i64) -> Option<[u32; TRAILER]> {
        pairs::wide_trailer(rule, channel)
    }

    #[inline]
    fn finish(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8 {
        pairs::finish_wide(trailer, accumulator, tflite)
    }

    #[cfg(ocelli_armv7m)]
    #[inline]
    fn pointwise<R: Rule>(
        stream: &pairs::Stream<'_, Self>,
        x: &[u32],
        output: &mut [i8],
        at: [usize; 4],
    ) -> Option<()> {
        pairs::assembly::pointwise::<Self, R>(stream, x, output, at)
    }

    #[cfg(ocelli_armv7m)]
    #[inline]
    fn widen(sources: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
        pairs::assembly::widen::<Self>(sources, x)
    }

    #[cfg(ocelli_armv7m)]
    #[inline]
    fn depthwise<R: Rule>(
        work: &pairs::Work<'_>,
        records: &[u32],
        words: &mut [u32],
        x: &mut [u32],
    ) -> Option<()> {
        pairs::assembly::depthwise::<Self, R>(work, records, words, x)
    }
}
