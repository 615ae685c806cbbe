//! The inner loops: two query rows against all keys, and their weights against all values.
#![allow(unsafe_code)]

use crate::attention::EXPONENTIALS;

#[cfg(not(ocelli_dsp))]
use super::super::intrinsics::{max16, pkhbt_lsl16, smlad, smmlar, smmulr, ssat, ssat8};

#[cfg(ocelli_dsp)]
core::arch::global_asm!(include_str!("attention.s"), options(raw));

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_scores(
        queries: *const u32,
        keys: *const u32,
        control: *const Scores,
        scores: *mut u32,
    ) -> u32;
    fn ocelli_dsp_scores_plain(
        queries: *const u32,
        keys: *const u32,
        control: *const Scores,
        scores: *mut u32,
    ) -> u32;
    fn ocelli_dsp_weights(scores: *mut [u32; 2], maximum: u32, table: *const u16, weights: *mut Weights);
    fn ocelli_dsp_means(weights: *const u32, values: *const u32, control: *const Means, output: *mut u32);
}

/// What [`Scores::compute`] needs besides the data; read by assembly.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Scores {
    /// Of a sum.
    pub multiplier: i32,
    /// Left shift of a sum: 0..=31.
    pub shift: u32,
    /// Pairs of channels: an even number above 0.
    pub steps: usize,
    /// Groups of four keys, at least 1.
    pub groups: usize,
    /// Whether the shift is 0 and no score can be beyond int16.
    pub plain: bool,
}

impl Scores {
    /// Writes `[keys]` words of two scores, the first query's at the bottom, and gives the maximum of each query.
    ///
    /// `queries` is `[steps][2 queries]`, `keys` `[groups][steps][4 keys]`, both with two channels a word.
    pub fn compute(&self, queries: &[u32], keys: &[u32], scores: &mut [u32]) -> Option<u32> {
        let fits = self.steps >= 2
            && self.steps & 1 == 0
            && self.groups >= 1
            && queries.len() == self.steps.checked_mul(2)?
            && keys.len() == self.groups.checked_mul(queries.len())?.checked_mul(2)?
            && scores.len() == self.groups.checked_mul(4)?;
        if !fits {
            return None;
        }
        #[cfg(ocelli_dsp)]
        {
            let function = if self.plain { ocelli_dsp_scores_plain } else { ocelli_dsp_scores };
            // SAFETY: the lengths are those that the function reads and writes for these steps and groups, as was just checked.
            Some(unsafe { function(queries.as_ptr(), keys.as_ptr(), self, scores.as_mut_ptr()) })
        }
        #[cfg(not(ocelli_dsp))]
        {
            Some(self.model(queries, keys, scores))
        }
    }

    #[cfg(not(ocelli_dsp))]
    fn model(&self, queries: &[u32], keys: &[u32], scores: &mut [u32]) -> u32 {
        let mut largest = 0x8000_8000;
        for (keys, scores) in keys.chunks_exact(self.steps * 4).zip(scores.as_chunks_mut::<4>().0) {
            let mut sums = [[0i32; 2]; 4];
            for (queries, keys) in queries.as_chunks::<2>().0.iter().zip(keys.as_chunks::<4>().0) {
                for (sums, &key) in sums.iter_mut().zip(keys) {
                    for (sum, &query) in sums.iter_mut().zip(queries) {
                        *sum = smlad(key, query, *sum);
                    }
                }
            }
            for (score, sums) in scores.iter_mut().zip(sums) {
                let [first, second] = sums.map(|sum| {
                    let score = smmulr(sum << self.shift, self.multiplier);
                    if self.plain { score } else { ssat::<16>(score) }.cast_unsigned()
                });
                *score = pkhbt_lsl16(first, second);
                largest = max16(largest, *score);
            }
        }
        largest
    }
}

/// What [`Weights::compute`] gives; written by assembly, which reads the number of pairs.
#[repr(C)]
pub struct Weights {
    sums: [u32; 2],
    pairs: usize,
}

impl Weights {
    /// Turns scores, `[keys]` words of two queries, into weights, `[pairs of keys][2 queries]` words of two keys, and gives their sums.
    pub fn compute(
        scores: &mut [[u32; 2]],
        largest: u32,
        exponentials: &[u16; EXPONENTIALS],
    ) -> Option<[u32; 2]> {
        if scores.is_empty() {
            return None;
        }
        let mut weights = Self { sums: [0; 2], pairs: scores.len() };
        #[cfg(ocelli_dsp)]
        // SAFETY: the function reads and writes as many pairs as it is told, reads entries 0..=1023 of the table, and writes the sums.
        unsafe {
            ocelli_dsp_weights(scores.as_mut_ptr(), largest, exponentials.as_ptr(), &raw mut weights);
        }
        #[cfg(not(ocelli_dsp))]
        weights.model(scores, largest, exponentials);
        Some(weights.sums)
    }

    #[cfg(not(ocelli_dsp))]
    fn model(&mut self, scores: &mut [[u32; 2]], largest: u32, exponentials: &[u16; EXPONENTIALS]) {
        use super::super::intrinsics::{qsub16, usat16};

        let weight = |index: u32| u32::from(exponentials[index as usize & (EXPONENTIALS - 1)]);
        for pair in scores.iter_mut().take(self.pairs) {
            let [first, second] = pair.map(|scores| usat16::<10>(qsub16(largest, scores)));
            *pair = [
                pkhbt_lsl16(weight(first & 0xffff), weight(second & 0xffff)),
                pkhbt_lsl16(weight(first >> 16), weight(second >> 16)),
            ];
            for (sum, &weights) in self.sums.iter_mut().zip(&*pair) {
                *sum = smlad(weights, 0x0001_0001, sum.cast_signed()).cast_unsigned();
            }
        }
    }
}

/// From the sum of weighted values of a query to its mean.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Scale {
    /// Left shift, 0..=31.
    pub shift: u32,
    /// Multiplier then, by 2^-32.
    pub multiplier: i32,
}

/// What [`Means::compute`] needs besides the data; read by assembly.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Means {
    /// Of each query.
    pub scales: [Scale; 2],
    /// Added to a scaled sum.
    pub bias: i32,
    /// Right shift then, 0..=31.
    pub shift: u32,
    /// Pairs of keys, at least 1.
    pub pairs: usize,
    /// Groups of four channels, at least 1.
    pub groups: usize,
}

impl Means {
    /// Writes `[groups][2 queries]` words of four channels.
    ///
    /// `weights` is `[pairs][2 queries]`, `values` `[groups][pairs][4 channels]`, both with two keys a word.
    pub fn compute(&self, weights: &[u32], values: &[u32], output: &mut [u32]) -> Option<()> {
        let fits = self.pairs >= 1
            && self.groups >= 1
            && weights.len() == self.pairs.checked_mul(2)?
            && values.len() == self.groups.checked_mul(self.pairs)?.checked_mul(4)?
            && output.len() == self.groups.checked_mul(2)?;
        if !fits {
            return None;
        }
        #[cfg(ocelli_dsp)]
        // SAFETY: the lengths are those that the function reads and writes for these pairs and groups, as was just checked.
        unsafe {
            ocelli_dsp_means(weights.as_ptr(), values.as_ptr(), self, output.as_mut_ptr());
        }
        #[cfg(not(ocelli_dsp))]
        self.model(weights, values, output);
        Some(())
    }

    #[cfg(not(ocelli_dsp))]
    fn model(&self, weights: &[u32], values: &[u32], output: &mut [u32]) {
        use super::super::intrinsics::pack_bytes;

        for (values, output) in values.chunks_exact(self.pairs * 4).zip(output.as_chunks_mut::<2>().0) {
            for (query, (output, scale)) in output.iter_mut().zip(self.scales).enumerate() {
                let mut sums = [0i32; 4];
                for (weights, values) in weights.as_chunks::<2>().0.iter().zip(values.as_chunks::<4>().0) {
                    let weights = if query == 0 { weights[0] } else { weights[1] };
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum = smlad(value, weights, *sum);
                    }
                }
                *output =
                    pack_bytes(sums.map(|sum| {
                        ssat8(smmlar(sum << scale.shift, scale.multiplier, self.bias) >> self.shift)
                    }));
            }
        }
    }
}
