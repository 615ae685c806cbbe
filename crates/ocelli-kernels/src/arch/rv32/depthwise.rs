//! One channel of a depthwise convolution, written out for the compiler to keep the weights in registers.

use super::Rv32;
use crate::arch::pairs::{Core, TRAILER, Taps};

/// [`Core::taps`]. Not inlined into crates that may be compiled for size.
#[inline(never)]
pub(super) fn taps(taps: &Taps, words: &[u32], record: &[u32], x: &mut [u32]) -> Option<()> {
    taps.fits::<Rv32>(words, record, x)?;
    let (weights, rest) = record.split_first_chunk::<9>()?;
    let [low, high, trailer_words @ .., columns] = rest else { return None };
    let mut trailer = [0; TRAILER];
    for (word, &packed) in trailer.iter_mut().zip(trailer_words) {
        *word = packed;
    }
    let finish = |sum| Rv32::finish(trailer, sum, taps.tflite);
    if *columns == 0 {
        each(taps, words, x, |w| sums(w, weights, [*low, *high], [2, 4, 6, 8, 9]), finish)
    } else {
        each(taps, words, x, |w| sums(w, weights, [*low, *high], [3, 6, 9]), finish)
    }
}

/// The accumulators of both rows, split after the taps in `ends`.
#[inline(always)]
fn sums<const BLOCKS: usize>(
    words: &[u32; 9],
    weights: &[u32; 9],
    [mut low, mut high]: [u32; 2],
    ends: [usize; BLOCKS],
) -> [i32; 2] {
    let mut taps = words.iter().zip(weights);
    let mut start = 0;
    for end in ends {
        let mut block = 0x8000u32;
        for (&word, &weight) in taps.by_ref().take(end - start) {
            block = block.wrapping_add(word.wrapping_mul(weight));
        }
        start = end;
        low = low.wrapping_add(block);
        high = high.wrapping_add((block.cast_signed() >> 16).cast_unsigned());
    }
    [low.wrapping_sub(high << 16).cast_signed(), high.cast_signed()]
}

#[inline(always)]
fn each(
    taps: &Taps,
    mut words: &[u32],
    x: &mut [u32],
    sums: impl Fn(&[u32; 9]) -> [i32; 2],
    finish: impl Fn(i32) -> i8,
) -> Option<()> {
    let mut at = 0usize;
    let [mut step, mut next] = taps.steps;
    for _ in 0..taps.count {
        let [low, high] = sums(words.first_chunk()?).map(&finish);
        *x.get_mut(at)? = i32::from(low).wrapping_add(i32::from(high) << 16).cast_unsigned();
        at = at.wrapping_add(step);
        (step, next) = (next, step);
        words = words.get(taps.stride.wrapping_mul(3)..)?;
    }
    Some(())
}
