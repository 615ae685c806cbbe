//! LayerNorm and RMSNorm in 32 bits where a row fits.

use super::Scalar;
use crate::arch::line::Line;
use crate::norm::{Moments, Norm};
use crate::requantize::saturate;

/// [`Norm::pixels`].
pub fn pixels<S: Scalar>(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
    let length = norm.channels.len();
    if length == 0 {
        return None;
    }
    for pixel in data.chunks_exact_mut(length) {
        let standard = norm.standard(length, Moments::default().with(pixel))?;
        match Line::new(&standard) {
            Some(line) => {
                for (value, channel) in pixel.iter_mut().zip(norm.channels) {
                    let scaled = S::multiply_high(line.normal(*value), channel.multiplier);
                    *value = saturate(scaled.wrapping_add(channel.bias).wrapping_shr(norm.shift));
                }
            }
            None => norm.scale(pixel, &standard),
        }
    }
    Some(())
}
