//! RV32 with multiplications, as `rv32imc`.

#[cfg(ocelli_rv32)]
mod assembly;
mod depthwise;

use super::pairs::{self, Core, Jump, TRAILER};
use super::scalar::{self, Scalar};
use super::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::Map;
use crate::attention::Attention;
use crate::elementwise::AddTfLite;
use crate::norm::Norm;
use crate::pool::AveragePool;
use crate::requantize::{Rule, TfLite, TfLiteChannel};

/// The kernels of RV32 with multiplications.
#[derive(Clone, Copy, Debug)]
pub struct Rv32;

impl Arch for Rv32 {
    pairs::convolutions!();
    scalar::functions!();
}

impl Scalar for Rv32 {
    type Value = i8;
}

/// Steps of the inner loop.
const STEPS: u8 = 12;

/// The jump that ends a stream.
const EXIT: i16 = 0;

static LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut steps = 1;
    while steps <= STEPS {
        lengths[steps as usize] = steps;
        steps += 1;
    }
    lengths
};

impl Core for Rv32 {
    const STEP: usize = 1;
    const STEPS: usize = STEPS as usize;
    const JUMP: usize = 1;
    const LENGTHS: &'static [u8; 256] = &LENGTHS;
    const FIRST: Option<u8> = Some(0);
    const TRAILERS: [usize; 2] = [1, 3];

    #[inline]
    fn encode(jump: Jump, _first: bool, _tflite: bool) -> i16 {
        match jump {
            Jump::Steps(steps) => steps as i16,
            Jump::Leave(padding) => padding as i16 - 4,
            Jump::Exit => EXIT,
        }
    }

    #[inline]
    fn decode(code: i16, first: bool, _tflite: bool) -> Option<Jump> {
        match code {
            EXIT if first => Some(Jump::Exit),
            -4..=-1 if !first => Some(Jump::Leave(usize::from((code + 4).cast_unsigned()))),
            _ => {
                usize::try_from(code).ok().filter(|steps| (1..=STEPS.into()).contains(steps)).map(Jump::Steps)
            }
        }
    }

    fn trailer(rule: Option<&TfLite>, channel: &TfLiteChannel, _bound: i64) -> Option<[u32; TRAILER]> {
        pairs::wide_trailer(rule, channel)
    }

    #[inline]
    fn finish(trailer: [u32; TRAILER], accumulator: i32, tflite: bool) -> i8 {
        pairs::finish_wide(trailer, accumulator, tflite)
    }

    #[cfg(ocelli_rv32)]
    #[inline]
    fn pointwise<R: Rule>(
        stream: &pairs::Stream<'_, Self>,
        x: &[u32],
        output: &mut [i8],
        at: [usize; 4],
    ) -> Option<()> {
        assembly::pointwise::<R>(stream, x, output, at)
    }

    #[inline]
    fn taps(taps: &pairs::Taps, words: &[u32], record: &[u32], x: &mut [u32]) -> Option<()> {
        depthwise::taps(taps, words, record, x)
    }
}
