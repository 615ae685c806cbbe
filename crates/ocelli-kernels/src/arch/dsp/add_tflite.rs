//! TFLite's add: both operands to a common scale, their sum to the output's, with all of its roundings.
#![allow(unsafe_code)]

#[cfg(not(ocelli_dsp))]
use super::intrinsics::{pack_bytes, smmulr, ssat8};
use super::tflite::Power;
#[cfg(not(ocelli_dsp))]
use super::tflite::finish;
use super::words::{Bounds, load, load_partial, store, store_partial};
use crate::elementwise::AddTfLite;
use crate::requantize::saturate;

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("add_tflite.s"), options(raw));

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_add_tflite_first(
        data: *mut [i8; 4],
        other: *const [i8; 4],
        end: *const [i8; 4],
        control: *const Sum,
    );
    fn ocelli_dsp_add_tflite_second(
        data: *mut [i8; 4],
        other: *const [i8; 4],
        end: *const [i8; 4],
        control: *const Sum,
    );
    fn ocelli_dsp_add_tflite_both(
        data: *mut [i8; 4],
        other: *const [i8; 4],
        end: *const [i8; 4],
        control: *const Sum,
    );
}

/// [`AddTfLite::apply`].
pub fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
    let (Some(sum), 4..) = (Sum::new(add), other.len()) else {
        return add.apply(data, other);
    };
    if data.len().checked_rem(other.len())? != 0 {
        return None;
    }
    let bounds = Bounds::new(saturate(add.rule.min), saturate(add.rule.max));
    let (other_words, other_rest) = other.as_chunks::<4>();
    for chunk in data.chunks_exact_mut(other.len()) {
        let (words, rest) = chunk.as_chunks_mut::<4>();
        sum.apply(words, other_words);
        if !rest.is_empty() {
            let mut last = [store(load_partial(rest))];
            sum.apply(&mut last, &[store(load_partial(other_rest))]);
            let [last] = last;
            store_partial(load(last), rest);
        }
    }
    if let Some(bounds) = bounds {
        bounds.apply(data);
    }
    Some(())
}

/// A sum of which one operand, that with the larger scale, comes to the common scale by a shift: half its scale is exact. Read by assembly.
#[repr(C)]
struct Sum {
    /// Negated zero points of the exact operand and of the other.
    offsets: [i32; 2],
    /// Of the other.
    multiplier: i32,
    power: Power,
    output: i32,
    output_power: Power,
    zero_point: i32,
    exact: Exact,
}

/// Which operand is exact.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
enum Exact {
    First,
    Second,
    /// The other one then counts as twice itself, halved, which no rounding changes.
    Both,
}

impl Sum {
    /// `None` where neither operand is exact, or shifts are not those of factors below 1.
    fn new(add: &AddTfLite) -> Option<Self> {
        let half = add.operands.map(|operand| operand.multiplier == 1 << 30 && operand.shift == 0);
        let exact = match half {
            [true, true] => Exact::Both,
            [true, false] => Exact::First,
            [false, true] => Exact::Second,
            [false, false] => return None,
        };
        let [first, second] = add.operands;
        let mut offsets = [0; 2];
        for (offset, zero_point) in offsets.iter_mut().zip(add.zero_points) {
            *offset = -i32::from(i8::try_from(zero_point).ok()?);
        }
        let other = if exact == Exact::Second { first } else { second };
        if exact == Exact::Second {
            offsets.reverse();
        }
        Some(Self {
            offsets,
            multiplier: other.multiplier,
            power: Power::new(if exact == Exact::Both { -1 } else { other.shift })?,
            output: add.output.multiplier,
            output_power: Power::new(add.output.shift)?,
            zero_point: add.rule.zero_point,
            exact,
        })
    }

    /// Adds as many words as both have.
    #[cfg(ocelli_dsp)]
    fn apply(&self, data: &mut [[i8; 4]], other: &[[i8; 4]]) {
        let count = data.len().min(other.len());
        if count == 0 {
            return;
        }
        let function = match self.exact {
            Exact::First => ocelli_dsp_add_tflite_first,
            Exact::Second => ocelli_dsp_add_tflite_second,
            Exact::Both => ocelli_dsp_add_tflite_both,
        };
        // SAFETY: both have `count` words, at least one; the function reads and writes them one after the other up to the end of `data`.
        unsafe {
            let start = data.as_mut_ptr();
            function(start, other.as_ptr(), start.add(count), self);
        }
    }

    /// Adds as many words as both have.
    #[cfg(not(ocelli_dsp))]
    fn apply(&self, data: &mut [[i8; 4]], other: &[[i8; 4]]) {
        let raise = if self.exact == Exact::Both { 22 } else { 21 };
        for (data, &other) in data.iter_mut().zip(other) {
            let (exact, other) = if self.exact == Exact::Second { (other, *data) } else { (*data, other) };
            let mut sums = [0; 4];
            for (sum, (exact, other)) in sums.iter_mut().zip(exact.into_iter().zip(other)) {
                let exact = (i32::from(exact) + self.offsets[0]) << (AddTfLite::LEFT_SHIFT - 1);
                // Below 2^31 in magnitude: differences have 9 bits.
                let other = smmulr((i32::from(other) + self.offsets[1]) << raise, self.multiplier);
                // Below 2^28, so that doubling it, which takes the rounding of 2^31 to that of 2^32, cannot wrap.
                let common = self.power.divide(other, exact);
                *sum = ssat8(finish(common << 1, self.output, self.output_power, self.zero_point));
            }
            *data = store(pack_bytes(sums));
        }
    }
}
