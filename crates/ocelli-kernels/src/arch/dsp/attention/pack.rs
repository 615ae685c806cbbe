//! Queries, keys and values of one head, in the order in which the inner loops read them. Channels are padded to multiples of four with
//! zeros, keys with copies of the last key, values with copies of the last one (whose weight is 0). Whole words of four channels are
//! `pack.s`, and the same in plain Rust.
#![allow(unsafe_code)]

use super::super::intrinsics::{pkhbt_lsl16, pkhtb_asr16, ssub16, sxtb16, sxtb16_ror8};
use super::super::words::{load, load_padded, load_partial};
use crate::Map;
use crate::sequence::Patch;

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("pack.s"), options(raw));

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_pack_queries(
        first: *const [i8; 4],
        second: *const [i8; 4],
        zero_points: u32,
        packed: *mut [u32; 4],
        words: usize,
    );
    fn ocelli_dsp_pack_keys(control: *const Keys);
    fn ocelli_dsp_pack_values(control: *const Values);
}

/// Keys at equal distances; the assembly reads it.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Keys {
    keys: *const i8,
    step: usize,
    zero_points: u32,
    packed: *mut u32,
    words: usize,
    groups: usize,
}

/// Values at equal distances; the assembly reads it.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Values {
    values: *const i8,
    step: usize,
    packed: *mut u32,
    group_step: usize,
    words: usize,
    pairs: usize,
}

/// Calls `visit` with what follows the first channel of each row's tokens, the distance between tokens and their number; `None` unless channels
/// are whole words, and each row has a multiple of so many tokens.
#[cfg(ocelli_dsp)]
fn runs<'m>(
    map: &Map<'m>,
    patch: &Patch,
    sequence: usize,
    [first, length]: [usize; 2],
    multiple: usize,
    mut visit: impl FnMut(&'m [i8], usize, usize) -> Option<()>,
) -> Option<()> {
    let [mut y, x] = patch.place(sequence);
    let step = patch.stride(map.channels)?.get();
    let start = x.checked_mul(map.channels)?.checked_add(first)?;
    let before = map.width.checked_mul(map.channels)?.checked_sub(start)?;
    let tokens = before.checked_add(step.checked_sub(1)?)?.checked_div(step)?;
    if tokens == 0 || !tokens.is_multiple_of(multiple) || length == 0 || !length.is_multiple_of(4) {
        return None;
    }
    // Of a row that has room for all of them.
    let needed = tokens.checked_sub(1)?.checked_mul(step)?.checked_add(length)?;
    while y < map.height {
        visit(map.row(y)?.get(start..)?.get(..needed)?, step, tokens)?;
        y = y.checked_add(patch.rows())?;
    }
    Some(())
}

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
    let words = first.len().min(second.len());
    let (whole, rest) = packed.as_chunks_mut::<4>().0.split_at_mut_checked(words)?;
    #[cfg(ocelli_dsp)]
    if words > 0 {
        // SAFETY: both queries and the packed words have as many as the function reads and writes.
        unsafe {
            ocelli_dsp_pack_queries(first.as_ptr(), second.as_ptr(), zero_points, whole.as_mut_ptr(), words);
        }
    }
    #[cfg(not(ocelli_dsp))]
    for ((&first, &second), packed) in first.iter().zip(second).zip(whole) {
        put(packed, load(first), load(second));
    }
    if !first_rest.is_empty() {
        let (first, second) = (load_padded(first_rest, zero_point), load_padded(second_rest, zero_point));
        put(rest.first_mut()?, first, second);
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
    #[cfg(ocelli_dsp)]
    {
        let mut rest = &mut *packed;
        let packed = runs(map, patch, sequence, channels, 4, |keys, step, tokens| {
            let (words, groups) = (channels[1] / 4, tokens / 4);
            let (packed, after) =
                core::mem::take(&mut rest).split_at_mut_checked(groups.checked_mul(group)?)?;
            rest = after;
            let zero_points = both(map.zero_point);
            let packed = packed.as_mut_ptr();
            let control = Keys { keys: keys.as_ptr(), step, zero_points, packed, words, groups };
            // SAFETY: the function reads `words` words, at least one, at each of `tokens` steps, which `runs` says are there, and writes eight
            // for each four of them.
            unsafe { ocelli_dsp_pack_keys(&raw const control) };
            Some(())
        });
        if packed.is_some() {
            return rest.is_empty().then_some(());
        }
    }
    let mut groups = packed.chunks_exact_mut(group.max(1));
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
    #[cfg(ocelli_dsp)]
    {
        let mut done = 0usize;
        let packed = runs(map, patch, sequence, channels, 2, |values, step, tokens| {
            let words = channels[1] / 4;
            let last =
                (words.checked_sub(1)?.checked_mul(pairs)?).checked_add(done)?.checked_add(tokens / 2)?;
            let place = packed.get_mut(done.checked_mul(4)?..last.checked_mul(4)?)?;
            done = done.checked_add(tokens / 2).filter(|&done| done <= pairs)?;
            let control = Values {
                values: values.as_ptr(),
                step,
                packed: place.as_mut_ptr(),
                group_step: pairs.wrapping_mul(16),
                words,
                pairs: tokens / 2,
            };
            // SAFETY: the function reads `words` words, at least one, at each of `tokens` steps, which `runs` says are there, and writes four for
            // each two of them, those of a word `pairs` fours after those of the word before: the last are the end of `place`.
            unsafe { ocelli_dsp_pack_values(&raw const control) };
            Some(())
        });
        if packed.is_some() {
            return (done == pairs).then_some(());
        }
    }
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
