//! TFLite's residual add by 32-bit multiplications.

use core::num::NonZero;

use super::{Core, TRAILER, requantize};
use crate::elementwise::AddTfLite;
use crate::requantize::TfLiteChannel;

/// How an operand gets to the common scale.
///
/// TFLite's rule for `d = value - zero_point`, shifted left by 20 bits, is `s = floor((d * multiplier + 2^10) / 2^11)`. With the multiplier
/// split at 11 bits this is `d * high + floor((d * low + 2^10) / 2^11)`, which fits 32 bits. The shift to the right by `e` bits rounds halves
/// away from zero: `(s + 2^(e - 1) - (s < 0)) >> e`.
#[derive(Clone, Copy, Debug)]
struct Operand {
    zero_point: i32,
    high: i32,
    low: i32,
    half: i32,
    shift: u32,
    /// All ones where there is a shift.
    negative: i32,
}

impl Operand {
    /// `None` for zero points beyond int8, multipliers below 0, and shifts to the left or beyond 20 bits.
    fn new(zero_point: i32, channel: &TfLiteChannel) -> Option<Self> {
        let shift = channel.shift.checked_neg().and_then(|shift| u32::try_from(shift).ok())?;
        let fits = i8::try_from(zero_point).is_ok() && channel.multiplier >= 0 && shift <= 20;
        fits.then_some(Self {
            zero_point,
            high: channel.multiplier >> 11,
            low: channel.multiplier & 0x7ff,
            half: (1i32 << shift) >> 1,
            shift,
            // Hidden from the compiler, which would make a comparison of it for each value.
            negative: core::hint::black_box(if shift == 0 { 0 } else { -1 }),
        })
    }

    #[inline(always)]
    fn scale(self, value: i8) -> i32 {
        let value = i32::from(value).wrapping_sub(self.zero_point);
        let low = value.wrapping_mul(self.low).wrapping_add(1 << 10) >> 11;
        let sum = value.wrapping_mul(self.high).wrapping_add(low);
        let negative = (sum >> 31) & self.negative;
        sum.wrapping_add(negative).wrapping_add(self.half).wrapping_shr(self.shift)
    }
}

/// What two operands in the common scale cannot exceed: 255 raised by 20 bits, each.
const BOUND: i64 = (2 * 255) << AddTfLite::LEFT_SHIFT;

/// [`AddTfLite::apply`].
pub(in crate::arch) fn add_tflite<C: Core>(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
    let Some((operands, trailer)) = prepare::<C>(add) else { return add.apply(data, other) };
    let length = NonZero::new(other.len())?;
    if data.len().checked_rem(length.get())? != 0 {
        return None;
    }
    for data in data.chunks_exact_mut(length.get()) {
        for (data, other) in data.chunks_mut(BLOCK).zip(other.chunks(BLOCK)) {
            add_block::<C>(operands, trailer, data, other);
        }
    }
    requantize::clamp(&add.rule, data);
    Some(())
}

/// Values added at once: in three loops, whose constants have room in registers.
const BLOCK: usize = 32;

fn add_block<C: Core>([first, second]: [Operand; 2], trailer: [u32; TRAILER], data: &mut [i8], other: &[i8]) {
    let mut sums = [0; BLOCK];
    for (sum, &value) in sums.iter_mut().zip(&*data) {
        *sum = first.scale(value);
    }
    for (sum, &value) in sums.iter_mut().zip(other) {
        *sum = second.scale(value).wrapping_add(*sum);
    }
    for (value, &sum) in data.iter_mut().zip(&sums) {
        *value = C::finish(trailer, sum, true);
    }
}

fn prepare<C: Core>(add: &AddTfLite) -> Option<([Operand; 2], [u32; TRAILER])> {
    let [first, second] = &add.operands;
    let operands = [Operand::new(add.zero_points[0], first)?, Operand::new(add.zero_points[1], second)?];
    // The output's bias is not used.
    Some((operands, C::trailer(Some(&add.rule), &add.output, BOUND)?))
}
