//! Operations on single elements, four of them at a time.

use super::intrinsics::{
    pack_bytes, pkhbt_lsl16, pkhtb_asr16, smlabb, smlad, smlatt, smmulr, ssat_asr, ssat8, ssub16, sxtb16,
    sxtb16_ror8,
};
use super::tflite::{Power, finish};
use super::words::{Bounds, load, load_partial, store, store_partial};
use crate::elementwise::{Add, Mul};
use crate::requantize::{Rule, saturate};

/// `data[i] = function(data[i], other[i % other.len()])` for four values at a time.
#[inline(always)]
fn zip_words(data: &mut [i8], other: &[i8], function: impl Fn(u32, u32) -> u32) -> Option<()> {
    if other.is_empty() || data.len().checked_rem(other.len())? != 0 {
        return None;
    }
    let (other_pairs, other_rest) = other.as_chunks::<8>();
    for chunk in data.chunks_exact_mut(other.len()) {
        let (pairs, rest) = chunk.as_chunks_mut::<8>();
        for (data, other) in pairs.iter_mut().zip(other_pairs) {
            let [a0, a1, a2, a3, a4, a5, a6, a7] = *data;
            let [b0, b1, b2, b3, b4, b5, b6, b7] = *other;
            let [c0, c1, c2, c3] = store(function(load([a0, a1, a2, a3]), load([b0, b1, b2, b3])));
            let [c4, c5, c6, c7] = store(function(load([a4, a5, a6, a7]), load([b4, b5, b6, b7])));
            *data = [c0, c1, c2, c3, c4, c5, c6, c7];
        }
        for (data, other) in rest.chunks_mut(4).zip(other_rest.chunks(4)) {
            store_partial(function(load_partial(data), load_partial(other)), data);
        }
    }
    Some(())
}

/// [`Add::apply`].
pub fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
    let [Ok(first), Ok(second)] = add.multipliers.map(i16::try_from) else {
        return add.apply(data, other);
    };
    let multipliers = u32::from(first.cast_unsigned()) | u32::from(second.cast_unsigned()) << 16;
    // A shift in the instruction costs nothing; these are what an operand has whose scale is half to twice the output's.
    match add.shift {
        14 => add_shifted(add, multipliers, data, other, ssat_asr::<8, 14>),
        15 => add_shifted(add, multipliers, data, other, ssat_asr::<8, 15>),
        shift => add_shifted(add, multipliers, data, other, |sum| ssat8(sum.wrapping_shr(shift))),
    }
}

#[inline(always)]
fn add_shifted(
    add: &Add,
    multipliers: u32,
    data: &mut [i8],
    other: &[i8],
    shift: impl Fn(i32) -> i32,
) -> Option<()> {
    let sum = |a: u32, b: u32| {
        let (a_even, a_odd, b_even, b_odd) = (sxtb16(a), sxtb16_ror8(a), sxtb16(b), sxtb16_ror8(b));
        let pairs = [
            pkhbt_lsl16(a_even, b_even),
            pkhbt_lsl16(a_odd, b_odd),
            pkhtb_asr16(b_even, a_even),
            pkhtb_asr16(b_odd, a_odd),
        ];
        let finish = |pair: u32| shift(smlad(pair, multipliers, add.bias));
        let [first, second, third, fourth] = pairs;
        pack_bytes([finish(first), finish(second), finish(third), finish(fourth)])
    };
    zip_words(data, other, sum)
}

/// [`crate::elementwise::table`].
#[allow(unsafe_code)]
pub fn table(data: &mut [i8], table: &[i8; 256]) {
    let middle = table.as_ptr().wrapping_add(128);
    let look_up = |value: &mut i8| {
        // SAFETY: -128..=127 entries from the middle of 256 are within them.
        *value = unsafe { *middle.wrapping_offset(isize::from(*value)) };
    };
    let (blocks, rest) = data.as_chunks_mut::<8>();
    blocks.iter_mut().for_each(|block| block.iter_mut().for_each(look_up));
    rest.iter_mut().for_each(look_up);
}

/// [`Mul::apply`].
pub fn mul<R: Rule>(mul: &Mul<'_, R>, data: &mut [i8], other: &[i8]) -> Option<()> {
    let channel = R::common(mul.channel);
    let ([Ok(first), Ok(second)], true) =
        (mul.zero_points.map(i8::try_from), channel.bias.unsigned_abs() < 1 << 29)
    else {
        return mul.apply(data, other);
    };
    let products = Products { zero_points: [lanes(first), lanes(second)], bias: channel.bias };
    let Some(rule) = mul.rule.tflite() else {
        return zip_words(data, other, |a, b| {
            products.words(a, b, |sum| ssat8(smmulr(sum, channel.multiplier)))
        });
    };
    let zero_point = rule.zero_point;
    match (channel.shift, Power::new(channel.shift)) {
        (0, _) => zip_words(data, other, |a, b| {
            let scale = |sum: i32| smmulr(sum << 1, channel.multiplier).wrapping_add(zero_point);
            products.words(a, b, |sum| ssat8(scale(sum)))
        })?,
        (_, Some(power)) => zip_words(data, other, |a, b| {
            products.words(a, b, |sum| ssat8(finish(sum << 1, channel.multiplier, power, zero_point)))
        })?,
        (_, None) => return mul.apply(data, other),
    }
    if let Some(bounds) = Bounds::new(saturate(rule.min), saturate(rule.max)) {
        bounds.apply(data);
    }
    Some(())
}

/// A value in both lanes.
fn lanes(value: i8) -> u32 {
    u32::from(i16::from(value).cast_unsigned()) * 0x0001_0001
}

/// Products of differences to zero points, on top of a bias.
struct Products {
    zero_points: [u32; 2],
    bias: i32,
}

impl Products {
    #[inline(always)]
    fn words(&self, a: u32, b: u32, finish: impl Fn(i32) -> i32) -> u32 {
        let [first, second] = self.zero_points;
        let (a_even, a_odd) = (ssub16(sxtb16(a), first), ssub16(sxtb16_ror8(a), first));
        let (b_even, b_odd) = (ssub16(sxtb16(b), second), ssub16(sxtb16_ror8(b), second));
        pack_bytes([
            finish(smlabb(a_even, b_even, self.bias)),
            finish(smlabb(a_odd, b_odd, self.bias)),
            finish(smlatt(a_even, b_even, self.bias)),
            finish(smlatt(a_odd, b_odd, self.bias)),
        ])
    }
}
