//! Cortex-M4, M7 and M33: the DSP extension's pairs of 16-bit multiplications.

pub mod intrinsics;

use super::Arch;

/// The kernels of the DSP extension (Armv7E-M, and Armv8-M mainline with it).
#[derive(Clone, Copy, Debug)]
pub struct Dsp;

impl Arch for Dsp {
    const ROWS: usize = 2;
}
