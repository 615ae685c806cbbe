//! Single instructions of the DSP extension, and what they compute, in plain Rust, for targets without it.
//!
//! Names, operands and lanes are the architecture's: "bottom" is bits 15..0 of a word, "top" bits 31..16. Words of lanes are `u32`, sums
//! `i32`. All arithmetic wraps unless the instruction saturates.
#![allow(unsafe_code)]

#[cfg(ocelli_dsp)]
use core::arch::asm;

/// The bottom lane, sign-extended.
#[inline(always)]
#[cfg(not(ocelli_dsp))]
const fn bottom(word: u32) -> i32 {
    word as i16 as i32
}

/// The top lane, sign-extended.
#[inline(always)]
#[cfg(not(ocelli_dsp))]
const fn top(word: u32) -> i32 {
    word.cast_signed() >> 16
}

/// A word of two lanes.
#[inline(always)]
#[cfg(not(ocelli_dsp))]
const fn lanes(top: i32, bottom: i32) -> u32 {
    (top.cast_unsigned() << 16) | (bottom.cast_unsigned() & 0xffff)
}

/// Functions of one instruction each: the instruction's operands are the result, then the arguments in order.
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),+) -> $result:ty, $template:literal, $model:expr;)+) => {$(
        $(#[$doc])*
        #[inline(always)]
        #[must_use]
        pub fn $name($($argument: $type),+) -> $result {
            #[cfg(ocelli_dsp)]
            {
                let result: $result;
                // SAFETY: one instruction of the DSP extension, which the target has; it only reads and writes the given registers.
                unsafe {
                    asm!(instruction_set!(), $template, out = lateout(reg) result, $($argument = in(reg) $argument),+, options(pure, nomem, nostack));
                }
                result
            }
            #[cfg(not(ocelli_dsp))]
            {
                $model
            }
        }
    )+};
}

instructions! {
    /// Bytes 0 and 2, sign-extended to lanes.
    sxtb16(word: u32) -> u32, "sxtb16 {out}, {word}", lanes((word >> 16) as i8 as i32, word as i8 as i32);
    /// Bytes 1 and 3, sign-extended to lanes.
    sxtb16_ror8(word: u32) -> u32, "sxtb16 {out}, {word}, ror #8", sxtb16(word.rotate_right(8));
    /// Bytes 2 and 0, sign-extended to lanes.
    sxtb16_ror16(word: u32) -> u32, "sxtb16 {out}, {word}, ror #16", sxtb16(word.rotate_right(16));
    /// Bytes 3 and 1, sign-extended to lanes.
    sxtb16_ror24(word: u32) -> u32, "sxtb16 {out}, {word}, ror #24", sxtb16(word.rotate_right(24));

    /// `sum` plus both products of lanes.
    smlad(a: u32, b: u32, sum: i32) -> i32, "smlad {out}, {a}, {b}, {sum}",
        sum.wrapping_add(bottom(a).wrapping_mul(bottom(b))).wrapping_add(top(a).wrapping_mul(top(b)));
    /// The sum of both products of lanes.
    smuad(a: u32, b: u32) -> i32, "smuad {out}, {a}, {b}",
        bottom(a).wrapping_mul(bottom(b)).wrapping_add(top(a).wrapping_mul(top(b)));
    /// Bottom times bottom.
    smulbb(a: u32, b: u32) -> i32, "smulbb {out}, {a}, {b}", bottom(a).wrapping_mul(bottom(b));
    /// Bottom times top.
    smulbt(a: u32, b: u32) -> i32, "smulbt {out}, {a}, {b}", bottom(a).wrapping_mul(top(b));
    /// Top times bottom.
    smultb(a: u32, b: u32) -> i32, "smultb {out}, {a}, {b}", top(a).wrapping_mul(bottom(b));
    /// Top times top.
    smultt(a: u32, b: u32) -> i32, "smultt {out}, {a}, {b}", top(a).wrapping_mul(top(b));
    /// `sum` plus bottom times bottom.
    smlabb(a: u32, b: u32, sum: i32) -> i32, "smlabb {out}, {a}, {b}, {sum}", sum.wrapping_add(bottom(a).wrapping_mul(bottom(b)));
    /// `sum` plus bottom times top.
    smlabt(a: u32, b: u32, sum: i32) -> i32, "smlabt {out}, {a}, {b}, {sum}", sum.wrapping_add(bottom(a).wrapping_mul(top(b)));
    /// `sum` plus top times bottom.
    smlatb(a: u32, b: u32, sum: i32) -> i32, "smlatb {out}, {a}, {b}, {sum}", sum.wrapping_add(top(a).wrapping_mul(bottom(b)));
    /// `sum` plus top times top.
    smlatt(a: u32, b: u32, sum: i32) -> i32, "smlatt {out}, {a}, {b}, {sum}", sum.wrapping_add(top(a).wrapping_mul(top(b)));

    /// `(a * b + 2^31) >> 32`.
    smmulr(a: i32, b: i32) -> i32, "smmulr {out}, {a}, {b}",
        ((i64::from(a) * i64::from(b)).wrapping_add(1 << 31) >> 32) as i32;
    /// `(a * b + sum * 2^32 + 2^31) >> 32`.
    smmlar(a: i32, b: i32, sum: i32) -> i32, "smmlar {out}, {a}, {b}, {sum}", sum.wrapping_add(smmulr(a, b));

    /// `(sum * 2^32 - a * b + 2^31) >> 32`.
    smmlsr(a: i32, b: i32, sum: i32) -> i32, "smmlsr {out}, {a}, {b}, {sum}",
        ((i64::from(sum) << 32).wrapping_sub(i64::from(a) * i64::from(b)).wrapping_add(1 << 31) >> 32) as i32;

    /// `sum` plus bytes 0 and 2, sign-extended, in lanes.
    sxtab16(word: u32, sum: u32) -> u32, "sxtab16 {out}, {sum}, {word}",
        lanes(top(sum) + top(sxtb16(word)), bottom(sum) + bottom(sxtb16(word)));
    /// `sum` plus bytes 1 and 3, sign-extended, in lanes.
    sxtab16_ror8(word: u32, sum: u32) -> u32, "sxtab16 {out}, {sum}, {word}, ror #8", sxtab16(word.rotate_right(8), sum);
    /// Lanes of the difference.
    ssub16(a: u32, b: u32) -> u32, "ssub16 {out}, {a}, {b}", lanes(top(a) - top(b), bottom(a) - bottom(b));

    /// Lanes of the difference, each saturated to int16.
    qsub16(a: u32, b: u32) -> u32, "qsub16 {out}, {a}, {b}",
        lanes(
            (top(a) - top(b)).clamp(-0x8000, 0x7fff),
            (bottom(a) - bottom(b)).clamp(-0x8000, 0x7fff),
        );
    /// The bottom lane of `a`, and the bottom lane of `b` as the top.
    pkhbt_lsl16(a: u32, b: u32) -> u32, "pkhbt {out}, {a}, {b}, lsl #16", (b << 16) | (a & 0xffff);
    /// The top lane of `a`, and the top lane of `b` as the bottom.
    pkhtb_asr16(a: u32, b: u32) -> u32, "pkhtb {out}, {a}, {b}, asr #16", (a & 0xffff_0000) | (b >> 16);
    /// The top lane of `b` and the bottom lane of `a`.
    pkhbt(a: u32, b: u32) -> u32, "pkhbt {out}, {a}, {b}", (b & 0xffff_0000) | (a & 0xffff);
}

/// The larger of each lane, signed.
#[inline(always)]
#[must_use]
pub fn max16(a: u32, b: u32) -> u32 {
    #[cfg(ocelli_dsp)]
    {
        let result: u32;
        // SAFETY: two instructions of the DSP extension, which the target has; they only read and write the given registers and the flags.
        unsafe {
            asm!(instruction_set!(), "ssub16 {out}, {a}, {b}", "sel {out}, {a}, {b}", out = out(reg) result, a = in(reg) a, b = in(reg) b,
                options(pure, nomem, nostack));
        }
        result
    }
    #[cfg(not(ocelli_dsp))]
    {
        lanes(top(a).max(top(b)), bottom(a).max(bottom(b)))
    }
}

/// The larger of each byte, signed.
#[inline(always)]
#[must_use]
pub fn max8(a: u32, b: u32) -> u32 {
    #[cfg(ocelli_dsp)]
    {
        let result: u32;
        // SAFETY: two instructions of the DSP extension, which the target has; they only read and write the given registers and the flags.
        unsafe {
            asm!(instruction_set!(), "ssub8 {out}, {a}, {b}", "sel {out}, {a}, {b}", out = out(reg) result, a = in(reg) a, b = in(reg) b,
                options(pure, nomem, nostack));
        }
        result
    }
    #[cfg(not(ocelli_dsp))]
    {
        each_byte(a, b, i8::max)
    }
}

/// The smaller of each byte, signed.
#[inline(always)]
#[must_use]
pub fn min8(a: u32, b: u32) -> u32 {
    #[cfg(ocelli_dsp)]
    {
        let result: u32;
        // SAFETY: two instructions of the DSP extension, which the target has; they only read and write the given registers and the flags.
        unsafe {
            asm!(instruction_set!(), "ssub8 {out}, {a}, {b}", "sel {out}, {b}, {a}", out = out(reg) result, a = in(reg) a, b = in(reg) b,
                options(pure, nomem, nostack));
        }
        result
    }
    #[cfg(not(ocelli_dsp))]
    {
        each_byte(a, b, i8::min)
    }
}

/// A function of each pair of bytes, signed.
#[inline(always)]
#[cfg(not(ocelli_dsp))]
fn each_byte(a: u32, b: u32, function: fn(i8, i8) -> i8) -> u32 {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a.to_le_bytes(), b.to_le_bytes());
    let [first, second, third, fourth] = [(a0, b0), (a1, b1), (a2, b2), (a3, b3)]
        .map(|(a, b)| function(a.cast_signed(), b.cast_signed()).cast_unsigned());
    u32::from_le_bytes([first, second, third, fourth])
}

/// Four bytes as a word: the lowest of each value, the first value's lowest.
#[inline(always)]
#[must_use]
pub fn pack_bytes([a, b, c, d]: [i32; 4]) -> u32 {
    #[cfg(ocelli_dsp)]
    {
        let mut result = a.cast_unsigned();
        // SAFETY: three instructions, which only read and write the given registers.
        unsafe {
            asm!("bfi {word}, {b}, #8, #8", "bfi {word}, {c}, #16, #8", "bfi {word}, {d}, #24, #8", word = inout(reg) result,
                b = in(reg) b, c = in(reg) c, d = in(reg) d, options(pure, nomem, nostack, preserves_flags));
        }
        result
    }
    #[cfg(not(ocelli_dsp))]
    {
        u32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])
    }
}

/// Functions of one instruction with constants in it.
macro_rules! with_constants {
    ($($(#[$doc:meta])* $name:ident<$($constant:ident),+>($argument:ident: $type:ty) -> $result:ty, $template:literal, $model:expr;)+) => {$(
        $(#[$doc])*
        #[inline(always)]
        #[must_use]
        pub fn $name<$(const $constant: u32),+>($argument: $type) -> $result {
            #[cfg(ocelli_dsp)]
            {
                let result: $result;
                // SAFETY: one instruction of the DSP extension, which the target has; it only reads and writes the given registers.
                unsafe {
                    asm!(instruction_set!(), $template, out = lateout(reg) result, $argument = in(reg) $argument, $($constant = const $constant),+,
                        options(pure, nomem, nostack));
                }
                result
            }
            #[cfg(not(ocelli_dsp))]
            {
                $model
            }
        }
    )+};
}

with_constants! {
    /// Saturation to `BITS` bits, signed; `BITS` in 1..=32.
    ssat<BITS>(value: i32) -> i32, "ssat {out}, #{BITS}, {value}", saturate::<BITS>(value);
    /// Saturation of `value >> SHIFT` to `BITS` bits, signed; `BITS` in 1..=32, `SHIFT` in 1..=31.
    ssat_asr<BITS, SHIFT>(value: i32) -> i32, "ssat {out}, #{BITS}, {value}, asr #{SHIFT}", saturate::<BITS>(value >> SHIFT);
    /// Saturation of both lanes to `BITS` bits, unsigned; `BITS` in 0..=15.
    usat16<BITS>(value: u32) -> u32, "usat16 {out}, #{BITS}, {value}",
        lanes(top(value).clamp(0, (1 << BITS) - 1), bottom(value).clamp(0, (1 << BITS) - 1));
}

/// Signed saturation to `BITS` bits.
#[inline(always)]
#[cfg(not(ocelli_dsp))]
const fn saturate<const BITS: u32>(value: i32) -> i32 {
    let high = i32::MAX >> (32 - BITS);
    if value > high {
        high
    } else if value < !high {
        !high
    } else {
        value
    }
}

/// Saturation to int8.
#[inline(always)]
#[must_use]
pub fn ssat8(value: i32) -> i32 {
    ssat::<8>(value)
}
