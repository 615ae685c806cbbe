//! LayerNorm and RMSNorm.
#![allow(unsafe_code)]

use super::asm;
use crate::norm::Norm;

/// [`Norm::pixels`].
pub fn pixels(norm: &Norm<'_>, data: &mut [i8]) -> Option<()> {
    let channels = norm.channels.len();
    let pixels = data.len().checked_div(channels)?;
    // More channels than 16 bits count do not fit the shifts' bounds.
    if !channels.is_multiple_of(4) || channels > usize::from(u16::MAX) || pixels == 0 {
        return norm.pixels(data);
    }
    let arguments = [
        data.as_mut_ptr() as usize,
        pixels,
        channels,
        norm.channels.as_ptr() as usize,
        norm.epsilon as usize,
        (norm.epsilon >> 32) as usize,
        ((norm.shift & 31) as usize).wrapping_neg(),
        norm.centered.into(),
        i32::from(norm.zero_point).cast_unsigned() as usize,
    ];
    // SAFETY: `data` holds `pixels` times `channels` values, and there are `channels` parameters, words of 4 bytes.
    unsafe { asm::norm(arguments.as_ptr()) }
    Some(())
}
