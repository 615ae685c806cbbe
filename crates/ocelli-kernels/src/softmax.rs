//! Softmax over the channels of each pixel. The output's scale is 1/256 and its zero point -128.

use crate::requantize::{
    multiply_by_quantized_multiplier, rounding_divide_by_power_of_two, saturate,
    saturating_rounding_doubling_high_mul,
};

/// Softmax of each pixel of `channels` values, in place: `e = exponentials[max - x]`, `round(256 * e / sum(e)) - 128`.
///
/// `exponentials[d] = round(32767 * exp(-d * scale * beta))`.
pub fn softmax(data: &mut [i8], channels: usize, exponentials: &[u16; 256]) -> Option<()> {
    if channels == 0 {
        return None;
    }
    for pixel in data.chunks_exact_mut(channels) {
        let largest = largest(pixel);
        let exponential =
            |value: i8| u32::from(exponentials[usize::from(largest.wrapping_sub(value).cast_unsigned())]);
        let sum = pixel.iter().fold(0u32, |sum, &value| sum.wrapping_add(exponential(value)));
        for value in pixel {
            let share = (exponential(*value) * 256).wrapping_add(sum / 2).checked_div(sum)?;
            *value = saturate(share as i32 - 128);
        }
    }
    Some(())
}

/// Parameters of TFLite's softmax.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxTfLite {
    /// Of `scale * beta * 2^(31 - 5)`.
    pub multiplier: i32,
    /// Its left shift.
    pub shift: i32,
    /// Differences to the maximum below this one count as `exp(-infinity)`.
    pub smallest_difference: i32,
}

impl SoftmaxTfLite {
    /// Softmax of each pixel of `channels` values, in place, as TFLite's reference kernel does in gemmlowp's fixed point.
    pub fn apply(&self, data: &mut [i8], channels: usize) -> Option<()> {
        if channels == 0 {
            return None;
        }
        for pixel in data.chunks_exact_mut(channels) {
            let largest = i32::from(largest(pixel));
            let exponential = |value: i8| {
                let difference = i32::from(value) - largest;
                (difference >= self.smallest_difference)
                    .then(|| exp_on_negative_values(self.rescale(difference)))
            };
            // Q12.19, from Q0.31.
            let sum = pixel.iter().filter_map(|&value| exponential(value)).fold(0i32, |sum, exponential| {
                sum.wrapping_add(rounding_divide_by_power_of_two(exponential, 12))
            });
            let (reciprocal, bits_over_unit) = reciprocal(sum);
            let exponent = bits_over_unit.wrapping_add(31 - 8);
            for value in pixel {
                *value = match exponential(*value) {
                    Some(exponential) => {
                        let share = high_mul(reciprocal, exponential);
                        let share = rounding_divide_by_power_of_two(share, exponent.min(31));
                        saturate(share.wrapping_sub(128))
                    }
                    None => i8::MIN,
                };
            }
        }
        Some(())
    }

    /// A difference to the maximum in Q5.26.
    fn rescale(&self, difference: i32) -> i32 {
        multiply_by_quantized_multiplier(difference, self.multiplier, self.shift)
    }
}

fn largest(pixel: &[i8]) -> i8 {
    pixel.iter().fold(i8::MIN, |largest, &value| largest.max(value))
}

/// Called from many places, none of which is run often: a function of its own is much smaller.
#[inline(never)]
fn high_mul(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// gemmlowp's `GetReciprocal` with 12 integer bits: `1 / sum` as Q0.31 times a power of two.
fn reciprocal(sum: i32) -> (i32, u32) {
    let headroom = sum.cast_unsigned().leading_zeros();
    let bits_over_unit = 12u32.wrapping_sub(headroom);
    let shifted = (sum.cast_unsigned().wrapping_shl(headroom)).wrapping_sub(1 << 31).cast_signed();
    (one_over_one_plus_x(shifted), bits_over_unit)
}

/// gemmlowp's `one_over_one_plus_x_for_x_in_0_1`, Q0.31: three Newton-Raphson steps.
fn one_over_one_plus_x(x: i32) -> i32 {
    const FORTY_EIGHT_OVER_17: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_OVER_17: i32 = -1_010_580_540;
    // Q2.29 from here on.
    let half_denominator = rounding_half_sum(x, i32::MAX);
    let mut estimate = FORTY_EIGHT_OVER_17.wrapping_add(high_mul(half_denominator, MINUS_THIRTY_TWO_OVER_17));
    for _ in 0..3 {
        let product = high_mul(half_denominator, estimate);
        let remainder = (1i32 << 29).wrapping_sub(product);
        let correction = high_mul(estimate, remainder);
        estimate = estimate.wrapping_add(saturating_shift_left(correction, 2));
    }
    saturating_shift_left(estimate, 1)
}

/// gemmlowp's `exp_on_negative_values` for Q5.26, to Q0.31.
#[inline(never)]
fn exp_on_negative_values(a: i32) -> i32 {
    const FRACTION_BITS: u32 = 26;
    const ONE_QUARTER: i32 = 1 << (FRACTION_BITS - 2);
    /// `exp(-2^k)` for k from -2 to 4, Q0.31.
    const FACTORS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return i32::MAX;
    }
    let modulo = (a & (ONE_QUARTER - 1)).wrapping_sub(ONE_QUARTER);
    let mut result = exp_between_minus_quarter_and_zero(saturating_shift_left(modulo, 5));
    let remainder = modulo.wrapping_sub(a);
    for (index, factor) in (0u32..).zip(FACTORS) {
        if remainder & (1i32.wrapping_shl(FRACTION_BITS - 2 + index)) != 0 {
            result = high_mul(result, factor);
        }
    }
    result
}

/// gemmlowp's `exp_on_interval_between_negative_one_quarter_and_0_excl`, Q0.31: a Taylor series around -1/8.
fn exp_between_minus_quarter_and_zero(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const ONE_THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    let x2 = high_mul(x, x);
    let x3 = high_mul(x2, x);
    let x4 = high_mul(x2, x2);
    let x4_over_4 = rounding_divide_by_power_of_two(x4, 2);
    let x4_over_24_plus_x3_over_6_plus_x2_over_2 =
        rounding_divide_by_power_of_two(high_mul(x4_over_4.wrapping_add(x3), ONE_THIRD).wrapping_add(x2), 1);
    EXP_MINUS_EIGHTH
        .wrapping_add(high_mul(EXP_MINUS_EIGHTH, x.wrapping_add(x4_over_24_plus_x3_over_6_plus_x2_over_2)))
}

/// gemmlowp's `SaturatingRoundingMultiplyByPOT` for a left shift.
fn saturating_shift_left(value: i32, exponent: u32) -> i32 {
    let wide = i64::from(value) << exponent;
    wide.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// gemmlowp's `RoundingHalfSum`: `(a + b) / 2`, halves away from zero.
fn rounding_half_sum(a: i32, b: i32) -> i32 {
    let sum = i64::from(a) + i64::from(b);
    let sign = if sum >= 0 { 1 } else { -1 };
    ((sum + sign) / 2) as i32
}
