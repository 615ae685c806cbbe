//! Depthwise convolutions: rows as words of four, then windows over them.

use super::super::{ConvShape, Parameters};
use super::conv::sizes;
use super::windows::{TILES, Windows, fill, interleave};
use super::{bytes, quad};
use crate::Map;
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// How a shape is computed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    windows: Windows,
    shape: ConvShape,
    kernel: [usize; 2],
    /// Vertical stride, dilation and padding.
    stride: usize,
    dilation: usize,
    padding: usize,
    /// Values of a row of words: padding on the left, of the map, padding on the right.
    row: [usize; 3],
    /// Whether parameters are there twice: for windows of the upper and the lower rows of the same words.
    pairs: bool,
}

/// The working memory of a call.
pub struct Work<'s> {
    words: &'s mut [u32],
    /// A row of padding.
    border: &'s mut [i8],
}

impl Plan {
    /// `None` for shapes without a kernel.
    pub fn new(shape: &ConvShape) -> Option<Self> {
        let [kernel, stride, dilation, padding] = sizes(&shape.window)?;
        let ([_, width, channels], [_, columns, outputs]) = (shape.input, shape.output);
        if [width, channels, columns].contains(&0) || outputs != channels {
            return None;
        }
        let tiles = kernel.map(|taps| taps.div_ceil(4));
        if tiles[0].checked_mul(tiles[1])? > TILES {
            return None;
        }
        let seen = (columns - 1)
            .checked_mul(stride[1])?
            .checked_add((tiles[1] * 4 - 1).checked_mul(dilation[1])?)?
            .checked_add(1)?;
        let mut windows = Windows {
            tiles,
            channels,
            step: stride[1].checked_mul(channels)?,
            column: dilation[1].checked_mul(channels)?,
            // What interleaving writes and the last quad reads beyond.
            plane: seen.checked_mul(channels)?.checked_add(16)?,
            count: columns,
            seen: 0,
        };
        windows.seen = (tiles[0] - 1)
            .checked_mul(windows.plane)?
            .checked_add((seen - 1).checked_mul(channels)?)?
            .checked_add(windows.stored())?;
        let unused = (tiles[1] * 4 - kernel[1]).checked_mul(dilation[1])?;
        let taps = (seen - unused).checked_mul(channels)?;
        let left = padding[1].checked_mul(channels)?.min(taps);
        let inside = width.checked_mul(channels)?.min(taps - left);
        Some(Self {
            windows,
            shape: *shape,
            kernel,
            stride: stride[0],
            dilation: dilation[0],
            padding: padding[0],
            row: [left, inside, taps - left - inside],
            pairs: kernel[0] <= 3 && tiles[1] == 1 && stride[0] == 1 && dilation[0] == 1,
        })
    }

    /// Words of the parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        self.windows.words::<R>()?.checked_mul(if self.pairs { 2 } else { 1 })
    }

    /// Values of a pixel as they are stored: a multiple of 4.
    pub fn stored(&self) -> usize {
        self.windows.stored()
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        let channels = self.windows.channels;
        let [height, width] = self.kernel;
        if packed.len() != self.words::<R>()?
            || parameters.weights.len() != height.checked_mul(width)?.checked_mul(channels)?
        {
            return None;
        }
        for (first, packed) in packed.chunks_exact_mut(self.windows.words::<R>()?.max(1)).enumerate() {
            let weight = |channel: usize, row: usize, column: usize| match row.checked_sub(first) {
                Some(row) if row < height && column < width => {
                    parameters.weights.get((row * width + column) * channels + channel).copied()
                }
                _ => Some(0),
            };
            self.windows.pack::<R>(parameters.channels, weight, packed)?;
        }
        Some(())
    }

    fn plane_words(&self) -> Option<usize> {
        self.windows.plane.checked_mul(self.windows.tiles[0])
    }

    fn border_bytes(&self) -> Option<usize> {
        self.shape.input[1].checked_mul(self.windows.channels)
    }

    /// Bytes that [`Plan::work`] takes.
    pub fn work_bytes(&self) -> Option<usize> {
        self.plane_words()?.checked_mul(4)?.checked_add(self.border_bytes()?)?.checked_add(SPARE)
    }

    /// Bytes of scratch of a layer of its own.
    pub fn scratch(&self) -> Option<usize> {
        self.work_bytes()?.checked_add(self.row_bytes()?)
    }

    /// Bytes of a row of stored outputs, where those are not the outputs.
    fn row_bytes(&self) -> Option<usize> {
        if self.windows.channels.is_multiple_of(4) {
            return Some(0);
        }
        self.stored().checked_mul(self.shape.output[1])
    }

    /// Working memory out of `scratch`, and what is left of that.
    pub fn work<'s>(&self, scratch: &'s mut [i8]) -> Option<(Work<'s>, &'s mut [i8])> {
        let (work, rest) = scratch.split_at_mut_checked(self.work_bytes()?)?;
        let (words, border) = take::<u32>(align(work)?, self.plane_words()?)?;
        let (border, _) = take::<i8>(border, self.border_bytes()?)?;
        Some((Work { words, border }, rest))
    }

    /// Makes rows from `y` on into `output`: rows of `row_stride` values with pixels `stride` apart.
    #[expect(clippy::too_many_arguments, reason = "a row's whole surroundings")]
    pub fn rows<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        [row_stride, stride]: [usize; 2],
        work: &mut Work<'_>,
    ) -> Option<()> {
        let [height, width, channels] = self.shape.input;
        if input.height != height || input.width != width || input.channels != channels {
            return None;
        }
        let size = self.windows.words::<R>()?;
        let mut y = y;
        // The last row may end with its last pixel's values.
        let mut rows = output.chunks_mut(row_stride.max(1));
        while let Some(first) = rows.next() {
            let second = if self.pairs { rows.next() } else { None };
            self.words_of_rows(input, y, second.is_some(), work)?;
            y = y.checked_add(1)?;
            self.windows.run(rule, packed.get(..size)?, work.words, first, stride)?;
            if let Some(second) = second {
                let packed = packed.get(size..)?.get(..size)?;
                self.windows.run(rule, packed, work.words, second, stride)?;
                y = y.checked_add(1)?;
            }
        }
        Some(())
    }

    /// The words that output row `y` sees, and the next one, where that is made too.
    fn words_of_rows(&self, input: &Map<'_>, y: usize, pair: bool, work: &mut Work<'_>) -> Option<()> {
        let [left, inside, right] = self.row;
        let zero_point = self.shape.zero_point;
        // Rows are counted from the first padded one on. What wraps is beside the map.
        let top = y.wrapping_mul(self.stride).wrapping_sub(self.padding);
        let last = self.kernel[0] - 1 + usize::from(pair);
        let mut border_is_set = false;
        for (plane, words) in work.words.chunks_exact_mut(self.windows.plane.max(1)).enumerate() {
            let mut rows: [&[i8]; 4] = [&[]; 4];
            for (tap, row) in rows.iter_mut().enumerate() {
                // Taps that are not there have no weights: they see the last row again.
                let tap = (plane * 4 + tap).min(last);
                let y = top.wrapping_add(tap.wrapping_mul(self.dilation));
                if y < input.height {
                    *row = input.row(y)?.get(..inside)?;
                    continue;
                }
                if !border_is_set {
                    bytes::fill(work.border, zero_point);
                    border_is_set = true;
                }
                *row = &[];
            }
            let border = work.border.get(..inside)?;
            let rows = rows.map(|row| if row.is_empty() { border } else { row });
            let (before, rest) = words.split_at_mut_checked(left)?;
            fill(before, zero_point);
            interleave(rows, rest)?;
            fill(rest.get_mut(inside..)?.get_mut(..right)?, zero_point);
        }
        Some(())
    }
}

/// [`super::Arch::depthwise`].
pub fn rows<R: Rule>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let plan = Plan::new(shape)?;
    let (mut work, rest) = plan.work(scratch)?;
    let (channels, columns) = (plan.windows.channels, shape.output[1]);
    let length = columns.checked_mul(channels)?;
    if channels.is_multiple_of(4) {
        plan.rows(rule, packed, input, y, output, [length, channels], &mut work)?;
    } else {
        let stored = plan.stored();
        let stored_row = rest.get_mut(..plan.row_bytes()?)?;
        for (row, output) in output.chunks_exact_mut(length.max(1)).enumerate() {
            let strides = [stored_row.len(), stored];
            plan.rows(rule, packed, input, y.checked_add(row)?, stored_row, strides, &mut work)?;
            bytes::pieces(stored_row, stored, output, channels, channels, columns)?;
        }
    }
    quad::clamp(rule, output);
    Some(())
}
