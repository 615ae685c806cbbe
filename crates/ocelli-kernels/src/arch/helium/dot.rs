//! Sums of products along the values of pixels: what convolutions come down to.
#![allow(unsafe_code)]

use zerocopy::IntoBytes;

use super::quad;
use crate::requantize::Rule;

/// Sums over `segments` runs of `values` values of a pixel, for each output.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// Values of a segment, a multiple of 16; those beyond the weights count nothing.
    pub values: usize,
    /// 1, or 3 of at least 32 values.
    pub segments: usize,
    /// Outputs of a pixel, at least 1.
    pub outputs: usize,
}

/// Where pixels are.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// What holds them.
    pub data: &'a [i8],
    /// Where the segments of the first pixel start.
    pub starts: [usize; 3],
    /// From a pixel to the next.
    pub stride: usize,
    /// How many.
    pub count: usize,
}

impl Dot {
    /// Groups of 16 weights of an output.
    fn steps(&self) -> usize {
        (self.values / 16).saturating_mul(self.segments)
    }

    /// Outputs of a pixel as they are stored: a multiple of 4.
    pub fn stored(&self) -> usize {
        self.outputs.saturating_add(3) & !3
    }

    fn quad_words<R: Rule>(&self) -> Option<usize> {
        self.steps().checked_mul(16)?.checked_add(quad::words::<R>())
    }

    /// Words of the parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        self.quad_words::<R>()?.checked_mul(self.stored() / 4)
    }

    /// Where a quad's 16 weights of a step of a channel are, in groups of 16: the order in which the assembly reads them.
    fn place(&self, channel: usize, step: usize) -> usize {
        let steps = self.steps();
        match steps {
            1 => channel,
            2 => [0, 4, 2, 6].get(channel).map_or(0, |&first| first + step),
            _ if channel.is_multiple_of(2) => 2 * step + channel / 2,
            _ => 2 * steps + 2 * (steps - 1 - step) + channel / 2,
        }
    }

    /// Writes the parameters; `weight(output, segment, value)` gives the weights.
    pub fn pack<R: Rule>(
        &self,
        channels: &[R::Channel],
        weight: impl Fn(usize, usize, usize) -> Option<i8>,
        packed: &mut [u32],
    ) -> Option<()> {
        if packed.len() != self.words::<R>()? || channels.len() != self.outputs {
            return None;
        }
        let steps = self.steps();
        let mut quads = packed.chunks_exact_mut(self.quad_words::<R>()?.max(1));
        for (quad, channels) in channels.chunks(4).enumerate() {
            let (weights, after) = quads.next()?.split_at_mut_checked(steps * 16)?;
            weights.fill(0);
            let bytes = weights.as_mut_bytes();
            for channel in 0..channels.len() {
                for step in 0..steps {
                    let group = bytes.get_mut(self.place(channel, step) * 16..)?.get_mut(..16)?;
                    for (lane, byte) in group.iter_mut().enumerate() {
                        let at = step * 16 + lane;
                        let (segment, value) = (at.checked_div(self.values)?, at.checked_rem(self.values)?);
                        *byte = weight(quad * 4 + channel, segment, value)?.cast_unsigned();
                    }
                }
            }
            quad::pack::<R>(channels, after)?;
        }
        Some(())
    }

    /// Makes [`Dot::stored`] values of each pixel, `output_stride` apart; bounds are not applied.
    pub fn run<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        pixels: &Pixels<'_>,
        output: &mut [i8],
        output_stride: usize,
    ) -> Option<()> {
        let Some(last) = pixels.count.checked_sub(1) else { return Some(()) };
        let last_pixel = last.checked_mul(pixels.stride)?.checked_add(self.values)?;
        let fits = |start: &usize| start.checked_add(last_pixel).is_some_and(|end| end <= pixels.data.len());
        let complete = pixels.starts.iter().take(self.segments).all(fits)
            && last.checked_mul(output_stride)?.checked_add(self.stored())? <= output.len()
            && packed.len() == self.words::<R>()?
            && self.steps() != 0;
        if !complete {
            return None;
        }
        #[cfg(ocelli_helium)]
        self.call(rule, packed, pixels, output, output_stride);
        #[cfg(not(ocelli_helium))]
        self.model(rule, packed, pixels, output, output_stride)?;
        Some(())
    }

    #[cfg(not(ocelli_helium))]
    fn model<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        pixels: &Pixels<'_>,
        output: &mut [i8],
        output_stride: usize,
    ) -> Option<()> {
        let steps = self.steps();
        for (index, quad) in packed.chunks_exact(self.quad_words::<R>()?).enumerate() {
            let (weights, after) = quad.split_at_checked(steps * 16)?;
            let weights = weights.as_bytes();
            for pixel in 0..pixels.count {
                for channel in 0..4 {
                    let mut sum = 0i32;
                    for step in 0..steps {
                        let at = step * 16;
                        let start = *pixels.starts.get(at.checked_div(self.values)?)?
                            + pixel * pixels.stride
                            + at.checked_rem(self.values)?;
                        let weights = weights.get(self.place(channel, step) * 16..)?.get(..16)?;
                        for (&value, &weight) in pixels.data.get(start..)?.iter().zip(weights) {
                            sum = sum.wrapping_add(i32::from(value) * i32::from(weight.cast_signed()));
                        }
                    }
                    *output.get_mut(pixel * output_stride + index * 4 + channel)? =
                        quad::finish(rule, after, channel, sum)?;
                }
            }
        }
        Some(())
    }

    /// Calls the assembly; [`Dot::run`] has checked the lengths, and that there is a pixel.
    #[cfg(ocelli_helium)]
    fn call<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        pixels: &Pixels<'_>,
        output: &mut [i8],
        output_stride: usize,
    ) {
        use super::asm;
        let &Pixels { data, starts: [start, second, third], stride, count } = pixels;
        let (x, parameters, y) =
            (data.as_ptr() as usize + start, packed.as_ptr() as usize, output.as_mut_ptr() as usize);
        let (quads, zero_point) = (self.stored() / 4, quad::zero_point(rule));
        let odd = !(self.values / 16).is_multiple_of(2);
        // Pixels in groups of `size`. Those left over are a group that overlaps the one before, or, where there are fewer than a group,
        // a group of which pixels are the same.
        let groups = |size: usize, call: &dyn Fn(usize, usize, usize)| {
            let whole = count / size;
            if whole != 0 {
                call(0, whole, size - 1);
            }
            if count % size != 0 {
                call(count.saturating_sub(size), 1, (count - 1).min(size - 1));
            }
        };
        // SAFETY of all calls: `run` has checked that all segments of all pixels are within `data`, all outputs within `output`, and the
        // parameters of all quads in `packed`, whose words are aligned; the assembly reads and writes no more.
        match self.steps() {
            1 => {
                let function = match (R::TFLITE, stride == 16) {
                    (false, false) => asm::dot16_q32,
                    (false, true) => asm::dot16_dense_q32,
                    (true, false) => asm::dot16_tflite,
                    (true, true) => asm::dot16_dense_tflite,
                };
                let arguments = [x, parameters, y, count, output_stride, stride, quads, zero_point];
                // SAFETY: see above.
                unsafe { function(arguments.as_ptr()) }
            }
            2 => groups(2, &|first, pairs, second| {
                let function = if R::TFLITE { asm::dot32_tflite } else { asm::dot32_q32 };
                let arguments = [
                    x + first * stride,
                    parameters,
                    y + first * output_stride,
                    pairs,
                    second * stride,
                    second * output_stride,
                    quads,
                    zero_point,
                ];
                // SAFETY: see above.
                unsafe { function(arguments.as_ptr()) }
            }),
            _ => groups(3, &|first, triples, last| {
                let function = match (R::TFLITE, self.segments, odd) {
                    (false, 1, false) => asm::dots_even_q32,
                    (false, 1, true) => asm::dots_odd_q32,
                    (false, _, false) => asm::dots3_even_q32,
                    (false, _, true) => asm::dots3_odd_q32,
                    (true, 1, false) => asm::dots_even_tflite,
                    (true, 1, true) => asm::dots_odd_tflite,
                    (true, _, false) => asm::dots3_even_tflite,
                    (true, _, true) => asm::dots3_odd_tflite,
                };
                let middle = last.min(1);
                let arguments = [
                    x + first * stride,
                    parameters,
                    y + first * output_stride,
                    triples,
                    middle * stride,
                    last * stride,
                    middle * output_stride,
                    last * output_stride,
                    3 * stride,
                    3 * output_stride,
                    quads,
                    (self.values / 16 - 2) / 2,
                    zero_point,
                    second.wrapping_sub(start).wrapping_sub(self.values),
                    third.wrapping_sub(second).wrapping_sub(self.values),
                ];
                // SAFETY: see above.
                unsafe { function(arguments.as_ptr()) }
            }),
        }
    }
}
