//! Kernels in plain Rust for cores without SIMD: fewer instructions than the portable ones, for more memory or code.

pub mod attention;
pub mod norm;
pub mod pool;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What differs between these cores.
pub trait Scalar {
    /// What values are packed as: what a load brings without more instructions.
    type Value: Copy + From<i8> + Into<i32> + FromBytes + IntoBytes + KnownLayout + Immutable;

    /// `(a * b + 2^31) >> 32`.
    #[inline(always)]
    fn multiply_high(a: i32, b: i32) -> i32 {
        ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32
    }

    /// `sums[j][i] += first[n][i] * second[n][j]` for as many `n` as both have.
    #[inline]
    fn products(first: &[[i32; 2]], second: &[[Self::Value; 2]], sums: &mut [[i32; 2]; 2]) {
        for (&[one, other], second) in first.iter().zip(second) {
            for ([first_sum, second_sum], &value) in sums.iter_mut().zip(second) {
                let value: i32 = value.into();
                *first_sum = first_sum.wrapping_add(one.wrapping_mul(value));
                *second_sum = second_sum.wrapping_add(other.wrapping_mul(value));
            }
        }
    }
}

/// `(a * b + 2^31) >> 32` by four multiplications of 16 x 16 bits.
#[inline(always)]
pub const fn multiply_high_by_halves(a: i32, b: i32) -> i32 {
    let (a_low, a_high) = (a & 0xffff, a >> 16);
    let (b_low, b_high) = (b & 0xffff, b >> 16);
    let low = a_low.wrapping_mul(b_low).cast_unsigned() >> 16;
    let (first, second) = (a_high.wrapping_mul(b_low), a_low.wrapping_mul(b_high));
    // In steps of 2^16: three values of 16 bits and the half.
    let middle = low
        .wrapping_add((first & 0xffff) as u32)
        .wrapping_add((second & 0xffff) as u32)
        .wrapping_add(1 << 15);
    a_high
        .wrapping_mul(b_high)
        .wrapping_add(first >> 16)
        .wrapping_add(second >> 16)
        .wrapping_add((middle >> 16).cast_signed())
}

/// The functions of [`crate::arch::Arch`] that a [`Scalar`] core takes from here.
macro_rules! functions {
    () => {
        fn average_row(pool: &AveragePool<'_>, input: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
            scalar::pool::average_row::<Self>(pool, input, y, output)
        }

        fn norm_pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
            scalar::norm::pixels::<Self>(norm, data)
        }

        fn attention_scratch(
            key_tokens: usize,
            key_head_dimension: usize,
            value_head_dimension: usize,
        ) -> usize {
            scalar::attention::scratch::<Self>(key_tokens, key_head_dimension, value_head_dimension)
        }

        fn attention(
            attention: &Attention<'_>,
            maps: [&Map<'_>; 3],
            y: usize,
            output: &mut [i8],
            scratch: &mut [i8],
        ) -> Option<()> {
            scalar::attention::rows::<Self>(attention, maps, y, output, scratch)
        }
    };
}
pub(super) use functions;
