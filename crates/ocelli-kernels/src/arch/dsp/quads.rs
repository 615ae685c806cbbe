//! Pointwise convolution over a stream of four pixels side by side: `quads.s`, and the same in plain Rust.
#![allow(unsafe_code)]

use super::pack::group_words;
use crate::requantize::Rule;

/// Output channels of a group, whose weights lie together.
pub const GROUP: usize = 2;
/// Steps of two values that the kernel makes at most.
const MOST_STEPS: usize = 32;

/// Whether the target passes floating-point values in registers, which then are there.
#[cfg(ocelli_fpu)]
macro_rules! registers {
    () => {
        ".fpu fpv4-sp-d16\n.set QUADS_FPU, 1"
    };
}
#[cfg(all(ocelli_dsp, not(ocelli_fpu)))]
macro_rules! registers {
    () => {
        ".set QUADS_FPU, 0"
    };
}

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), registers!(), include_str!("quads.s"), options(raw));

/// What the assembly reads. `quads.s` has the order.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Control {
    stream: *const i16,
    weights: *const u32,
    /// The second row.
    second: *mut i8,
    /// From there to the first row, in two's complement.
    first: usize,
    outputs: usize,
    pairs: usize,
    steps: usize,
    zero_point: i32,
    quads: usize,
}

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_quads_q32(control: *const Control);
    fn ocelli_dsp_quads_tflite(control: *const Control);
}

/// Whether the kernel makes rows of so many pixels and output channels from so many steps.
pub const fn suits(width: usize, steps: usize, outputs: usize) -> bool {
    width > 0
        && outputs > 0
        && width.is_multiple_of(2)
        && outputs.is_multiple_of(GROUP)
        && 0 < steps
        && steps <= MOST_STEPS
}

/// Words of the parameters of `outputs` channels.
pub fn words<R: Rule>(outputs: usize, steps: usize) -> Option<usize> {
    (outputs / GROUP).checked_mul(group_words::<R>(GROUP, steps))
}

/// A pointwise convolution's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Quads<'a, R: Rule> {
    /// The rule.
    pub rule: &'a R,
    /// Its groups' parameters, [`words`] in all.
    pub weights: &'a [u32],
    /// Half the values of a pixel, rounded up.
    pub steps: usize,
    /// Output channels.
    pub outputs: usize,
}

impl<R: Rule> Quads<'_, R> {
    /// Makes two rows of `width` pixels, the second of which begins `second` values after the first, or where that is 0 the first of them alone.
    /// The stream is `[width / 2][steps][column of 2][row of 2][2 values]`.
    pub fn rows(&self, stream: &[i16], width: usize, second: usize, output: &mut [i8]) -> Option<()> {
        let row = width.checked_mul(self.outputs)?;
        let read = (width / 2).checked_mul(self.steps)?.checked_mul(8)?;
        let fits = suits(width, self.steps, self.outputs)
            && read <= stream.len()
            && row.checked_add(second)? <= output.len()
            && words::<R>(self.outputs, self.steps)? <= self.weights.len();
        if !fits {
            return None;
        }
        #[cfg(ocelli_dsp)]
        {
            let control = Control {
                stream: stream.as_ptr(),
                weights: self.weights.as_ptr(),
                second: output.get_mut(second..)?.as_mut_ptr(),
                first: second.wrapping_neg(),
                outputs: self.outputs,
                pairs: self.outputs / GROUP,
                steps: self.steps,
                zero_point: self.rule.tflite().map_or(0, |rule| rule.zero_point),
                quads: width / 2,
            };
            // SAFETY: the kernel reads `read` values of the stream and the parameters of `outputs` channels, at least two, of at most
            // `MOST_STEPS` steps, and writes `width` pixels of `outputs` values at 0 and at `second`: all are in the slices, as checked above.
            // It keeps no pointer.
            unsafe {
                if R::TFLITE {
                    ocelli_dsp_quads_tflite(&raw const control);
                } else {
                    ocelli_dsp_quads_q32(&raw const control);
                }
            }
        }
        #[cfg(not(ocelli_dsp))]
        for (quad, stream) in stream.chunks_exact(self.steps * 8).take(width / 2).enumerate() {
            for pixel in [1, 3, 0, 2] {
                let start = (quad * 2 + pixel / 2) * self.outputs + pixel % 2 * second;
                let output = output.get_mut(start..)?.get_mut(..self.outputs)?;
                model::pixel::<R, GROUP, 4>(self.rule, self.weights, self.steps, stream, pixel, output)?;
            }
        }
        Some(())
    }
}

#[cfg(not(ocelli_dsp))]
use super::pointwise::model;
