//! Depthwise convolution of any kernel without dilation, into the stream of the pointwise kernel: for each channel, a window of transposed
//! columns is a run of words of two lanes, and its product with as many words of weights is one sum.

use core::ops::Range;

use super::depthwise::{Rows, Work};
use super::intrinsics::{pkhbt_lsl16, pkhtb_asr16, smlad, smmlar, smmulr, ssat8, sxtb16, sxtb16_ror8};
use super::pack::{bound, lanes, power, suits};
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::{Rule, TfLite};

/// Channels transposed together.
const BLOCK: usize = 4;

/// What follows from the shape.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseAny {
    shape: ConvShape,
    /// Words of a column: pairs of rows of the window.
    pairs: usize,
    /// Columns of the input with its padding that outputs see, and those before them.
    columns: usize,
    skip: usize,
}

impl DepthwiseAny {
    /// `None` for shapes with dilation.
    pub fn new(shape: &ConvShape) -> Option<Self> {
        let window = &shape.window;
        let [kernel, stride] = [window.kernel, window.stride].map(|pair| pair.map(usize::from));
        let sizes = shape.input.iter().chain(&shape.output).chain(&kernel).chain(&stride);
        if sizes.min() == Some(&0) || window.dilation != [1, 1] || shape.output[2] != shape.input[2] {
            return None;
        }
        let pairs = kernel[0].div_ceil(2);
        let columns = (shape.output[1] - 1).checked_mul(stride[1])?.checked_add(kernel[1])?;
        columns.checked_mul(pairs)?.checked_mul(BLOCK)?;
        Some(Self { shape: *shape, pairs, columns, skip: 0 })
    }

    /// The same for some columns of the output, at least one.
    pub fn part(&self, columns: Range<usize>) -> Option<Self> {
        let outputs = columns.len();
        if outputs == 0 || columns.end > self.outputs() {
            return None;
        }
        let mut part = Self { columns: self.seen(outputs), ..*self };
        part.skip = columns.start * usize::from(self.shape.window.stride[1]);
        part.shape.output[1] = outputs;
        Some(part)
    }

    /// Columns of the input with its padding that so many columns of the output see.
    fn seen(&self, outputs: usize) -> usize {
        let window = &self.shape.window;
        outputs.saturating_sub(1) * usize::from(window.stride[1]) + usize::from(window.kernel[1])
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.shape.output[1]
    }

    /// Values of the stream from a column to the next: two rows of an even number of channels.
    pub fn column(&self) -> usize {
        self.shape.input[2].next_multiple_of(2).saturating_mul(2)
    }

    /// Words of the block of transposed columns, of those that so many columns of the output see.
    pub fn block(&self, outputs: usize) -> usize {
        self.seen(outputs).saturating_mul(self.pairs).saturating_mul(BLOCK)
    }

    /// Words of a window of one channel.
    fn window(&self) -> usize {
        self.pairs.saturating_mul(usize::from(self.shape.window.kernel[1]))
    }

    /// Words of parameters.
    pub fn words(&self) -> usize {
        self.shape.input[2].saturating_mul(self.window().saturating_add(3))
    }

    /// Writes the parameters: for each channel bias, multiplier, under TFLite's rule `2^(32 - right shift)`, and the weights of a window.
    pub fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        let channels = self.shape.input[2];
        let [height, width] = self.shape.window.kernel.map(usize::from);
        let words = packed.chunks_exact_mut(self.window().checked_add(3)?);
        let fits = suits(&parameters.rule)
            && parameters.weights.len() == channels.checked_mul(height)?.checked_mul(width)?
            && [parameters.channels.len(), words.len()] == [channels; 2];
        if !fits {
            return None;
        }
        let factor = if R::TFLITE { 2 } else { 1 };
        for (at, (words, channel)) in words.zip(parameters.channels).enumerate() {
            let channel = R::common(channel);
            let taps = parameters.weights.iter().skip(at).step_by(channels).copied();
            if bound(channel.bias, taps) >= 1 << 30 || channel.multiplier < 0 {
                return None;
            }
            let weight = |row: usize, column: usize| {
                let tap = row * width + column;
                let weight = if row < height { parameters.weights.get(tap * channels + at) } else { None };
                weight.map_or(0, |&weight| i32::from(weight) * factor)
            };
            let (common, window) = words.split_first_chunk_mut::<3>()?;
            let power = if R::TFLITE { power(&channel)? } else { 0 };
            *common = [(channel.bias * factor).cast_unsigned(), channel.multiplier.cast_unsigned(), power];
            for (column, words) in window.chunks_exact_mut(self.pairs.max(1)).enumerate() {
                for (pair, word) in words.iter_mut().enumerate() {
                    *word = lanes(weight(pair * 2 + 1, column), weight(pair * 2, column));
                }
            }
        }
        Some(())
    }

    /// As [`super::depthwise::Depthwise3x3::rows`], never as quads.
    pub fn rows<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        Rows { y, two }: Rows,
        Work { stream, block, .. }: Work<'_>,
    ) -> Option<()> {
        let channels = self.shape.input[2];
        let block = block.get_mut(..self.block(self.outputs()))?;
        let plane = self.columns * self.pairs;
        let parameters = packed.chunks(self.window().checked_add(3)?.checked_mul(BLOCK)?.max(1));
        let tflite = rule.tflite();
        for row in 0..=usize::from(two) {
            let y = y.checked_add(row)?;
            for (group, parameters) in parameters.clone().enumerate() {
                let first = group * BLOCK;
                let count = channels.checked_sub(first)?.min(BLOCK);
                self.transpose(input, y, [first, count], block)?;
                let parameters = parameters.chunks_exact((self.window() + 3).max(1));
                let planes = block.chunks_exact(plane.max(1)).zip(parameters).take(count);
                for (channel, (columns, parameters)) in (first..).zip(planes) {
                    let start = channel / 2 * 4 + row * 2 + channel % 2;
                    self.channel(tflite, parameters, columns, stream.get_mut(start..)?)?;
                }
            }
        }
        Some(())
    }

    /// All outputs of one channel of a row.
    fn channel(
        &self,
        rule: Option<TfLite>,
        parameters: &[u32],
        columns: &[u32],
        stream: &mut [i16],
    ) -> Option<()> {
        let (&[bias, multiplier, power], weights) = parameters.split_first_chunk()?;
        let [bias, multiplier, power] = [bias, multiplier, power].map(u32::cast_signed);
        let step = usize::from(self.shape.window.stride[1]).checked_mul(self.pairs)?;
        let finish = |sum: i32| {
            let scaled = smmulr(sum, multiplier);
            let scaled = match rule {
                Some(rule) => smmlar(scaled.wrapping_add(scaled >> 31), power, rule.zero_point),
                None => scaled,
            };
            ssat8(scaled) as i16
        };
        for (x, values) in stream.chunks_mut(self.column().max(1)).take(self.outputs()).enumerate() {
            let windows = columns.get(x.checked_mul(step)?..)?.get(..weights.len())?;
            let sum = windows
                .iter()
                .zip(weights)
                .fold(bias, |sum, (&values, &weights)| smlad(values, weights, sum));
            *values.first_mut()? = finish(sum);
        }
        Some(())
    }

    /// Writes `count` channels from `first` on of all columns that output row `y` sees: `[channel][column][pair of rows]` of two lanes.
    fn transpose(
        &self,
        input: &Map<'_>,
        y: usize,
        [first, count]: [usize; 2],
        block: &mut [u32],
    ) -> Option<()> {
        let window = &self.shape.window;
        let [above, before] = window.padding.map(usize::from);
        let top = y.checked_mul(usize::from(window.stride[0]))?;
        let zero_point = self.shape.zero_point;
        let padding = u32::from_le_bytes([zero_point.cast_unsigned(); 4]);
        // Where the window's rows are odd in number, the last pair has one: the row below may not be in memory.
        let rows = usize::from(window.kernel[0]);
        let see = |row: usize| match top.checked_add(row)?.checked_sub(above) {
            Some(y) if y < input.height && row < rows => Some(Some(input.row(y)?)),
            _ => Some(None),
        };
        let load = |row: Option<&[i8]>, column: usize| {
            let Some(row) = row else { return Some(padding) };
            let column = (column + self.skip).checked_sub(before).filter(|&column| column < input.width);
            let Some(column) = column else { return Some(padding) };
            let values = row.get(column.checked_mul(input.channels)?.checked_add(first)?..)?;
            if let Some(&[a, b, c, d]) = values.first_chunk() {
                return Some(u32::from_le_bytes([a, b, c, d].map(i8::cast_unsigned)));
            }
            let mut bytes = [0; 4];
            for (byte, &value) in bytes.iter_mut().zip(values.get(..count)?) {
                *byte = value.cast_unsigned();
            }
            Some(u32::from_le_bytes(bytes))
        };
        let plane = self.columns.checked_mul(self.pairs)?;
        let (low, high) = block.split_at_mut_checked(plane.checked_mul(2)?)?;
        let (a, b) = low.split_at_mut_checked(plane)?;
        let (c, d) = high.split_at_mut_checked(plane)?;
        for pair in 0..self.pairs {
            let [upper, lower] = [see(pair * 2)?, see(pair * 2 + 1)?];
            let places = [&mut *a, &mut *b, &mut *c, &mut *d]
                .map(|plane| plane.iter_mut().skip(pair).step_by(self.pairs.max(1)));
            let [a, b, c, d] = places;
            for (column, (((a, b), c), d)) in a.zip(b).zip(c).zip(d).enumerate() {
                let (upper, lower) = (load(upper, column)?, load(lower, column)?);
                let first = pkhbt_lsl16(upper, lower);
                let second = pkhtb_asr16(lower, upper);
                (*a, *b) = (sxtb16(first), sxtb16_ror8(first));
                (*c, *d) = (sxtb16(second), sxtb16_ror8(second));
            }
        }
        Some(())
    }
}
