//! Attention two queries and two keys, or two channels of values, at a time: each load feeds two multiplications.

use super::Scalar;
use crate::Map;
use crate::arch::heads::{Head, Heads, Shape, portable};
use crate::attention::{Attention, EXPONENTIALS, scratch_bytes};
use crate::requantize::saturate;
use crate::scratch::{SPARE, align, take};
use crate::sequence::{Patch, reciprocal};

/// Memory beyond which the packed form is not worth it.
const LARGEST_SCRATCH: usize = 32 * 1024;

/// Channels of values whose sums are made side by side.
const BLOCK: usize = 2;

/// Pairs of queries, values of keys and of values, and pairs of scores; `None` where they are too many to count.
fn lengths(shape: &Shape) -> Option<[usize; 4]> {
    Some([
        shape.dimension,
        shape.key_tokens.checked_next_multiple_of(2)?.checked_mul(shape.dimension)?,
        shape.value_dimension.checked_next_multiple_of(BLOCK)?.checked_mul(shape.key_tokens)?,
        shape.key_tokens.checked_next_multiple_of(2)?,
    ])
}

/// Bytes of all of them; `None` where that is too much.
fn bytes<S: Scalar>(shape: &Shape) -> Option<usize> {
    let [queries, keys, values, scores] = lengths(shape)?;
    let packed = keys.checked_add(values)?.checked_mul(size_of::<S::Value>())?.checked_next_multiple_of(4)?;
    let words = queries.checked_add(scores)?.checked_mul(8)?;
    packed.checked_add(words)?.checked_add(SPARE).filter(|&bytes| bytes <= LARGEST_SCRATCH)
}

/// [`crate::arch::Arch::attention_scratch`].
pub fn scratch<S: Scalar>(key_tokens: usize, dimension: usize, value_dimension: usize) -> usize {
    let shape = Shape { key_tokens, dimension, value_dimension };
    bytes::<S>(&shape).unwrap_or(0).max(scratch_bytes(key_tokens, dimension))
}

/// [`Attention::row`] for the rows that `output` holds.
pub fn rows<S: Scalar>(
    attention: &Attention<'_>,
    maps: [&Map<'_>; 3],
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let heads = Heads::new(attention, maps, y, output.len())
        .filter(|heads| bytes::<S>(&heads.shape).is_some_and(|bytes| bytes <= scratch.len()));
    match heads {
        Some(heads) => all::<S>(&heads, output, scratch),
        None => portable(attention, maps, y, output, scratch),
    }
}

fn all<S: Scalar>(heads: &Heads<'_, '_>, output: &mut [i8], scratch: &mut [i8]) -> Option<()> {
    let [queries, keys, values, scores] = lengths(&heads.shape)?;
    let (queries, scratch) = take::<[i32; 2]>(align(scratch)?, queries)?;
    let (scores, scratch) = take::<[i32; 2]>(scratch, scores)?;
    let (values, scratch) = take::<[S::Value; BLOCK]>(scratch, values / BLOCK)?;
    let (keys, _) = take::<[S::Value; 2]>(scratch, keys / 2)?;
    let [query, key, value] = heads.maps;
    let zero_point = i32::from(query.zero_point);
    heads.each(|head| {
        pack_keys::<S>(key, &heads.patches[1], &head, keys)?;
        pack_values::<S>(value, &heads.patches[1], &head, heads.shape.key_tokens, values)?;
        heads.each_pair(&head, output, |[first, second], one, other| {
            for ((queries, &first), &second) in queries.iter_mut().zip(first).zip(second) {
                *queries = [i32::from(first) - zero_point, i32::from(second) - zero_point];
            }
            let scores = score::<S>(heads, queries, keys, scores)?;
            average::<S>(heads.attention, scores, values, one, other)
        })
    })
}

/// Writes keys, `[pairs of keys][channels][2 keys]`; an odd last one twice.
fn pack_keys<S: Scalar>(
    map: &Map<'_>,
    patch: &Patch,
    head: &Head,
    packed: &mut [[S::Value; 2]],
) -> Option<()> {
    let mut pairs = packed.chunks_exact_mut(head.channels[1].max(1));
    let mut first: Option<&[i8]> = None;
    let mut put = |first: &[i8], second: &[i8]| {
        for ((pair, &first), &second) in pairs.next()?.iter_mut().zip(first).zip(second) {
            *pair = [first.into(), second.into()];
        }
        Some(())
    };
    patch.visit(map, head.sequence, head.channels, |key| {
        match first.take() {
            None => first = Some(key),
            Some(first) => put(first, key)?,
        }
        Some(())
    })?;
    match first {
        Some(first) => put(first, first),
        None => Some(()),
    }
}

/// Writes values, `[blocks of channels][keys][channels]`.
fn pack_values<S: Scalar>(
    map: &Map<'_>,
    patch: &Patch,
    head: &Head,
    keys: usize,
    packed: &mut [[S::Value; BLOCK]],
) -> Option<()> {
    let mut key = 0usize;
    patch.visit(map, head.sequence, head.value_channels, |value| {
        for (block, packed) in value.chunks(BLOCK).zip(packed.chunks_exact_mut(keys.max(1))) {
            for (to, &from) in packed.get_mut(key)?.iter_mut().zip(block) {
                *to = from.into();
            }
        }
        key = key.wrapping_add(1);
        Some(())
    })
}

/// Writes the scores of two queries, and then their weights; gives these and their sums.
#[inline(never)]
fn score<'s, S: Scalar>(
    heads: &Heads<'_, '_>,
    queries: &[[i32; 2]],
    keys: &[[S::Value; 2]],
    scores: &'s mut [[i32; 2]],
) -> Option<(&'s [[i32; 2]], [u32; 2])> {
    let Heads { attention, maps: [_, key, _], shape, .. } = heads;
    let zero_point = i32::from(key.zero_point);
    let totals = queries.iter().fold([0i32; 2], |[first, second], &[one, other]| {
        [first.wrapping_add(one), second.wrapping_add(other)]
    });
    let start = totals.map(|total| total.wrapping_mul(zero_point).wrapping_neg());
    let mut largest = [i32::from(i16::MIN); 2];
    for (keys, scores) in keys.chunks_exact(shape.dimension.max(1)).zip(scores.as_chunks_mut::<2>().0) {
        *scores = [start; 2];
        S::products(queries, keys, scores);
        for score in scores {
            for (score, largest) in score.iter_mut().zip(&mut largest) {
                let product = score.wrapping_shl(attention.score_shift);
                let scaled = S::multiply_high(product, attention.score_multiplier);
                *score = scaled.clamp(i16::MIN.into(), i16::MAX.into());
                *largest = (*largest).max(*score);
            }
        }
    }
    let scores = scores.get_mut(..shape.key_tokens)?;
    let mut totals = [0u32; 2];
    for scores in &mut *scores {
        for ((score, largest), total) in scores.iter_mut().zip(largest).zip(&mut totals) {
            let index = (largest - *score).cast_unsigned() as usize;
            let weight = attention.exponentials[index.min(EXPONENTIALS - 1)];
            *score = weight.into();
            *total = total.wrapping_add(weight.into());
        }
    }
    Some((scores, totals))
}

/// The means of the values by the weights, in the output's scale.
#[inline(never)]
fn average<S: Scalar>(
    attention: &Attention<'_>,
    (weights, totals): (&[[i32; 2]], [u32; 2]),
    values: &[[S::Value; BLOCK]],
    first: &mut [i8],
    second: Option<&mut [i8]>,
) -> Option<()> {
    let scale = |total: u32| {
        let (inverse, zeros) = reciprocal(total)?;
        let multiplier = S::multiply_high((inverse << 14).cast_signed(), attention.output_multiplier);
        Some((zeros.wrapping_sub(8), multiplier))
    };
    let [first_scale, second_scale] = [scale(totals[0])?, scale(totals[1])?];
    let finish = |sum: i32, (shift, multiplier): (u32, i32)| {
        let scaled = S::multiply_high(sum.wrapping_shl(shift), multiplier);
        saturate(scaled.wrapping_add(attention.output_bias).wrapping_shr(attention.output_shift))
    };
    let mut second = second.map(|second| second.chunks_mut(BLOCK));
    for (first, values) in first.chunks_mut(BLOCK).zip(values.chunks_exact(weights.len().max(1))) {
        let mut sums = [[0; 2]; BLOCK];
        S::products(weights, values, &mut sums);
        for (output, [sum, _]) in first.iter_mut().zip(sums) {
            *output = finish(sum, first_scale);
        }
        if let Some(second) = second.as_mut().and_then(Iterator::next) {
            for (output, [_, sum]) in second.iter_mut().zip(sums) {
                *output = finish(sum, second_scale);
            }
        }
    }
    Some(())
}
