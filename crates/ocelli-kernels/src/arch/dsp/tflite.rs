//! TFLite's double rounding in four instructions.

use super::intrinsics::{smmlsr, smmulr};

/// A division by a power of two, rounded, halves away from zero: the factor `-2^(32 - exponent)`, negative so that the first exponent fits.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Power(i32);

impl Power {
    /// By `2^-shift`; `None` unless `shift` is in -31..=-1.
    pub fn new(shift: i32) -> Option<Self> {
        (-31..=-1).contains(&shift).then(|| Self((1i32 << (32 + shift).cast_unsigned()).wrapping_neg()))
    }

    /// `round(value / 2^exponent) + addend`.
    ///
    /// A value below zero less 1, and then rounded with halves up, is the value rounded with halves away from zero.
    #[inline(always)]
    pub fn divide(self, value: i32, addend: i32) -> i32 {
        smmlsr(value.wrapping_add(value >> 31), self.0, addend)
    }
}

/// `multiply_by_quantized_multiplier(sum, multiplier, -exponent) + zero_point` of `doubled = 2 * sum`, which must fit.
#[inline(always)]
pub fn finish(doubled: i32, multiplier: i32, power: Power, zero_point: i32) -> i32 {
    power.divide(smmulr(doubled, multiplier), zero_point)
}
