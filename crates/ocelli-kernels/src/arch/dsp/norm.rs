//! LayerNorm and RMSNorm: moments four values at a time, and a row's scaling in 32 bits where it fits: `norm.s`.
#![allow(unsafe_code)]

use super::intrinsics::{smlad, smmlar, ssat8, sxtb16, sxtb16_ror8};
use super::words::{load, load_partial};
#[cfg(ocelli_dsp)]
use crate::Q32Channel;
use crate::arch::line::Line;
use crate::norm::{Moments, Norm};

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("norm.s"), options(raw));

/// What the assembly reads. `norm.s` has the order.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Control {
    slope: i32,
    start: i32,
    shift: u32,
    end: *const i8,
}

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_normalize(
        control: *const Control,
        values: *mut i8,
        channels: *const Q32Channel,
        shift: u32,
    );
}

/// [`Norm::pixels`].
pub fn pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
    let length = norm.channels.len();
    if length == 0 {
        return None;
    }
    for pixel in data.chunks_exact_mut(length) {
        let standard = norm.standard(length, moments(pixel))?;
        match Line::new(&standard) {
            Some(line) => apply(&line, pixel, norm)?,
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

fn apply(line: &Line, pixel: &mut [i8], norm: &Norm<'_>) -> Option<()> {
    #[cfg(ocelli_dsp)]
    let (pixel, channels) = {
        let fours = pixel.len() & !3;
        let (values, pixel) = pixel.split_at_mut_checked(fours)?;
        let (whole, channels) = norm.channels.split_at_checked(fours)?;
        if fours > 0 {
            let Line { slope, start, shift } = *line;
            let values = values.as_mut_ptr_range();
            let control = Control { slope, start, shift, end: values.end };
            // SAFETY: the function reads and writes the values up to their end, a multiple of four of them, and reads as many channels.
            unsafe {
                ocelli_dsp_normalize(&raw const control, values.start, whole.as_ptr(), norm.shift & 31);
            }
        }
        (pixel, channels)
    };
    #[cfg(not(ocelli_dsp))]
    let channels = norm.channels;
    for (value, channel) in pixel.iter_mut().zip(channels) {
        let scaled = smmlar(line.normal(*value), channel.multiplier, channel.bias);
        *value = ssat8(scaled.wrapping_shr(norm.shift)) as i8;
    }
    Some(())
}
