//! Queries, keys and values of one head, in the order in which the inner loops read them. Channels are padded to multiples of four with
//! zeros, keys with copies of the last key, values with copies of the last one (whose weight is 0).

use super::super::intrinsics::{pkhbt_lsl16, pkhtb_asr16, ssub16, sxtb16, sxtb16_ror8};
use super::super::words::{load, load_padded, load_partial};
use crate::Map;
use crate::sequence::Patch;

/// Words of two channels that a head's queries and keys take a row: an even number.
pub const fn steps(dimension: usize) -> usize {
    dimension.div_ceil(4) * 2
}

/// Four values in two words, less the zero points in lanes: values 0 and 2, and values 1 and 3.
#[inline(always)]
fn center(word: u32, zero_points: u32) -> [u32; 2] {
    [ssub16(sxtb16(word), zero_points), ssub16(sxtb16_ror8(word), zero_points)]
}

/// A value in both lanes.
fn both(value: i8) -> u32 {
    u32::from(i16::from(value).cast_unsigned()) * 0x0001_0001
}

/// Writes two queries, `[steps + 1][2 queries]`, less the zero point. The last step is the first once more.
pub fn queries(tokens: [&[i8]; 2], zero_point: i8, packed: &mut [u32]) -> Option<()> {
    let zero_points = both(zero_point);
    let [(first, first_rest), (second, second_rest)] = tokens.map(<[i8]>::as_chunks::<4>);
    let put = |packed: &mut [u32; 4], first: u32, second: u32| {
        let ([first_even, first_odd], [second_even, second_odd]) =
            (center(first, zero_points), center(second, zero_points));
        *packed = [first_even, second_even, first_odd, second_odd];
    };
    let mut steps = packed.as_chunks_mut::<4>().0.iter_mut();
    for ((&first, &second), packed) in first.iter().zip(second).zip(&mut steps) {
        put(packed, load(first), load(second));
    }
    if !first_rest.is_empty() {
        put(steps.next()?, load_padded(first_rest, zero_point), load_padded(second_rest, zero_point));
    }
    let [first, second, ..] = *packed else { return None };
    *packed.last_chunk_mut()? = [first, second];
    Some(())
}

/// Writes keys, `[groups of 4 keys][steps][4 keys]`, less the zero point.
pub fn keys(
    map: &Map<'_>,
    patch: &Patch,
    sequence: usize,
    channels: [usize; 2],
    packed: &mut [u32],
) -> Option<()> {
    let group = steps(channels[1]).checked_mul(4)?;
    let mut groups = packed.chunks_exact_mut(group);
    let mut four = [&[] as &[i8]; 4];
    let mut count = 0usize;
    patch.visit(map, sequence, channels, |key| {
        *four.get_mut(count & 3)? = key;
        count = count.wrapping_add(1);
        if count & 3 == 0 { four_keys(four, map.zero_point, groups.next()?) } else { Some(()) }
    })?;
    if count & 3 != 0 {
        let last = *four.get((count & 3).checked_sub(1)?)?;
        four.get_mut(count & 3..)?.fill(last);
        four_keys(four, map.zero_point, groups.next()?)?;
    }
    groups.into_remainder().is_empty().then_some(())
}

fn four_keys(keys: [&[i8]; 4], zero_point: i8, packed: &mut [u32]) -> Option<()> {
    let zero_points = both(zero_point);
    let put = |packed: &mut [u32; 8], [a, b, c, d]: [u32; 4]| {
        let ([a_even, a_odd], [b_even, b_odd]) = (center(a, zero_points), center(b, zero_points));
        let ([c_even, c_odd], [d_even, d_odd]) = (center(c, zero_points), center(d, zero_points));
        *packed = [a_even, b_even, c_even, d_even, a_odd, b_odd, c_odd, d_odd];
    };
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = keys.map(<[i8]>::as_chunks::<4>);
    let mut packed = packed.as_chunks_mut::<8>().0.iter_mut();
    for ((((&a, &b), &c), &d), packed) in a.iter().zip(b).zip(c).zip(d).zip(&mut packed) {
        put(packed, [load(a), load(b), load(c), load(d)]);
    }
    if !a_rest.is_empty() {
        let padded = |values: &[i8]| load_padded(values, zero_point);
        put(packed.next()?, [padded(a_rest), padded(b_rest), padded(c_rest), padded(d_rest)]);
    }
    Some(())
}

/// Writes values, `[groups of 4 channels][pairs of keys][4 channels]`, two keys a word.
pub fn values(
    map: &Map<'_>,
    patch: &Patch,
    sequence: usize,
    channels: [usize; 2],
    pairs: usize,
    packed: &mut [u32],
) -> Option<()> {
    let mut first: Option<&[i8]> = None;
    let mut pair = 0usize;
    patch.visit(map, sequence, channels, |value| {
        match first.take() {
            None => first = Some(value),
            Some(first) => {
                two_values(first, value, pair, pairs, packed)?;
                pair = pair.wrapping_add(1);
            }
        }
        Some(())
    })?;
    if let Some(first) = first {
        // Its weight is 0.
        two_values(first, first, pair, pairs, packed)?;
        pair = pair.wrapping_add(1);
    }
    (pair == pairs).then_some(())
}

fn two_values(first: &[i8], second: &[i8], pair: usize, pairs: usize, packed: &mut [u32]) -> Option<()> {
    let mut at = pair;
    let packed = packed.as_chunks_mut::<4>().0;
    let mut put = |first: u32, second: u32| {
        let [first_even, first_odd] = [sxtb16(first), sxtb16_ror8(first)];
        let [second_even, second_odd] = [sxtb16(second), sxtb16_ror8(second)];
        *packed.get_mut(at)? = [
            pkhbt_lsl16(first_even, second_even),
            pkhbt_lsl16(first_odd, second_odd),
            pkhtb_asr16(second_even, first_even),
            pkhtb_asr16(second_odd, first_odd),
        ];
        at = at.wrapping_add(pairs);
        Some(())
    };
    let ((a, a_rest), (b, b_rest)) = (first.as_chunks::<4>(), second.as_chunks::<4>());
    for (&a, &b) in a.iter().zip(b) {
        put(load(a), load(b))?;
    }
    if a_rest.is_empty() { Some(()) } else { put(load_partial(a_rest), load_partial(b_rest)) }
}
