//! LayerNorm and RMSNorm: moments four values at a time, and a row's scaling in 32 bits where it fits.

use super::intrinsics::{smlad, smmlar, ssat_asr, ssat8, sxtb16, sxtb16_ror8};
use super::words::{load, load_partial};
use crate::Q32Channel;
use crate::arch::line::Line;
use crate::norm::{Moments, Norm};

/// Fraction bits of the output that nearly all layers have; a shift in the saturating instruction costs nothing.
const COMMON_SHIFT: u32 = 8;

/// [`Norm::pixels`].
pub fn pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
    let length = norm.channels.len();
    if length == 0 {
        return None;
    }
    for pixel in data.chunks_exact_mut(length) {
        let standard = norm.standard(length, moments(pixel))?;
        match Line::new(&standard) {
            Some(line) if norm.shift == COMMON_SHIFT => {
                apply(&line, pixel, norm.channels, ssat_asr::<8, COMMON_SHIFT>);
            }
            Some(line) => apply(&line, pixel, norm.channels, |value| ssat8(value.wrapping_shr(norm.shift))),
            None => norm.scale(pixel, &standard),
        }
    }
    Some(())
}

/// The values of a pixel, of which a `u16` counts the channels.
fn moments(pixel: &[i8]) -> Moments {
    let add = |[sum, squares]: [i32; 2], word: u32| {
        let (even, odd) = (sxtb16(word), sxtb16_ror8(word));
        let sum = smlad(odd, 0x0001_0001, smlad(even, 0x0001_0001, sum));
        [sum, smlad(odd, odd, smlad(even, even, squares))]
    };
    let (pairs, rest) = pixel.as_chunks::<8>();
    let sums = pairs.iter().fold([0; 2], |sums, &[a, b, c, d, e, f, g, h]| {
        add(add(sums, load([a, b, c, d])), load([e, f, g, h]))
    });
    let [sum, squares] = rest.chunks(4).fold(sums, |sums, values| add(sums, load_partial(values)));
    Moments { sum: sum.into(), squares: squares.cast_unsigned().into() }
}

#[inline(always)]
fn apply(line: &Line, pixel: &mut [i8], channels: &[Q32Channel], finish: impl Fn(i32) -> i32) {
    let apply = |value: &mut i8, channel: &Q32Channel| {
        *value = finish(smmlar(line.normal(*value), channel.multiplier, channel.bias)) as i8;
    };
    let ((values, values_rest), (fours, fours_rest)) =
        (pixel.as_chunks_mut::<4>(), channels.as_chunks::<4>());
    for (values, channels) in values.iter_mut().zip(fours) {
        values.iter_mut().zip(channels).for_each(|(value, channel)| apply(value, channel));
    }
    values_rest.iter_mut().zip(fours_rest).for_each(|(value, channel)| apply(value, channel));
}
