//! 3x3 convolution of stride 1: columns of two rows of windows are widened once, not once a window.

use super::conv::{fitting, in_parts, see};
use super::pack;
use super::pointwise::{self, GROUP, Placement, Pointwise};
use super::widen::columns;
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Bytes of columns at once, where those of two windows are not larger.
const STREAM: usize = 3456;
/// Rows that two rows of windows see.
const ROWS: usize = 4;

/// What follows from a shape.
#[derive(Clone, Copy, Debug)]
pub struct Conv3x3<'a> {
    shape: &'a ConvShape,
    channels: usize,
    /// Windows of a row made at once.
    chunk: usize,
}

impl<'a> Conv3x3<'a> {
    /// `None` for other shapes, and for channels that are not whole words.
    pub fn new(shape: &'a ConvShape) -> Option<Self> {
        let window = &shape.window;
        let channels = shape.input[2];
        let sizes = shape.input.iter().chain(&shape.output);
        if window.kernel != [3, 3]
            || window.stride != [1, 1]
            || window.dilation != [1, 1]
            || !channels.is_multiple_of(4)
            || sizes.min() == Some(&0)
        {
            return None;
        }
        let columns = STREAM.checked_div(channels.checked_mul(12)?)?;
        Some(Self { shape, channels, chunk: columns.saturating_sub(2).max(2).min(shape.output[1]) })
    }

    /// Values of a column of the stream.
    fn column(&self) -> usize {
        self.channels.saturating_mul(6)
    }

    /// Steps of a window.
    fn steps(&self) -> usize {
        self.channels.saturating_mul(9) / 2
    }

    /// Values of the stream.
    fn stream(&self) -> usize {
        self.column().saturating_mul(self.chunk.saturating_add(2))
    }

    /// Values of a row of padding.
    fn padding(&self) -> usize {
        self.channels.saturating_mul(self.chunk.saturating_add(2))
    }

    /// Words of parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        pointwise::words::<R>(self.shape.output[2], self.steps())
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        let channels = self.channels;
        let steps = channels / 2 * 3;
        let order = |step: usize, lane: usize| {
            let (column, step) = (step.checked_div(steps)?, step.checked_rem(steps)?);
            let (word, half, row) = (step / 6, step / 3 % 2, step % 3);
            Some((row * 3 + column) * channels + word * 4 + half + lane * 2)
        };
        pack::pack(parameters, GROUP, channels.checked_mul(9)?, self.steps(), order, packed)
    }

    /// The same with fewer windows at once.
    pub fn in_parts(self, parts: usize) -> Self {
        Self { chunk: in_parts(self.chunk, parts), ..self }
    }

    /// Bytes to work in.
    pub fn scratch(&self) -> usize {
        self.stream().saturating_mul(2).saturating_add(self.padding()).saturating_add(SPARE)
    }

    /// Makes rows from `y` on.
    pub fn conv<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let layer = fitting(|parts| self.in_parts(parts), |layer| layer.scratch() <= scratch.len())?;
        layer.chunks(rule, packed, input, y, output, scratch)
    }

    /// Makes rows from `y` on, a chunk at a time.
    fn chunks<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        mut y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let (stream, rest) = take::<i16>(align(scratch)?, self.stream())?;
        let (padding, _) = take::<i8>(rest, self.padding())?;
        padding.fill(self.shape.zero_point);
        let [_, width, outputs] = self.shape.output;
        let row_length = width.checked_mul(outputs)?;
        let pointwise = Pointwise { rule, weights: packed, steps: self.steps(), outputs };
        for output in output.chunks_mut(row_length.checked_mul(2)?.max(1)) {
            let two = output.len() > row_length;
            let mut rows = [None; ROWS];
            see(&self.shape.window, input, y, rows.get_mut(..if two { ROWS } else { 3 })?)?;
            let mut done = 0;
            while done < width {
                let count = self.chunk.min(width - done);
                self.widen(rows, padding, [done, count], stream)?;
                let placement = Placement { start: done * outputs, second: row_length, step: outputs };
                if two {
                    pointwise.pairs(stream, self.column(), count, output, placement)?;
                } else {
                    pointwise.row(stream, self.column(), count, output, placement.start)?;
                }
                done += count;
            }
            y = y.checked_add(2)?;
        }
        pack::clamp(rule, output);
        Some(())
    }

    /// Writes the columns that `count` windows from column `first` of the output on see.
    fn widen(
        &self,
        rows: [Option<&[i8]>; ROWS],
        padding: &[i8],
        [first, count]: [usize; 2],
        stream: &mut [i16],
    ) -> Option<()> {
        let before = usize::from(self.shape.window.padding[1]);
        let width = self.shape.input[1];
        let columns_seen = count.checked_add(2)?;
        let left = before.saturating_sub(first).min(columns_seen);
        let start = (first + left).saturating_sub(before).min(width);
        let inside = (width - start).min(columns_seen - left);
        let zero_point = i16::from(self.shape.zero_point);
        let (before, rest) = stream.split_at_mut_checked(left * self.column())?;
        let (within, after) = rest.split_at_mut_checked(inside * self.column())?;
        before.fill(zero_point);
        after.get_mut(..(columns_seen - left - inside) * self.column())?.fill(zero_point);
        if inside == 0 {
            return Some(());
        }
        let length = inside * self.channels;
        let padding = padding.get(..length)?;
        let mut seen = [padding; ROWS];
        for (seen, row) in seen.iter_mut().zip(rows) {
            if let Some(row) = row {
                *seen = row.get(start * self.channels..)?.get(..length)?;
            }
        }
        columns(seen, within)
    }
}
