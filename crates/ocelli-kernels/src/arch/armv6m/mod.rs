//! Cortex-M0, M0+ and M1: 16-bit instructions, eight registers to compute in, multiplications of 32 x 32 -> 32 bits.

#[cfg(ocelli_armv6m)]
mod assembly;
mod requantize;

use super::pairs::{self, Core, Jump, TRAILER};
use super::scalar::{self, Scalar, multiply_high_by_halves};
use super::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::Map;
use crate::attention::Attention;
use crate::elementwise::AddTfLite;
use crate::norm::Norm;
use crate::pool::AveragePool;
use crate::requantize::{Rule, TfLite, TfLiteChannel};

/// The kernels of Cortex-M0, M0+ and M1.
#[derive(Clone, Copy, Debug)]
pub struct Armv6m;

impl Arch for Armv6m {
    pairs::convolutions!();
    scalar::functions!();
}

impl Scalar for Armv6m {
    type Value = i32;

    fn multiply_high(a: i32, b: i32) -> i32 {
        multiply_high_by_halves(a, b)
    }

    #[cfg(ocelli_armv6m)]
    fn products(first: &[[i32; 2]], second: &[[i32; 2]], sums: &mut [[i32; 2]; 2]) {
        assembly::products(first, second, sums);
    }
}

/// Half the bytes of a step's instructions, and of those from the end of the steps to the base of jumps there.
const STEP: i16 = 7;
const AFTER_STEPS: i16 = 13;

/// From the base of jumps into the steps to the exit.
const EXIT: i16 = -21;

static LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut steps = 1;
    while steps <= 12 {
        let code = -AFTER_STEPS - STEP * steps;
        lengths[(code & 0xff) as usize] = steps as u8;
        steps += 1;
    }
    lengths
};

// Jumps are half distances from the program counter's value, 4 bytes after the instruction that adds to it; `pointwise.s` has the layout.
impl Core for Armv6m {
    const STEP: usize = 1;
    const STEPS: usize = 12;
    const JUMP: usize = 1;
    const LENGTHS: &'static [u8; 256] = &LENGTHS;
    const FIRST: Option<u8> = Some((STEP * 12 - 1 + AFTER_STEPS) as u8);
    const TRAILERS: [usize; 2] = [3, 5];

    #[inline]
    fn encode(jump: Jump, first: bool, _tflite: bool) -> i16 {
        match jump {
            Jump::Steps(steps) if first => STEP * (12 - steps as i16) - 1,
            Jump::Steps(steps) => -AFTER_STEPS - STEP * steps as i16,
            Jump::Leave(padding) => 2 - padding as i16,
            Jump::Exit => EXIT,
        }
    }

    #[inline]
    fn decode(code: i16, first: bool, _tflite: bool) -> Option<Jump> {
        let distance = if first {
            if code == EXIT {
                return Some(Jump::Exit);
            }
            (STEP * 12 - 1).checked_sub(code)?
        } else {
            if (-1..=2).contains(&code) {
                return Some(Jump::Leave(usize::from((2 - code).cast_unsigned())));
            }
            (-AFTER_STEPS).checked_sub(code)?
        };
        // Exact for distances of up to 12 steps; others are refused.
        let distance = usize::try_from(distance).ok().filter(|&distance| distance <= STEP as usize * 12)?;
        let steps = (distance * 37) >> 8;
        (steps > 0 && steps * STEP as usize == distance).then_some(Jump::Steps(steps))
    }

    fn trailer(rule: Option<&TfLite>, channel: &TfLiteChannel, bound: i64) -> Option<[u32; TRAILER]> {
        requantize::trailer(rule, channel, bound)
    }

    #[inline]
    fn finish(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8 {
        requantize::finish(trailer, accumulator, tflite)
    }

    #[cfg(ocelli_armv6m)]
    #[inline]
    fn pointwise<R: Rule>(
        stream: &pairs::Stream<'_, Self>,
        x: &[u32],
        output: &mut [i8],
        at: [usize; 4],
    ) -> Option<()> {
        pairs::assembly::pointwise::<Self, R>(stream, x, output, at)
    }

    #[cfg(ocelli_armv6m)]
    #[inline]
    fn widen(sources: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
        pairs::assembly::widen::<Self>(sources, x)
    }

    #[cfg(ocelli_armv6m)]
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
