//! Convolutions, as sums along pixels. A 1x1 window sees pixels of the map itself. Others see rows that are copied with their padding: three
//! rows as three segments, where those are long enough, or else patches, the taps of a window side by side.

use super::super::{ConvShape, Parameters};
use super::dot::{Dot, Pixels};
use super::patches::{Windows, patches};
use super::{bytes, quad};
use crate::requantize::Rule;
use crate::{Map, Window};

/// Bytes of patches that are made at once, about.
const PATCHES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Pixels,
    Segments,
    Patches,
}

/// How a shape is computed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    form: Form,
    /// The sums.
    pub dot: Dot,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    /// Bytes of a copied row, with what may be read beyond its end.
    pitch: usize,
    /// Patches made at once.
    block: usize,
}

/// The working memory of a call.
struct Work<'s> {
    /// Copied rows: one for each row of the window.
    rows: &'s mut [i8],
    patches: &'s mut [i8],
    /// Outputs whose number of channels is no multiple of 4.
    outputs: &'s mut [i8],
}

/// The next multiple of 16.
fn round_up(values: usize) -> Option<usize> {
    Some(values.checked_add(15)? & !15)
}

/// Pairs of a window as sizes.
pub fn sizes(window: &Window) -> Option<[[usize; 2]; 4]> {
    let pair = |pair: [u16; 2]| pair.map(usize::from);
    let pairs = [pair(window.kernel), pair(window.stride), pair(window.dilation), pair(window.padding)];
    pairs.iter().take(3).flatten().all(|&size| size != 0).then_some(pairs)
}

impl Plan {
    /// `None` for shapes without a kernel.
    pub fn new(shape: &ConvShape) -> Option<Self> {
        let [kernel, stride, dilation, padding] = sizes(&shape.window)?;
        let ([_, width, channels], [_, columns, outputs]) = (shape.input, shape.output);
        if [width, channels, columns, outputs].contains(&0) {
            return None;
        }
        let run = kernel[1].checked_mul(channels)?;
        let seen = (columns - 1)
            .checked_mul(stride[1])?
            .checked_add((kernel[1] - 1).checked_mul(dilation[1])?)?
            .checked_add(1)?;
        let (form, values, segments, pitch) = if shape.sees_single_pixels() {
            let copied = match channels {
                // Each pixel apart: sums of 16 values are fastest so.
                ..16 => columns.checked_mul(16)?,
                _ if channels.is_multiple_of(16) => 0,
                _ => width.checked_mul(channels)?.checked_add(16)?,
            };
            (Form::Pixels, round_up(channels)?, 1, copied)
        } else {
            let pitch = seen.checked_mul(channels)?.checked_add(16)?;
            if kernel[0] == 3 && dilation[1] == 1 && run > 16 {
                (Form::Segments, round_up(run)?, 3, pitch)
            } else {
                (Form::Patches, round_up(run.checked_mul(kernel[0])?)?, 1, pitch)
            }
        };
        let block = match form {
            Form::Patches => (PATCHES.checked_div(values)? / 3).max(1).checked_mul(3)?.min(columns),
            _ => 0,
        };
        Some(Self {
            form,
            dot: Dot { values, segments, outputs },
            kernel,
            stride,
            dilation,
            padding,
            pitch,
            block,
        })
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(
        &self,
        shape: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        let taps = self.kernel[1].checked_mul(shape.input[2])?;
        let all = taps.checked_mul(self.kernel[0])?;
        if parameters.weights.len() != all.checked_mul(self.dot.outputs)? {
            return None;
        }
        // Weights of an output in a segment.
        let length = if self.form == Form::Segments { taps } else { all };
        let weight = |output: usize, segment: usize, value: usize| {
            if value >= length {
                return Some(0);
            }
            parameters.weights.get(output * all + segment * length + value).copied()
        };
        self.dot.pack::<R>(parameters.channels, weight, packed)
    }

    /// Bytes of patches, with what may be written beyond the last one.
    fn patch_bytes(&self) -> Option<usize> {
        if self.block == 0 { Some(0) } else { self.block.checked_mul(self.dot.values)?.checked_add(16) }
    }

    fn row_bytes(&self) -> Option<usize> {
        self.pitch.checked_mul(if self.form == Form::Pixels { 1 } else { self.kernel[0] })
    }

    /// Bytes of scratch.
    pub fn scratch(&self, shape: &ConvShape) -> Option<usize> {
        self.row_bytes()?.checked_add(self.patch_bytes()?)?.checked_add(self.output_bytes(shape)?)
    }

    fn output_bytes(&self, shape: &ConvShape) -> Option<usize> {
        if self.dot.outputs.is_multiple_of(4) {
            return Some(0);
        }
        self.dot.stored().checked_mul(shape.output[1])
    }

    /// Makes output rows from `y` on.
    #[expect(clippy::too_many_arguments, reason = "those of `Arch::conv`")]
    pub fn rows<R: Rule>(
        &self,
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let [height, width, channels] = shape.input;
        if input.height != height || input.width != width || input.channels != channels {
            return None;
        }
        let (rows, rest) = scratch.split_at_mut_checked(self.row_bytes()?)?;
        let (patches, rest) = rest.split_at_mut_checked(self.patch_bytes()?)?;
        let outputs = rest.get_mut(..self.output_bytes(shape)?)?;
        let mut work = Work { rows, patches, outputs };
        let length = shape.output[1].checked_mul(self.dot.outputs).filter(|&length| length != 0)?;
        if self.form == Form::Pixels {
            self.pixels(shape, rule, packed, input, y, output, &mut work, length)?;
        } else {
            // Rows of the padded map before this one are copied.
            let mut next = 0;
            for (row, output) in output.chunks_exact_mut(length).enumerate() {
                self.window_row(
                    shape,
                    rule,
                    packed,
                    input,
                    y.checked_add(row)?,
                    output,
                    &mut work,
                    &mut next,
                )?;
            }
        }
        quad::clamp(rule, output);
        Some(())
    }

    #[expect(clippy::too_many_arguments, reason = "a row's whole surroundings")]
    fn pixels<R: Rule>(
        &self,
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        work: &mut Work<'_>,
        length: usize,
    ) -> Option<()> {
        let stride = self.stride[1].checked_mul(input.channels)?;
        let dense = input.channels.is_multiple_of(16);
        let whole_rows = self.stride == [1, 1] && shape.output[1] == input.width;
        let rows = output.len().checked_div(length)?;
        if dense
            && whole_rows
            && work.outputs.is_empty()
            && let Some(data) = input.rows(y, rows)
        {
            // All rows are one run of pixels.
            let count = rows.checked_mul(input.width)?;
            let pixels = Pixels { data, starts: [0; 3], stride, count };
            return self.dot.run(rule, packed, &pixels, output, self.dot.outputs);
        }
        for (row, output) in output.chunks_exact_mut(length).enumerate() {
            let from = y.checked_add(row)?.checked_mul(self.stride[0])?;
            let mut data = input.row(from).filter(|_| from < input.height)?;
            let mut stride = stride;
            if input.channels < 16 {
                bytes::pieces(data, stride, work.rows, 16, input.channels, shape.output[1])?;
                (data, stride) = (&*work.rows, 16);
            } else if !dense {
                bytes::copy(data, work.rows)?;
                data = work.rows;
            }
            let pixels = Pixels { data, starts: [0; 3], stride, count: shape.output[1] };
            store(&self.dot, rule, packed, &pixels, output, work.outputs)?;
        }
        Some(())
    }

    #[expect(clippy::too_many_arguments, reason = "a row's whole surroundings")]
    fn window_row<R: Rule>(
        &self,
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        work: &mut Work<'_>,
        next: &mut usize,
    ) -> Option<()> {
        let [height, width] = self.kernel;
        let top = y.checked_mul(self.stride[0])?;
        // Neighbouring rows stay where they are from one output row to the next: row `i` is in slot `i % height`.
        let neighbours = self.dilation[0] == 1;
        let mut slot = if neighbours { top.checked_rem(height)? } else { 0 };
        let first_slot = slot;
        for tap in 0..height {
            let row = top.checked_add(tap.checked_mul(self.dilation[0])?)?;
            if !neighbours || row >= *next {
                let copied = work.rows.get_mut(slot.checked_mul(self.pitch)?..)?.get_mut(..self.pitch)?;
                self.copy_row(shape, input, row, copied)?;
                *next = row + 1;
            }
            slot = if slot + 1 == height { 0 } else { slot + 1 };
        }
        let stride = self.stride[1].checked_mul(input.channels)?;
        if self.form == Form::Segments {
            let starts = match first_slot {
                0 => [0, self.pitch, 2 * self.pitch],
                1 => [self.pitch, 2 * self.pitch, 0],
                _ => [2 * self.pitch, 0, self.pitch],
            };
            let pixels = Pixels { data: work.rows, starts, stride, count: shape.output[1] };
            return store(&self.dot, rule, packed, &pixels, output, work.outputs);
        }
        let contiguous = self.dilation[1] == 1;
        let run = if contiguous { width.checked_mul(input.channels)? } else { input.channels };
        let mut windows = Windows {
            rows: work.rows,
            pitch: self.pitch,
            slots: height,
            first_slot,
            runs: if contiguous { 1 } else { width },
            run,
            run_stride: self.dilation[1].checked_mul(input.channels)?,
            stride,
            first: 0,
            count: 0,
        };
        for output in output.chunks_mut(self.block.checked_mul(self.dot.outputs)?.max(1)) {
            windows.count = output.len().checked_div(self.dot.outputs)?;
            patches(&windows, work.patches, self.dot.values)?;
            let pixels =
                Pixels { data: work.patches, starts: [0; 3], stride: self.dot.values, count: windows.count };
            store(&self.dot, rule, packed, &pixels, output, work.outputs)?;
            windows.first += windows.count;
        }
        Some(())
    }

    /// Copies a row of the padded map.
    fn copy_row(&self, shape: &ConvShape, input: &Map<'_>, row: usize, copied: &mut [i8]) -> Option<()> {
        let inside = row.checked_sub(self.padding[0]).filter(|&row| row < input.height);
        let Some(row) = inside else {
            bytes::fill(copied, shape.zero_point);
            return Some(());
        };
        let left = self.padding[1].checked_mul(input.channels)?.min(copied.len());
        let (before, rest) = copied.split_at_mut_checked(left)?;
        bytes::fill(before, shape.zero_point);
        let data = input.row(row)?;
        let data = data.get(..data.len().min(rest.len()))?;
        bytes::copy(data, rest)?;
        bytes::fill(rest.get_mut(data.len()..)?, shape.zero_point);
        Some(())
    }
}

/// Runs sums into `output`, pixels of `dot.outputs` values, by way of `outputs` where those are no multiple of 4.
pub fn store<R: Rule>(
    dot: &Dot,
    rule: &R,
    packed: &[u32],
    pixels: &Pixels<'_>,
    output: &mut [i8],
    outputs: &mut [i8],
) -> Option<()> {
    if dot.outputs.is_multiple_of(4) {
        return dot.run(rule, packed, pixels, output, dot.outputs);
    }
    dot.run(rule, packed, pixels, outputs, dot.stored())?;
    bytes::pieces(outputs, dot.stored(), output, dot.outputs, dot.outputs, pixels.count)
}
