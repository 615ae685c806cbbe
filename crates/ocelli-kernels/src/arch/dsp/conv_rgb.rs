//! 3x3 convolution of stride 2 of three channels, what cameras' pictures go through first: two columns of the input at a time are widened once for
//! two rows of windows, not once a window.

use core::ops::Range;

use super::conv::{fitting, in_parts, see};
use super::pack;
use super::pointwise::{self, GROUP, Placement, Pointwise};
use super::widen::{color_columns, color_halves, color_value};
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Channels.
const COLORS: usize = 3;
/// Values of two columns of a row.
const PAIR: usize = 2 * COLORS;
/// Rows that two rows of windows see.
const ROWS: usize = 5;
/// Values of the stream that two columns take.
pub const COLUMNS: usize = 36;
/// Steps of a window: two columns, and half of the next two.
const STEPS: usize = 14;
/// Windows of a row made at once, at most.
const CHUNK: usize = 36;

/// What follows from a shape.
#[derive(Clone, Copy, Debug)]
pub struct ConvRgb<'a> {
    shape: &'a ConvShape,
    /// Windows of a row made at once.
    chunk: usize,
}

impl<'a> ConvRgb<'a> {
    /// `None` for other shapes.
    pub fn new(shape: &'a ConvShape) -> Option<Self> {
        let window = &shape.window;
        let sizes = shape.input.iter().chain(&shape.output);
        let suits = window.kernel == [3, 3]
            && window.stride == [2, 2]
            && window.dilation == [1, 1]
            && shape.input[2] == COLORS
            && sizes.min() != Some(&0);
        let chunks = shape.output[1].div_ceil(CHUNK);
        let chunk = shape.output[1].div_ceil(chunks.max(1));
        suits.then_some(Self { shape, chunk })
    }

    /// Values of the stream.
    fn stream(&self) -> usize {
        (self.chunk + 1) * COLUMNS
    }

    /// Values of a row of padding, which windows on the border are put together in, too.
    fn padding(&self) -> usize {
        ((self.chunk + 1) * PAIR).max(6 * PAIR)
    }

    /// Words of parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        pointwise::words::<R>(self.shape.output[2], STEPS)
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        // Row and value of each lane of the steps of two columns; the first five are those of the first column, and a value of the second.
        let order = |step: usize, lane: usize| {
            let (row, value) = color_value(step % 9, lane);
            let value = step / 9 * PAIR + value;
            (value < 3 * COLORS).then_some(row * 3 * COLORS + value)
        };
        pack::pack(parameters, GROUP, 9 * COLORS, STEPS, order, packed)
    }

    /// The same with fewer windows at once.
    pub fn in_parts(self, parts: usize) -> Self {
        Self { chunk: in_parts(self.chunk, parts), ..self }
    }

    /// Bytes to work in.
    pub fn scratch(&self) -> usize {
        self.stream() * 2 + self.padding() + SPARE
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
        let [_, width, outputs] = self.shape.output;
        let row_length = width.checked_mul(outputs)?;
        let pointwise = Pointwise { rule, weights: packed, steps: STEPS, outputs };
        for output in output.chunks_mut(row_length.checked_mul(2)?.max(1)) {
            let two = output.len() > row_length;
            let mut rows = [None; ROWS];
            see(&self.shape.window, input, y, rows.get_mut(..if two { ROWS } else { 3 })?)?;
            let mut done = 0;
            while done < width {
                // Of a row by itself that is made as two halves, the stream holds twice as many windows.
                let halves = !two && rows.iter().take(3).all(Option::is_some);
                let count = if halves { self.chunk * 2 } else { self.chunk }.min(width - done);
                let count = if count > self.chunk { count & !1 } else { count };
                let start = done * outputs;
                if two {
                    self.widen(rows, padding, [done, count + 1], stream)?;
                    let placement = Placement { start, second: row_length, step: outputs };
                    pointwise.pairs(stream, COLUMNS, count, output, placement)?;
                } else if count.is_multiple_of(2) {
                    let half = count / 2;
                    let [first, second, third, ..] = rows;
                    self.widen_halves([first, second, third], padding, [done, half], stream)?;
                    let placement = Placement { start, second: half * outputs, step: outputs };
                    pointwise.pairs(stream, COLUMNS, half, output, placement)?;
                } else {
                    self.widen(rows, padding, [done, count + 1], stream)?;
                    pointwise.row(stream, COLUMNS, count, output, start)?;
                }
                done += count;
            }
            y = y.checked_add(2)?;
        }
        pack::clamp(rule, output);
        Some(())
    }

    /// Writes `count` pairs of columns from that on with which window `first` of a row begins.
    fn widen(
        &self,
        rows: [Option<&[i8]>; ROWS],
        padding: &mut [i8],
        [first, count]: [usize; 2],
        stream: &mut [i16],
    ) -> Option<()> {
        let before = usize::from(self.shape.window.padding[1]);
        let zero_point = self.shape.zero_point;
        let end = first.checked_add(count)?;
        let inside = self.inside();
        let inside = inside.start.max(first).min(end)..inside.end.max(first).min(end);
        for pair in (first..inside.start).chain(inside.end..end) {
            let mut strips = padding.as_chunks_mut().0.iter_mut();
            let mut seen = [&[] as &[i8]; ROWS];
            for (seen, row) in seen.iter_mut().zip(rows) {
                let strip = strips.next()?;
                self.gather(row, pair, strip)?;
                *seen = strip;
            }
            color_columns(seen, stream.get_mut((pair - first) * COLUMNS..)?.get_mut(..COLUMNS)?)?;
        }
        if inside.is_empty() {
            return Some(());
        }
        let length = inside.len() * PAIR;
        let start = (inside.start * 2 - before) * COLORS;
        if rows.iter().any(Option::is_none) {
            padding.fill(zero_point);
        }
        let mut seen = [padding.get(..length)?; ROWS];
        for (seen, row) in seen.iter_mut().zip(rows) {
            if let Some(row) = row {
                *seen = row.get(start..start + length)?;
            }
        }
        let stream = stream.get_mut((inside.start - first) * COLUMNS..(inside.end - first) * COLUMNS)?;
        color_columns(seen, stream)
    }

    /// As [`Self::widen`], of a row by itself: those with which window `first` begins take the place of the first row, and those with which the
    /// window `half` after it begins that of a second row; of each as many as `half` windows see.
    fn widen_halves(
        &self,
        rows: [Option<&[i8]>; 3],
        padding: &mut [i8],
        [first, half]: [usize; 2],
        stream: &mut [i16],
    ) -> Option<()> {
        let before = usize::from(self.shape.window.padding[1]);
        let second = first.checked_add(half)?;
        let inside = self.inside();
        let start = inside.start.saturating_sub(first).min(half + 1);
        let inside = start..inside.end.saturating_sub(second).min(half + 1).max(start);
        for pair in (0..inside.start).chain(inside.end..half + 1) {
            let stream = stream.get_mut(pair * COLUMNS..)?.get_mut(..COLUMNS)?;
            let mut strips = padding.as_chunks_mut().0.iter_mut();
            for side in [first, second] {
                for row in rows {
                    self.gather(row, side.checked_add(pair)?, strips.next()?)?;
                }
            }
            let strip = |row: usize| padding.get(row * PAIR..(row + 4) * PAIR);
            color_halves([strip(0)?, strip(1)?, strip(2)?], 3 * PAIR, stream)?;
        }
        if inside.is_empty() {
            return Some(());
        }
        if rows.iter().any(Option::is_none) {
            padding.fill(self.shape.zero_point);
        }
        let right = half * PAIR;
        let length = inside.len() * PAIR + right;
        let start = ((first + inside.start) * 2).checked_sub(before)? * COLORS;
        let mut seen = [&[][..]; 3];
        for (seen, row) in seen.iter_mut().zip(rows) {
            *seen = match row {
                Some(row) => row.get(start..)?.get(..length)?,
                None => padding.get(..length)?,
            };
        }
        color_halves(seen, right, stream.get_mut(inside.start * COLUMNS..inside.end * COLUMNS)?)
    }

    /// The pairs of columns of which both are on the map.
    fn inside(&self) -> Range<usize> {
        let before = usize::from(self.shape.window.padding[1]);
        before.div_ceil(2)..(self.shape.input[1] + before) / 2
    }

    /// Two columns of a row, with its border.
    #[inline(never)]
    fn gather(&self, row: Option<&[i8]>, pair: usize, strip: &mut [i8; PAIR]) -> Option<()> {
        let [width, before] = [self.shape.input[1], usize::from(self.shape.window.padding[1])];
        *strip = [self.shape.zero_point; PAIR];
        let Some(row) = row else { return Some(()) };
        let on_map = |column: usize| column.saturating_sub(before).min(width);
        let start = pair * 2;
        let from = row.get(on_map(start) * COLORS..on_map(start + 2) * COLORS)?;
        let past = before.saturating_sub(start) * COLORS;
        for (value, &from) in strip.iter_mut().skip(past).zip(from) {
            *value = from;
        }
        Some(())
    }
}
