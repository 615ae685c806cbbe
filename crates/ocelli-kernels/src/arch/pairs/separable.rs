//! Separable layers: the depthwise convolution writes the pair words that the 1x1 convolution reads.

use core::num::NonZero;

use super::depthwise::{self, Tile, Worker, map_words, record, tile_columns, worker_scratch};
use super::stream::{self, Stream, padded};
use super::{Core, requantize};
use crate::Map;
use crate::arch::{Parameters, SeparableRules, SeparableShape};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Pairs of rows made at once: where rows have an odd number of columns, a second pair fills the last group of four pixels.
fn row_pairs(width: usize) -> usize {
    if width % 2 == 1 && width < 8 { 2 } else { 1 }
}

/// Pair words of a channel that are made at once.
fn slots(shape: &SeparableShape) -> usize {
    let width = shape.depthwise.output[1];
    (tile_columns(width) * row_pairs(width)).next_multiple_of(2)
}

/// [`crate::arch::Arch::separable_words`].
pub(in crate::arch) fn separable_words<C: Core, R: Rule>(shape: &SeparableShape) -> Option<usize> {
    let pointwise = stream::words::<C>(shape.depthwise.output[2], shape.outputs, R::TFLITE)?;
    depthwise::depthwise_words::<C, R>(&shape.depthwise)?.checked_add(pointwise)
}

/// [`crate::arch::Arch::pack_separable`].
pub(in crate::arch) fn pack_separable<C: Core, R: Rule>(
    shape: &SeparableShape,
    [depthwise, pointwise]: [&Parameters<'_, R>; 2],
    packed: &mut [u32],
) -> Option<()> {
    let words = depthwise::depthwise_words::<C, R>(&shape.depthwise)?;
    let (first, second) = packed.split_at_mut_checked(words)?;
    depthwise::pack_depthwise::<C, R>(&shape.depthwise, depthwise, first)?;
    let Parameters { rule, channels, weights } = pointwise;
    if channels.len() != shape.outputs {
        return None;
    }
    stream::pack::<C, R>(rule, channels, weights, shape.depthwise.output[2], second)
}

/// The depthwise convolution's parameters and the 1x1 convolution's.
fn split<'a, C: Core, R: Rule>(
    shape: &SeparableShape,
    packed: &'a [u32],
) -> Option<(&'a [u32], Stream<'a, C>)> {
    let channels = shape.depthwise.output[2];
    let (records, pointwise) = packed.split_at_checked(record::<C>(R::TFLITE).checked_mul(channels)?)?;
    Some((records, Stream::new(pointwise, channels, shape.outputs, R::TFLITE)?))
}

/// [`crate::arch::Arch::check_separable`].
pub(in crate::arch) fn check_separable<C: Core, R: Rule>(
    shape: &SeparableShape,
    packed: &[u32],
) -> Option<()> {
    split::<C, R>(shape, packed).map(|_| ())
}

/// [`crate::arch::Arch::separable_scratch`].
pub(in crate::arch) fn separable_scratch<C: Core>(shape: &SeparableShape) -> usize {
    slots(shape) * padded::<C>(shape.depthwise.output[2]) * 4 + worker_scratch(&shape.depthwise) + SPARE
}

/// [`crate::arch::Arch::separable`].
pub(in crate::arch) fn separable<C: Core, R: Rule>(
    shape: &SeparableShape,
    rules: &SeparableRules<'_, R>,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let [_, width, channels] = shape.depthwise.output;
    let row = NonZero::new(width.checked_mul(shape.outputs)?)?;
    let rows = output.len().checked_div(row.get())?;
    if output.len() != rows * row.get() {
        return None;
    }
    let (records, stream) = split::<C, R>(shape, packed)?;
    let depth = padded::<C>(channels);
    let (x, rest) = take::<u32>(align(scratch)?, slots(shape).checked_mul(depth)?)?;
    let mut worker = Worker::new(&shape.depthwise, input, records, rest)?;
    let columns = tile_columns(width);
    let batch_rows = row_pairs(width) * 2;

    let mut first_row = 0;
    while first_row < rows {
        let last_row = (first_row + batch_rows).min(rows);
        let mut first = 0;
        while first < width {
            let count = columns.min(width - first);
            let mut slots = 0;
            for row in (first_row..last_row).step_by(2) {
                let tile = Tile { y: y + row, two: row + 1 < rows, x: first, count, slot: slots };
                worker.make::<C, R>(&tile, depth, x)?;
                slots += count;
            }
            let made = x.get_mut(..slots.next_multiple_of(2) * depth)?;
            map_words(&rules.depthwise, rules.table, made);
            let pairs = Pairs { row: first_row, x: 0, count, rows };
            let mut places = pairs.map(|[y, x, next]| {
                let pixel = y * row.get() + (first + x) * shape.outputs;
                [pixel, pixel + next * row.get()]
            });
            let groups = slots.div_ceil(2);
            for x in made.chunks_exact((depth * 2).max(1)).take(groups) {
                let [low, high] = places.next()?;
                // Where the last group has one pair only, the other goes to the same place first.
                let [second_low, second_high] = if slots > 1 { places.next()? } else { [low, low] };
                slots = slots.saturating_sub(2);
                C::pointwise::<R>(&stream, x, output, [low, high, second_low, second_high])?;
            }
            first += count;
        }
        first_row = last_row;
    }
    requantize::clamp(&rules.pointwise, output);
    Some(())
}

/// The pairs of pixels of a batch in order: `[row, column, rows from the low to the high pixel]`.
struct Pairs {
    row: usize,
    x: usize,
    count: usize,
    rows: usize,
}

impl Iterator for Pairs {
    type Item = [usize; 3];

    fn next(&mut self) -> Option<[usize; 3]> {
        let pair = [self.row, self.x, usize::from(self.row + 1 < self.rows)];
        self.x += 1;
        if self.x == self.count {
            self.x = 0;
            self.row += 2;
        }
        Some(pair)
    }
}
