//! Operations on single elements, four of them at a time.

use super::intrinsics::{
    pack_bytes, pkhbt_lsl16, pkhtb_asr16, smlad, smmulr, ssat_asr, ssat8, sxtb16, sxtb16_ror8,
};
use super::tflite::{Power, finish};
use super::words::{Bounds, load, load_partial, store, store_partial};
use crate::elementwise::{Add, AddTfLite};
use crate::requantize::saturate;

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

/// [`AddTfLite::apply`].
pub fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
    match Sum::new(add) {
        Some(sum) if sum.swapped => zip_words(data, other, |a, b| sum.words(b, a)),
        Some(sum) => zip_words(data, other, |a, b| sum.words(a, b)),
        None => add.apply(data, other),
    }
}

/// A sum of which one operand, that with the larger scale, comes to the common scale by a shift: half its scale is exact.
struct Sum {
    /// Whether that is the second operand.
    swapped: bool,
    /// Negated zero points of the exact operand and of the other.
    offsets: [i32; 2],
    /// Left shift of the other operand before it is multiplied.
    shift: u32,
    multiplier: i32,
    power: Power,
    output: i32,
    output_power: Power,
    zero_point: i32,
    bounds: Option<Bounds>,
}

impl Sum {
    /// `None` where neither operand is exact, or shifts are not those of factors below 1.
    fn new(add: &AddTfLite) -> Option<Self> {
        let half = |index: usize| {
            add.operands.get(index).is_some_and(|operand| operand.multiplier == 1 << 30 && operand.shift == 0)
        };
        let swapped = !half(0);
        if swapped && !half(1) {
            return None;
        }
        let [first, second] = add.operands;
        let other = if swapped { first } else { second };
        let [a, b] =
            add.zero_points.map(|zero_point| i8::try_from(zero_point).ok().map(|value| -i32::from(value)));
        let offsets = if swapped { [b?, a?] } else { [a?, b?] };
        // Where both are exact: twice the value halved, which no rounding changes.
        let (shift, power) =
            if half(0) && half(1) { (22, Power::new(-1)?) } else { (21, Power::new(other.shift)?) };
        Some(Self {
            swapped,
            offsets,
            shift,
            multiplier: other.multiplier,
            power,
            output: add.output.multiplier,
            output_power: Power::new(add.output.shift)?,
            zero_point: add.rule.zero_point,
            bounds: Bounds::new(saturate(add.rule.min), saturate(add.rule.max)),
        })
    }

    #[inline(always)]
    fn words(&self, exact: u32, other: u32) -> u32 {
        let byte = |word: u32, lane: u32, offset: i32| i32::from((word >> lane) as i8).wrapping_add(offset);
        let single = |lane: u32| {
            let exact = byte(exact, lane, self.offsets[0]) << (AddTfLite::LEFT_SHIFT - 1);
            // Below 2^30 in magnitude: differences have 9 bits.
            let raised = byte(other, lane, self.offsets[1]).wrapping_shl(self.shift);
            let sum = self.power.divide(smmulr(raised, self.multiplier), exact);
            // Below 2^28, so that doubling it, which takes the rounding of 2^31 to that of 2^32, cannot wrap.
            ssat8(finish(sum << 1, self.output, self.output_power, self.zero_point))
        };
        let word = pack_bytes([single(0), single(8), single(16), single(24)]);
        match &self.bounds {
            Some(bounds) => bounds.clamp(word),
            None => word,
        }
    }
}
