//! LayerNorm and RMSNorm from exact integer moments: the error is that of rounding the output.

use crate::Q32Channel;
use crate::requantize::saturate;

/// The most values that are normalized together, so that the variance fits 64 bits.
pub const LARGEST_COUNT: usize = 1 << 19;

/// Fraction bits of epsilon, and so of the variance: that of a few values a step apart is a small integer. An even number.
pub const EPSILON_BITS: u32 = 8;

/// `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, or with the mean taken as 0.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Whether the mean is taken off (LayerNorm) or not (RMSNorm).
    pub centered: bool,
    /// Zero point of the input.
    pub zero_point: i8,
    /// `round(count^2 * epsilon / input scale^2 * 2^EPSILON_BITS)` for `count` values that are normalized together.
    pub epsilon: u64,
    /// Fraction bits of the output before it is rounded.
    pub shift: u32,
    /// A channel each: `multiplier = round(gamma / output scale * 2^(16 + shift))` and
    /// `bias = round((beta / output scale + output zero_point) * 2^shift) + 2^(shift - 1)`.
    pub channels: &'a [Q32Channel],
}

/// Sums over the values that are normalized together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Moments {
    pub sum: i64,
    pub squares: u64,
}

impl Moments {
    /// With the values of a pixel, of which a `u16` counts the channels.
    pub(crate) fn with(self, pixel: &[i8]) -> Self {
        let (sum, squares) = pixel.iter().fold((0i32, 0u32), |(sum, squares), &value| {
            let value = i32::from(value);
            (sum.wrapping_add(value), squares.wrapping_add((value * value).cast_unsigned()))
        });
        Self {
            sum: self.sum.wrapping_add(i64::from(sum)),
            squares: self.squares.wrapping_add(u64::from(squares)),
        }
    }
}

/// `x` becomes `round((count * x - offset) * inverse / 2^shift)`, in steps of 2^-16 standard deviations.
pub(crate) struct Standard {
    pub count: i32,
    pub offset: i32,
    /// 2^15 to 2^16.
    pub inverse: i64,
    /// 0 to 27.
    pub shift: u32,
}

impl Norm<'_> {
    /// Normalizes each pixel, in place.
    pub fn pixels(&self, data: &mut [i8]) -> Option<()> {
        let length = self.channels.len();
        if length == 0 {
            return None;
        }
        for pixel in data.chunks_exact_mut(length) {
            let standard = self.standard(length, Moments::default().with(pixel))?;
            self.scale(pixel, &standard);
        }
        Some(())
    }

    /// Normalizes all values of a map together, in place.
    pub fn map(&self, data: &mut [i8]) -> Option<()> {
        let length = self.channels.len();
        if length == 0 {
            return None;
        }
        let moments =
            data.chunks_exact(length).fold(Moments::default(), |moments, pixel| moments.with(pixel));
        let standard = self.standard(data.len(), moments)?;
        data.chunks_exact_mut(length).for_each(|pixel| self.scale(pixel, &standard));
        Some(())
    }

    /// What `count` values with these moments are normalized by.
    pub(crate) fn standard(&self, count: usize, Moments { sum, squares }: Moments) -> Option<Standard> {
        if count > LARGEST_COUNT {
            return None;
        }
        let (count, zero_point) = (count as i64, i64::from(self.zero_point));
        let squares = squares.cast_signed();
        let (offset, variance) = if self.centered {
            (sum, count.wrapping_mul(squares).wrapping_sub(sum.wrapping_mul(sum)))
        } else {
            let offset = count.wrapping_mul(zero_point);
            // The sum of (x - zero_point)^2.
            let squares = squares.wrapping_add(zero_point.wrapping_mul(offset.wrapping_sub(2 * sum)));
            (offset, count.wrapping_mul(squares))
        };
        let variance = (variance.cast_unsigned() << EPSILON_BITS).saturating_add(self.epsilon).max(1);
        let zeros = variance.leading_zeros() & !1;
        let root = square_root(((variance << zeros) >> 32) as u32);
        let inverse = ((1u32 << 31) + root / 2).checked_div(root)?;
        Some(Standard {
            count: count as i32,
            offset: offset as i32,
            inverse: i64::from(inverse),
            // Only a variance of 0, where all differences are 0 too, would need a shift to the left.
            shift: (31 - EPSILON_BITS / 2).saturating_sub(zeros / 2),
        })
    }

    /// Normalizes a pixel.
    pub(crate) fn scale(&self, pixel: &mut [i8], standard: &Standard) {
        let half = (1i64 << standard.shift) >> 1;
        for (value, channel) in pixel.iter_mut().zip(self.channels) {
            let difference = i32::from(*value).wrapping_mul(standard.count).wrapping_sub(standard.offset);
            let normal = (i64::from(difference) * standard.inverse + half) >> standard.shift;
            let scaled = (i64::from(normal as i32) * i64::from(channel.multiplier) + (1 << 31)) >> 32;
            *value = saturate((scaled as i32).wrapping_add(channel.bias).wrapping_shr(self.shift));
        }
    }
}

/// `floor(sqrt(value))`, bit by bit. (`u32::isqrt` divides, and can panic as far as the linker sees.)
fn square_root(value: u32) -> u32 {
    let bits = [15u32, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];
    bits.into_iter().fold(0u32, |root, bit| {
        let larger = root | 1 << bit;
        if larger.wrapping_mul(larger) <= value { larger } else { root }
    })
}
