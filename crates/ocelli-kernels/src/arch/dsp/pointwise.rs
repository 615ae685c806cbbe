//! Pointwise convolution over a stream of pixel pairs: `pointwise.s`, and the same in plain Rust.
#![allow(unsafe_code)]

#[cfg(ocelli_dsp)]
use super::pack::WHOLE;
use super::pack::group_words;
use zerocopy::{FromBytes, IntoBytes};

use crate::requantize::Rule;

/// Output channels of a group, whose weights lie together.
pub const GROUP: usize = 4;
/// Steps that the shallow kernel makes at most.
#[cfg(ocelli_dsp)]
const SHALLOW: usize = 32;

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("pointwise.s"), options(raw));

/// Words of the parameters of `outputs` channels.
pub fn words<R: Rule>(outputs: usize, steps: usize) -> Option<usize> {
    outputs.div_ceil(GROUP).checked_mul(group_words::<R>(GROUP, steps))
}

/// Where a run of pixels goes.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Offset of the first pixel in the output.
    pub start: usize,
    /// From the first pixel of a pair to its second.
    pub second: usize,
    /// From a pair to the next.
    pub step: usize,
}

/// What the assembly reads. `pointwise.s` has the offsets.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Control {
    stream: *const i16,
    weights: *const u32,
    output: *mut i8,
    second: usize,
    weights_end: *const u32,
    tail: usize,
    steps: usize,
    zero_point: i32,
    pairs: usize,
    stream_step: usize,
    output_step: usize,
    whole: u32,
}

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_pointwise_q32(control: *const Control);
    fn ocelli_dsp_pointwise_q32_deep(control: *const Control);
    fn ocelli_dsp_pointwise_q32_single(control: *const Control);
    fn ocelli_dsp_pointwise_tflite(control: *const Control);
    fn ocelli_dsp_pointwise_tflite_deep(control: *const Control);
    fn ocelli_dsp_pointwise_tflite_single(control: *const Control);
}

/// Lets a row by itself be two: what is `shift` values later in the stream becomes the second pixels of pairs, of which only the first were
/// made, for `length` values; both are multiples of 4.
pub fn fold(stream: &mut [i16], shift: usize, length: usize) -> Option<()> {
    let length_in_words = stream.len() / 2;
    let (words, _) = <[u32]>::mut_from_prefix_with_elems(stream.as_mut_bytes(), length_in_words).ok()?;
    let (shift, length) = (shift / 2, length / 2);
    let mut start = 0;
    while start < length && shift > 0 {
        let (to, from) = words.get_mut(start..)?.split_at_mut_checked(shift)?;
        let to = to.get_mut(..shift.min(length - start))?;
        for (to, from) in to.chunks_exact_mut(2).zip(from.chunks_exact(2)) {
            if let ([_, to], [from, _]) = (to, from) {
                *to = *from;
            }
        }
        start = start.checked_add(shift)?;
    }
    Some(())
}

/// A pointwise convolution's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Pointwise<'a, R: Rule> {
    /// The rule.
    pub rule: &'a R,
    /// Its groups' parameters, [`words`] in all.
    pub weights: &'a [u32],
    /// Half the values of a pixel, rounded up.
    pub steps: usize,
    /// Output channels.
    pub outputs: usize,
}

impl<R: Rule> Pointwise<'_, R> {
    /// Makes `pairs` pairs of pixels. A pair's stream begins `stream_step` values after that of the pair before.
    pub fn pairs(
        &self,
        stream: &[i16],
        stream_step: usize,
        pairs: usize,
        output: &mut [i8],
        placement: Placement,
    ) -> Option<()> {
        self.run::<2>(stream, stream_step, pairs, output, placement)
    }

    /// Makes the first pixel of each of `pairs` pairs.
    pub fn singles(
        &self,
        stream: &[i16],
        stream_step: usize,
        pairs: usize,
        output: &mut [i8],
        placement: Placement,
    ) -> Option<()> {
        self.run::<1>(stream, stream_step, pairs, output, Placement { second: 0, ..placement })
    }

    /// Makes `width` pixels of a row by itself, of which only the first pixels of pairs are in the stream, each with all the steps that it sees:
    /// the second half becomes the second pixels. Each begins `column` values after the one before.
    pub fn row(
        &self,
        stream: &mut [i16],
        column: usize,
        width: usize,
        output: &mut [i8],
        start: usize,
    ) -> Option<()> {
        let (half, outputs) = (width / 2, self.outputs);
        if half > 0 {
            let shift = half.checked_mul(column)?;
            let seen = shift.checked_sub(column)?.checked_add(self.steps.checked_mul(4)?)?;
            fold(stream, shift, seen)?;
            let placement = Placement { start, second: half.checked_mul(outputs)?, step: outputs };
            self.pairs(stream, column, half, output, placement)?;
        }
        if width.is_multiple_of(2) {
            return Some(());
        }
        let last = width - 1;
        let placement =
            Placement { start: start.checked_add(last.checked_mul(outputs)?)?, second: 0, step: 0 };
        self.singles(stream.get(last.checked_mul(column)?..)?, column, 1, output, placement)
    }

    fn run<const PIXELS: usize>(
        &self,
        stream: &[i16],
        stream_step: usize,
        pairs: usize,
        output: &mut [i8],
        placement: Placement,
    ) -> Option<()> {
        let last = pairs.checked_sub(1)?;
        let read = last.checked_mul(stream_step)?.checked_add(self.steps.checked_mul(4)?)?;
        let written =
            last.checked_mul(placement.step)?.checked_add(placement.second)?.checked_add(self.outputs)?;
        let words = words::<R>(self.outputs, self.steps)?;
        let output = output.get_mut(placement.start..)?;
        let fits = read <= stream.len() && written <= output.len() && words <= self.weights.len();
        if !fits || self.outputs == 0 || self.steps == 0 {
            return None;
        }
        #[cfg(ocelli_dsp)]
        {
            let (groups, tail) = (self.outputs / GROUP, self.outputs % GROUP);
            let control = Control {
                stream: stream.as_ptr(),
                weights: self.weights.as_ptr(),
                output: output.as_mut_ptr(),
                second: placement.second,
                weights_end: self
                    .weights
                    .as_ptr()
                    .wrapping_add(groups * group_words::<R>(GROUP, self.steps) + usize::from(tail > 0)),
                tail,
                steps: self.steps,
                zero_point: self.rule.tflite().map_or(0, |rule| rule.zero_point),
                pairs,
                stream_step: stream_step.wrapping_mul(2),
                output_step: placement.step.wrapping_sub(groups * GROUP),
                whole: (self.steps > WHOLE).into(),
            };
            let function = match (R::TFLITE, PIXELS == 1, self.steps > SHALLOW) {
                (false, true, _) => ocelli_dsp_pointwise_q32_single,
                (false, false, false) => ocelli_dsp_pointwise_q32,
                (false, false, true) => ocelli_dsp_pointwise_q32_deep,
                (true, true, _) => ocelli_dsp_pointwise_tflite_single,
                (true, false, false) => ocelli_dsp_pointwise_tflite,
                (true, false, true) => ocelli_dsp_pointwise_tflite_deep,
            };
            // SAFETY: the kernel reads `steps` steps of 4 values at each `stream_step` of `pairs` (`read` values) and `groups` groups of
            // weights, at least one, and writes `outputs` values at `start`, and `second` after it, at each `step` of the output
            // (`written` values): all of them are in the slices, as checked above. It keeps no pointer.
            unsafe { function(&raw const control) };
        }
        #[cfg(not(ocelli_dsp))]
        for pair in 0..pairs {
            let stream = stream.get(pair * stream_step..)?.get(..self.steps * 4)?;
            let output = output.get_mut(pair * placement.step..)?;
            for pixel in 0..PIXELS {
                let output = output.get_mut(pixel * placement.second..)?.get_mut(..self.outputs)?;
                model::pixel::<R, GROUP, 2>(self.rule, self.weights, self.steps, stream, pixel, output)?;
            }
        }
        Some(())
    }
}

#[cfg(not(ocelli_dsp))]
pub(super) mod model {
    use crate::arch::dsp::intrinsics::{smlad, smmlar, smmulr, ssat8, sxtb16};
    use crate::arch::dsp::pack::{WHOLE, group_words};
    use crate::requantize::Rule;

    /// One of the pixels whose values lie side by side in the stream; `GROUP` channels have their parameters together.
    pub fn pixel<R: Rule, const GROUP: usize, const PIXELS: usize>(
        rule: &R,
        weights: &[u32],
        steps: usize,
        stream: &[i16],
        pixel: usize,
        output: &mut [i8],
    ) -> Option<()> {
        let groups = weights.chunks_exact(group_words::<R>(GROUP, steps));
        for (output, group) in output.chunks_mut(GROUP).zip(groups) {
            let (bias, rest) = group.split_first_chunk::<GROUP>()?;
            let mut sums = bias.map(u32::cast_signed);
            let (weights, finish) = rest.split_at_checked(steps * GROUP / 2)?;
            let values = stream.chunks_exact(PIXELS * 2);
            for (values, weights) in values.zip(weights.chunks_exact(GROUP / 2)) {
                let lane = |at: usize| values.get(pixel * 2 + at).map(|&value| u32::from(value as u16));
                let values = (lane(1)? << 16) | lane(0)?;
                for (sums, &weight) in sums.chunks_exact_mut(2).zip(weights) {
                    if let [high, low] = sums {
                        *high = smlad(weight, values, *high);
                        *low = smlad(sxtb16(weight), values, *low);
                    }
                }
            }
            for (channel, output) in output.iter_mut().enumerate() {
                let sums = sums.get(channel / 2 * 2..)?;
                let odd = channel % 2 == 1;
                let high = sums.first()?.wrapping_sub(*sums.get(1)?);
                let low = *sums.get(1)?;
                let value = if let Some(rule) = rule.tflite() {
                    let [multiplier, power] = [0, 1].map(|at| finish.get(channel * 2 + at));
                    let value = if odd { high >> 8 } else { low };
                    let high = smmlar(value, multiplier?.cast_signed(), value);
                    smmlar(high.wrapping_add(high >> 31), power?.cast_signed(), rule.zero_point)
                } else {
                    let high = if steps > WHOLE { high >> 8 } else { high };
                    smmulr(if odd { high } else { low }, finish.get(channel)?.cast_signed())
                };
                *output = ssat8(value) as i8;
            }
        }
        Some(())
    }
}
