//! The inner loops: two query rows against all keys of a head, and their weights against all values.
#![allow(unsafe_code)]

use crate::arch::heads::Shape;
use crate::attention::Attention;
#[cfg(not(ocelli_dsp))]
use crate::attention::EXPONENTIALS;
use crate::sequence::reciprocal;

#[cfg(not(ocelli_dsp))]
use super::super::intrinsics::{
    max16, pack_bytes, pkhbt_lsl16, qsub16, smlad, smmlar, smmulr, ssat, ssat8, usat16,
};
#[cfg(not(ocelli_dsp))]
use super::super::words::store;
use super::super::words::{load, store_partial};

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("attention.s"), options(raw));

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
    fn ocelli_dsp_weights(scores: *mut u32, maximum: u32, table: *const u16, weights: *mut Weights);
    fn ocelli_dsp_means(
        weights: *const u32,
        values: *const u32,
        control: *const Means,
        outputs: *const [*mut i8; 2],
    );
}

/// Steps that the plain form of the scores is written out for.
const PLAIN_STEPS: usize = 16;

/// From products to scores; read by assembly.
#[repr(C)]
struct Scores {
    multiplier: i32,
    /// Left shift of a sum before it is multiplied: 0..=31.
    shift: u32,
    steps: usize,
    groups: usize,
}

/// Sums of weights, which assembly writes, and the number of pairs of keys, which it reads.
#[repr(C)]
struct Weights {
    sums: [u32; 2],
    pairs: usize,
}

/// From the sum of weighted values of a query to its mean.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scale {
    /// Left shift, 0..=31.
    shift: u32,
    /// Multiplier then, by 2^-32.
    multiplier: i32,
}

/// From sums of weighted values to the output; read by assembly.
#[repr(C)]
struct Means {
    scales: [Scale; 2],
    bias: i32,
    /// Right shift, 0..=31.
    shift: u32,
    pairs: usize,
    groups: usize,
}

/// Memory of one head, in words; two int16 values a word where nothing else is said.
pub struct Memory<'p> {
    /// `[steps + 1][2 queries]`, two channels; the last step is the first once more.
    pub queries: &'p mut [u32],
    /// `[groups of 4 keys][steps][4 keys]`, two channels.
    pub keys: &'p [u32],
    /// `[groups of 4 channels][pairs of keys][4 channels]`, two keys.
    pub values: &'p [u32],
    /// `[keys]`, a multiple of four: the scores of both queries, then `[pairs of keys][2 queries]`, the weights of two keys.
    pub scores: &'p mut [u32],
}

/// The rows of a head.
pub struct Rows<'p> {
    attention: &'p Attention<'p>,
    shape: Shape,
    memory: Memory<'p>,
    scores: Scores,
    /// Whether scores need neither shift nor saturation, and steps are few.
    plain: bool,
    means: Means,
}

impl<'p> Rows<'p> {
    /// `None` unless the memory is what [`Shape::words`] says.
    pub fn new(attention: &'p Attention<'p>, shape: Shape, memory: Memory<'p>) -> Option<Self> {
        let lengths = [memory.queries.len(), memory.keys.len(), memory.values.len(), memory.scores.len()];
        if shape.words()? != lengths {
            return None;
        }
        let multiplier = attention.score_multiplier;
        let largest =
            (shape.dimension as u64).wrapping_mul(255 * 255).wrapping_mul(multiplier.unsigned_abs().into());
        let (shift, steps) = (attention.score_shift & 31, shape.steps());
        Some(Self {
            attention,
            shape,
            memory,
            scores: Scores { multiplier, shift, steps, groups: shape.key_groups() },
            plain: shift == 0 && largest >> 32 < i16::MAX as u64 && steps <= PLAIN_STEPS,
            means: Means {
                scales: [Scale { shift: 0, multiplier: 0 }; 2],
                bias: attention.output_bias,
                shift: attention.output_shift & 31,
                pairs: shape.pairs(),
                groups: shape.value_dimension / 4,
            },
        })
    }

    /// Where the queries go.
    pub fn queries(&mut self) -> &mut [u32] {
        self.memory.queries
    }

    /// Makes the outputs of both queries, each of as many channels as a head's values have. Without a second output, the second query is to
    /// be the first again.
    pub fn compute(&mut self, first: &mut [i8], second: Option<&mut [i8]>) -> Option<()> {
        let largest = self.scores();
        let mut totals = self.weights(largest);
        let weights = self.memory.scores.as_chunks_mut::<2>().0.get_mut(..self.shape.pairs())?;
        if self.shape.key_tokens & 1 != 0 {
            // The last key's copy.
            for (weights, total) in weights.last_mut()?.iter_mut().zip(&mut totals) {
                *total = total.wrapping_sub(*weights >> 16);
                *weights &= 0xffff;
            }
        }
        let scale = |total: u32| {
            let (inverse, zeros) = reciprocal(total)?;
            let product = i64::from(inverse << 14) * i64::from(self.attention.output_multiplier);
            Some(Scale {
                shift: zeros.wrapping_sub(8) & 31,
                multiplier: ((product + (1 << 31)) >> 32) as i32,
            })
        };
        self.means.scales = [scale(totals[0])?, scale(totals[1])?];
        let (first, first_rest) = first.as_chunks_mut::<4>();
        let (second, second_rest) = second.map(<[i8]>::as_chunks_mut::<4>).unzip();
        let (values, whole) = (self.memory.values, self.means.groups);
        if whole > 0 {
            self.means(values, first, second)?;
        }
        if !first_rest.is_empty() {
            let last = values.get(whole.checked_mul(self.shape.pairs())?.checked_mul(4)?..)?;
            let mut channels = [[[0; 4]]; 2];
            let [one, other] = &mut channels;
            self.means.groups = 1;
            self.means(last, one, Some(other))?;
            self.means.groups = whole;
            for (output, [channels]) in [Some(first_rest), second_rest].into_iter().flatten().zip(channels) {
                store_partial(load(channels), output);
            }
        }
        Some(())
    }

    /// Writes the scores and gives the maximum of each query.
    fn scores(&mut self) -> u32 {
        let Memory { queries, keys, scores, .. } = &mut self.memory;
        #[cfg(ocelli_dsp)]
        {
            let function = if self.plain { ocelli_dsp_scores_plain } else { ocelli_dsp_scores };
            // SAFETY: `new` checked that the lengths are those that the function reads and writes for these steps and groups; there is one
            // step of queries more, so that all steps but the first are left after it.
            unsafe {
                let queries = queries.as_ptr().add(2);
                function(queries, keys.as_ptr(), &raw const self.scores, scores.as_mut_ptr())
            }
        }
        #[cfg(not(ocelli_dsp))]
        {
            let mut largest = 0x8000_8000;
            let groups = keys.chunks_exact((self.scores.steps * 4).max(1));
            for (keys, scores) in groups.zip(scores.as_chunks_mut::<4>().0) {
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
                        let score = smmulr(sum << self.scores.shift, self.scores.multiplier);
                        if self.plain { score } else { ssat::<16>(score) }.cast_unsigned()
                    });
                    *score = pkhbt_lsl16(first, second);
                    largest = max16(largest, *score);
                }
            }
            largest
        }
    }

    /// Turns scores into weights and gives their sums.
    fn weights(&mut self, largest: u32) -> [u32; 2] {
        let mut weights = Weights { sums: [0; 2], pairs: self.shape.pairs() };
        let (scores, table) = (&mut self.memory.scores, self.attention.exponentials);
        #[cfg(ocelli_dsp)]
        // SAFETY: there are at least 2 * pairs scores, as `new` checked, and the table has the 1024 entries that the function reads.
        unsafe {
            ocelli_dsp_weights(scores.as_mut_ptr(), largest, table.as_ptr(), &raw mut weights);
        }
        #[cfg(not(ocelli_dsp))]
        {
            let weight = |index: u32| u32::from(table[index as usize & (EXPONENTIALS - 1)]);
            for pair in scores.as_chunks_mut::<2>().0.iter_mut().take(weights.pairs) {
                let [first, second] = pair.map(|scores| usat16::<10>(qsub16(largest, scores)));
                *pair = [
                    pkhbt_lsl16(weight(first & 0xffff), weight(second & 0xffff)),
                    pkhbt_lsl16(weight(first >> 16), weight(second >> 16)),
                ];
                for (sum, &weights) in weights.sums.iter_mut().zip(&*pair) {
                    *sum = smlad(weights, 0x0001_0001, sum.cast_signed()).cast_unsigned();
                }
            }
        }
        weights.sums
    }

    /// Makes the channels of as many groups as there are; `None` where the outputs or values do not have as many.
    fn means(&self, values: &[u32], first: &mut [[i8; 4]], second: Option<&mut [[i8; 4]]>) -> Option<()> {
        let Means { pairs, groups, .. } = self.means;
        let short = first.len() < groups || second.as_ref().is_some_and(|second| second.len() < groups);
        if short || groups == 0 || values.len() < groups.checked_mul(pairs)?.checked_mul(4)? {
            return None;
        }
        let weights = &self.memory.scores;
        #[cfg(ocelli_dsp)]
        // SAFETY: values and outputs are long enough, as was just checked, and there are at least 2 * pairs weights, as `new` checked.
        unsafe {
            let first = first.as_mut_ptr().cast::<i8>();
            let outputs = [first, second.map_or(first, |second| second.as_mut_ptr().cast())];
            ocelli_dsp_means(weights.as_ptr(), values.as_ptr(), &raw const self.means, &raw const outputs);
        }
        #[cfg(not(ocelli_dsp))]
        for (query, (output, scale)) in [Some(first), second].into_iter().zip(self.means.scales).enumerate() {
            let Some(output) = output else { continue };
            for (values, output) in
                values.chunks_exact((pairs * 4).max(1)).zip(output.iter_mut()).take(groups)
            {
                let mut sums = [0i32; 4];
                for (weights, values) in weights.as_chunks::<2>().0.iter().zip(values.as_chunks::<4>().0) {
                    let weights = if query == 0 { weights[0] } else { weights[1] };
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum = smlad(value, weights, *sum);
                    }
                }
                *output = store(pack_bytes(sums.map(|sum| {
                    ssat8(smmlar(sum << scale.shift, scale.multiplier, self.means.bias) >> self.means.shift)
                })));
            }
        }
        Some(())
    }
}
