//! The assembly of RV32, behind a function that checks what it relies on.
#![expect(unsafe_code, reason = "calls of assembly")]

use core::arch::global_asm;

use super::Rv32;
use crate::arch::pairs::Stream;
use crate::requantize::Rule;

global_asm!(include_str!("pointwise.s"), options(raw));

/// Arguments of the 1x1 kernel.
#[repr(C)]
struct Pointwise {
    x: *const u32,
    stream: *const u32,
    output: *mut i8,
    distances: [usize; 3],
    channels: usize,
}

unsafe extern "C" {
    fn ocelli_rv32_pointwise_q32(arguments: &Pointwise);
    fn ocelli_rv32_pointwise_tflite(arguments: &Pointwise);
}

/// [`super::Core::pointwise`].
#[inline]
pub(super) fn pointwise<R: Rule>(
    stream: &Stream<'_, Rv32>,
    x: &[u32],
    output: &mut [i8],
    at: [usize; 4],
) -> Option<()> {
    stream.fits(x, output, at)?;
    if stream.tflite != R::TFLITE {
        return None;
    }
    if stream.channels == 0 {
        return Some(());
    }
    let [first, rest @ ..] = at;
    let output = output.get_mut(first..)?.as_mut_ptr();
    let distances = rest.map(|at| at.wrapping_sub(first));
    let arguments = Pointwise {
        x: x.as_ptr(),
        stream: stream.words.as_ptr(),
        output,
        distances,
        channels: stream.channels,
    };
    // SAFETY: a `Stream` has been checked: its jumps are to the steps that its weights are for, and it has `channels` channels of `depth`
    // weights, at least one. `x` has two words a weight; `channels` bytes from each place in `at` on are in `output`.
    unsafe {
        if R::TFLITE {
            ocelli_rv32_pointwise_tflite(&arguments);
        } else {
            ocelli_rv32_pointwise_q32(&arguments);
        }
    }
    Some(())
}
