//! Depthwise 3x3 convolution of two rows into the stream of a pointwise kernel: `depthwise.s`, and the same in plain Rust.
#![allow(unsafe_code)]

use core::ops::Range;

use super::pack::{bound, lanes, power, suits};
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::Rule;

#[cfg(ocelli_dsp)]
core::arch::global_asm!(instruction_set!(), include_str!("depthwise.s"), options(raw));

/// Which rows of the output to make.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The first.
    pub y: usize,
    /// Whether the next, too.
    pub two: bool,
}

/// Where rows are made.
#[derive(Debug)]
pub struct Work<'a> {
    /// Receives the rows: `[column][channel / 2][2 rows][2 channels]`, or as quads `[column / 2][channel / 2][2 columns][2 rows][2 channels]`.
    pub stream: &'a mut [i16],
    /// Whether as quads: the number of columns is even then.
    pub quads: bool,
    /// Room for transposed input.
    pub block: &'a mut [u32],
}

/// What follows from the shape of a 3x3 depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise3x3 {
    stride: usize,
    above: usize,
    channels: usize,
    height: usize,
    width: usize,
    /// Columns of the input before those that outputs see.
    skip: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// Whether the first output sees padding on the left.
    left: bool,
    /// Columns of the output that see no padding on the right.
    inside: usize,
    /// Columns of the input that outputs see.
    columns: usize,
    zero_point: i8,
}

impl Depthwise3x3 {
    /// `None` for other shapes.
    pub fn new(shape: &ConvShape) -> Option<Self> {
        let window = &shape.window;
        let [height, width, channels] = shape.input;
        let [rows, outputs, output_channels] = shape.output;
        let stride = usize::from(window.stride[0]);
        let [above, before] = window.padding.map(usize::from);
        if window.kernel != [3, 3]
            || window.dilation != [1, 1]
            || window.stride[0] != window.stride[1]
            || !(1..=2).contains(&stride)
            || output_channels != channels
            || channels < 4
            || above > 2
            || before > 1
            || rows == 0
            || outputs == 0
            || ((rows - 1).checked_mul(stride)?).checked_sub(above).is_some_and(|first| first >= height)
        {
            return None;
        }
        let seen = (outputs - 1).checked_mul(stride)?.checked_add(3)?.checked_sub(before)?;
        let right = seen > width;
        let columns = if right { seen - 1 } else { seen };
        (columns <= width && columns > 0).then_some(Self {
            stride,
            above,
            channels,
            height,
            width,
            skip: 0,
            outputs,
            left: before == 1,
            inside: outputs - usize::from(right),
            columns,
            zero_point: shape.zero_point,
        })
    }

    /// The same for some columns of the output, at least one.
    pub fn part(&self, columns: Range<usize>) -> Option<Self> {
        let Range { start, end } = columns;
        let outputs = end.checked_sub(start).filter(|&outputs| outputs > 0 && end <= self.outputs)?;
        let before = usize::from(self.left);
        let skip = (start * self.stride).saturating_sub(before);
        let seen = ((end - 1) * self.stride + 3).checked_sub(before)?;
        Some(Self {
            skip,
            outputs,
            left: self.left && start == 0,
            inside: self.inside.min(end).checked_sub(start)?,
            columns: seen.min(self.columns).checked_sub(skip)?,
            ..*self
        })
    }

    /// Columns of the input that so many columns of the output see, at most.
    fn seen(&self, outputs: usize) -> usize {
        (outputs.saturating_sub(1) * self.stride + 3).min(self.columns)
    }

    /// Words of parameters.
    pub fn words<R: Rule>(&self) -> usize {
        self.channels * Self::channel_words::<R>()
    }

    const fn channel_words<R: Rule>() -> usize {
        if R::TFLITE { 8 } else { 7 }
    }

    /// Values of the stream from a column to the next: two rows of an even number of channels.
    pub fn column(&self) -> usize {
        self.channels.next_multiple_of(2) * 2
    }

    /// Words of the block that four channels are transposed into, of the columns that so many columns of the output see.
    pub fn block(&self, outputs: usize) -> usize {
        if self.stride == 1 { self.seen(outputs) * 8 } else { outputs.saturating_add(1) * 20 }
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        let channels = self.channels;
        if !suits(&parameters.rule)
            || parameters.channels.len() != channels
            || parameters.weights.len() != channels * 9
            || packed.len() != self.words::<R>()
        {
            return None;
        }
        let words = packed.chunks_exact_mut(Self::channel_words::<R>());
        for (at, (words, channel)) in words.zip(parameters.channels).enumerate() {
            let channel = R::common(channel);
            let mut weights = [0i8; 9];
            for (to, row) in weights.iter_mut().zip(parameters.weights.chunks_exact(channels)) {
                *to = *row.get(at)?;
            }
            if bound(channel.bias, weights.iter().copied()) >= 1 << 30 || channel.multiplier < 0 {
                return None;
            }
            let factor = if R::TFLITE { 2 } else { 1 };
            let [a0, b0, c0, a1, b1, c1, a2, b2, c2] = weights.map(|weight| i32::from(weight) * factor);
            let (common, rest) = words.split_first_chunk_mut::<7>()?;
            let lanes = if self.stride == 1 {
                [lanes(a2, a0), lanes(b2, b0), lanes(c2, c0), lanes(b1, a1), lanes(0, c1)]
            } else {
                [lanes(b0, a0), lanes(b1, a1), lanes(b2, a2), lanes(c1, c0), lanes(0, c2)]
            };
            let [first, second, third, fourth, fifth] = lanes;
            let (bias, multiplier) = (channel.bias * factor, channel.multiplier);
            *common = [bias.cast_unsigned(), first, second, third, fourth, fifth, multiplier.cast_unsigned()];
            if let [word] = rest {
                *word = power(&channel)?;
            }
        }
        Some(())
    }

    /// Makes rows: the stream takes `outputs` times [`Self::column`] values, the block has
    /// [`Self::block`] words for them. Values of a second row that is not made are arbitrary.
    pub fn rows<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        Rows { y, two }: Rows,
        Work { stream, quads, block }: Work<'_>,
    ) -> Option<()> {
        let mut rows = [&[][..]; 5];
        let mut absent = 0u32;
        let mut some = None;
        let needed = if two { 3 + self.stride } else { 3 };
        let first = y.checked_mul(self.stride)?;
        let skip = self.skip * self.channels;
        let mut seen = input.rows_from(first.saturating_sub(self.above))?;
        for (at, row) in rows.iter_mut().enumerate().take(needed) {
            match (first + at).checked_sub(self.above).filter(|&y| y < self.height) {
                Some(_) => {
                    *row = seen.next()?.get(skip..)?;
                    some = Some(*row);
                }
                None => absent |= 1 << at,
            }
        }
        let some = some?;
        let fits = stream.len() >= self.outputs * self.column()
            && !(quads && self.outputs % 2 == 1)
            && block.len() >= self.block(self.outputs)
            && packed.len() >= self.words::<R>()
            && [input.width, input.channels] == [self.width, self.channels];
        if !fits {
            return None;
        }
        for row in &mut rows {
            if row.is_empty() {
                *row = some;
            }
        }
        #[cfg(ocelli_dsp)]
        {
            let padding = i32::from(self.zero_point);
            let column = self.column() * 2;
            // After a column of an even number, and of an odd one; the loop ends at an odd place.
            let mut column_steps = if quads { [8, column * 2 - 8] } else { [column; 2] };
            if self.inside % 2 == 1 {
                column_steps.reverse();
            }
            let control = Control {
                rows: rows.map(<[i8]>::as_ptr),
                step: self.channels,
                columns: self.columns,
                block: block.as_mut_ptr(),
                channels: self.channels,
                padding: lanes(padding, padding),
                // Rows 1 and 2 change places where a block's halfwords are rows 0, 2, 1, 3.
                absent: match self.stride {
                    1 => absent & 0b1001 | (absent & 0b10) << 1 | (absent & 0b100) >> 1,
                    _ => absent,
                },
                left: self.left.into(),
                right: (self.inside < self.outputs).into(),
                pixels: self.inside,
                output: stream.as_mut_ptr(),
                parameters: packed.as_ptr(),
                zero_point: rule.tflite().map_or(0, |rule| rule.zero_point),
                column_steps,
                channel_steps: 2 ^ if quads { 14 } else { 6 },
            };
            let function = match (self.stride, R::TFLITE) {
                (1, false) => ocelli_dsp_depthwise_q32,
                (1, true) => ocelli_dsp_depthwise_tflite,
                (_, false) => ocelli_dsp_depthwise_2_q32,
                (_, true) => ocelli_dsp_depthwise_2_tflite,
            };
            // SAFETY: the kernel reads `columns` pixels, at most `width` without those to skip, of `channels` values, at least four, of the rows,
            // which hold as many, and `words` of the parameters; it writes `block` words of the block, and two rows of all channels of
            // `outputs` columns, `column` values for each, of the stream. The slices have that much, as checked; `new` checked the shape.
            unsafe { function(&raw const control) };
        }
        #[cfg(not(ocelli_dsp))]
        self.model(rule, packed, rows, absent, stream, quads)?;
        Some(())
    }
}

#[cfg(not(ocelli_dsp))]
impl Depthwise3x3 {
    /// What the assembly does, an output at a time.
    fn model<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        rows: [&[i8]; 5],
        absent: u32,
        stream: &mut [i16],
        quads: bool,
    ) -> Option<()> {
        use super::intrinsics::{smlabb, smmlar, smmulr, ssat8};
        let value = |row: usize, column: Option<usize>, channel: usize| {
            let column = column.filter(|&column| column < self.columns && absent & (1 << row) == 0);
            Some(match column {
                Some(column) => i32::from(*rows.get(row)?.get(column * self.channels + channel)?),
                None => i32::from(self.zero_point),
            })
        };
        for (channel, words) in
            packed.chunks_exact(Self::channel_words::<R>()).take(self.channels).enumerate()
        {
            let (common, rest) = words.split_first_chunk::<7>()?;
            let [bias, lanes @ .., multiplier] = *common;
            let lanes = lanes.map(|word| [word & 0xffff, word >> 16]);
            let [first, second, third, fourth, fifth] = lanes;
            // A column each.
            let weights = if self.stride == 1 {
                [
                    [first[0], fourth[0], first[1]],
                    [second[0], fourth[1], second[1]],
                    [third[0], fifth[0], third[1]],
                ]
            } else {
                [
                    [first[0], second[0], third[0]],
                    [first[1], second[1], third[1]],
                    [fourth[0], fourth[1], fifth[0]],
                ]
            };
            for x in 0..self.outputs {
                for pixel in 0..2 {
                    let mut sum = bias.cast_signed();
                    for (tap, weights) in weights.into_iter().enumerate() {
                        let column = (x * self.stride + tap).checked_sub(usize::from(self.left));
                        for (row, weight) in weights.into_iter().enumerate() {
                            let value = value(row + pixel * self.stride, column, channel)?;
                            sum = smlabb(value.cast_unsigned(), weight, sum);
                        }
                    }
                    let mut scaled = smmulr(sum, multiplier.cast_signed());
                    if let (Some(rule), Some(&power)) = (rule.tflite(), rest.first()) {
                        scaled =
                            smmlar(scaled.wrapping_add(scaled >> 31), power.cast_signed(), rule.zero_point);
                    }
                    let place = pixel * 2 + channel % 2;
                    let at = if quads {
                        x / 2 * 2 * self.column() + channel / 2 * 8 + x % 2 * 4 + place
                    } else {
                        x * self.column() + channel / 2 * 4 + place
                    };
                    *stream.get_mut(at)? = ssat8(scaled) as i16;
                }
            }
        }
        Some(())
    }
}

/// What the assembly reads. `depthwise.s` has the offsets.
#[cfg(ocelli_dsp)]
#[repr(C)]
struct Control {
    rows: [*const i8; 5],
    step: usize,
    columns: usize,
    block: *mut u32,
    channels: usize,
    padding: u32,
    absent: u32,
    left: u32,
    right: u32,
    pixels: usize,
    output: *mut i16,
    parameters: *const u32,
    zero_point: i32,
    column_steps: [usize; 2],
    channel_steps: usize,
}

#[cfg(ocelli_dsp)]
unsafe extern "C" {
    fn ocelli_dsp_depthwise_q32(control: *const Control);
    fn ocelli_dsp_depthwise_tflite(control: *const Control);
    fn ocelli_dsp_depthwise_2_q32(control: *const Control);
    fn ocelli_dsp_depthwise_2_tflite(control: *const Control);
}
