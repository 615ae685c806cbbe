//! Depthwise 3x3 convolutions of stride 1 or 2: pairs are two output rows, so that columns of pair words serve several outputs.

use core::num::NonZero;

use super::requantize::{bound, bounds, clamp};
use super::stream::{halves, pair, split, starts};
use super::{Core, TRAILER};
use crate::Map;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::{Rule, saturate};
use crate::scratch::{SPARE, align, take};

/// Taps of a channel.
const WEIGHTS: usize = 9;

/// Columns made at once, at most: more would need more scratch memory.
const TILE: usize = 16;

/// Words of a channel's parameters: weights, column by column; what the low and the high accumulator start from; requantization; and
/// whether columns are blocks (1), or pairs of taps are (0).
pub(super) fn record<C: Core>(tflite: bool) -> usize {
    WEIGHTS + 3 + C::TRAILERS[usize::from(tflite)]
}

fn supported(shape: &ConvShape) -> bool {
    let window = &shape.window;
    window.kernel == [3, 3]
        && window.stride.iter().all(|stride| matches!(stride, 1 | 2))
        && window.dilation == [1, 1]
        && shape.input[2] == shape.output[2]
        && shape.output[1] > 0
        && shape.output[2] > 0
}

/// [`crate::arch::Arch::depthwise_words`].
pub(in crate::arch) fn depthwise_words<C: Core, R: Rule>(shape: &ConvShape) -> Option<usize> {
    if !supported(shape) {
        return None;
    }
    shape.output[2].checked_mul(record::<C>(R::TFLITE))
}

/// [`crate::arch::Arch::pack_depthwise`].
pub(in crate::arch) fn pack_depthwise<C: Core, R: Rule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    let Parameters { rule, channels, weights } = parameters;
    let count = channels.len();
    if !supported(shape) || count != shape.output[2] || weights.len() != count.checked_mul(WEIGHTS)? {
        return None;
    }
    let mut records = packed.chunks_exact_mut(record::<C>(R::TFLITE).max(1));
    for (index, channel) in channels.iter().enumerate() {
        let channel = R::common(channel);
        let mut taps = [0; WEIGHTS];
        for (tap, weight) in taps.iter_mut().enumerate() {
            *weight = *weights.get((tap % 3 * 3 + tap / 3) * count + index)?;
        }
        let trailer = C::trailer(rule.tflite().as_ref(), &channel, bound(&channel, &taps))?;
        let fits =
            |block: &[i8]| block.iter().map(|weight| u32::from(weight.unsigned_abs())).sum::<u32>() <= 255;
        let columns = taps.chunks(3).all(fits);
        if !columns && !taps.chunks(2).all(fits) {
            return None;
        }
        let words = taps
            .iter()
            .map(|&weight| i32::from(weight).cast_unsigned())
            .chain(starts(channel.bias, if columns { 3 } else { 5 }))
            .chain(trailer.into_iter().take(C::TRAILERS[usize::from(R::TFLITE)]))
            .chain([u32::from(columns)]);
        for (packed, word) in records.next()?.iter_mut().zip(words) {
            *packed = word;
        }
    }
    Some(())
}

/// The columns of the input that a tile of two output rows sees, as far as they are on the map.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Columns<'a> {
    /// Input rows from the first that the low pixels see on: 4 at a vertical stride of 1, 5 at 2. All start at the same column and hold
    /// `count * channels` values.
    pub rows: [&'a [i8]; 5],
    /// Vertical stride, 1 or 2.
    pub stride: usize,
    /// Columns.
    pub count: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Columns<'_> {
    /// Whether all rows are as long as they should be, and `words` takes three words a column.
    #[inline]
    pub fn fits(&self, channel: usize, words: &[u32]) -> Option<()> {
        let length = self.count.checked_mul(self.channels)?;
        let fits = channel < self.channels && words.len() >= self.count.checked_mul(3)?;
        (fits && self.rows.iter().all(|row| row.len() >= length)).then_some(())
    }
}

/// How a tile is computed.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Taps {
    /// Horizontal stride, 1 or 2.
    pub stride: usize,
    /// The rule.
    pub tflite: bool,
    /// Output columns, at least 1.
    pub count: usize,
    /// Words from the first output's pair word to the second's, and from that to the third's, and so on in turns.
    pub steps: [usize; 2],
}

impl Taps {
    /// Whether `words` has the columns that the outputs see, `record` is a channel's parameters, and `x` takes the last output.
    #[inline]
    pub fn fits<C: Core>(&self, words: &[u32], record: &[u32], x: &[u32]) -> Option<()> {
        let before = self.count.checked_sub(1)?;
        let seen = before.checked_mul(self.stride)?.checked_add(3)?.checked_mul(3)?;
        let last = (before / 2).checked_mul(self.steps[0].checked_add(self.steps[1])?)?;
        let last = last.checked_add(if before % 2 == 1 { self.steps[0] } else { 0 })?;
        let fits = matches!(self.stride, 1 | 2)
            && words.len() >= seen
            && record.len() == self::record::<C>(self.tflite)
            && x.len() > last;
        fits.then_some(())
    }
}

/// A tile of all channels.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Work<'a> {
    /// The columns that are on the map.
    pub columns: Columns<'a>,
    /// Columns of padding before them.
    pub before: usize,
    /// How a channel is computed.
    pub taps: Taps,
}

impl Work<'_> {
    /// Whether there are parameters of all channels, `words` takes the columns that the outputs see, and `x`, which starts at the first
    /// channel's first output, takes the last one's last.
    #[inline]
    pub fn fits<C: Core>(&self, records: &[u32], words: &[u32], x: &[u32]) -> Option<()> {
        let record = record::<C>(self.taps.tflite);
        let last = self.columns.channels.checked_sub(1)?;
        self.columns.fits(last, words.get(self.before.checked_mul(3)?..)?)?;
        let all = records.len() == self.columns.channels.checked_mul(record)?;
        self.taps.fits::<C>(words, records.get(..record)?, x.get(last.checked_mul(2)?..)?)?;
        all.then_some(())
    }
}

/// The pair words of a tile: `slots` pair words of each channel, two side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// First output row.
    pub y: usize,
    /// Whether there is a second one.
    pub two: bool,
    /// First output column.
    pub x: usize,
    /// Output columns.
    pub count: usize,
    /// Place of the first pair word.
    pub slot: usize,
}

/// Output columns of a tile.
pub(super) fn tile_columns(width: usize) -> usize {
    let tiles = width.div_ceil(TILE).max(1);
    width.div_ceil(tiles).next_multiple_of(2).min(width).max(1)
}

/// Columns that a tile sees.
fn seen(shape: &ConvShape, count: usize) -> usize {
    count.saturating_sub(1) * usize::from(shape.window.stride[1]) + 3
}

/// Bytes that [`Worker`] works in.
pub(super) fn worker_scratch(shape: &ConvShape) -> usize {
    let seen = seen(shape, tile_columns(shape.output[1]));
    seen * 12 + seen * shape.input[2]
}

/// What makes tiles.
pub(super) struct Worker<'a, 'd> {
    shape: &'a ConvShape,
    input: &'a Map<'d>,
    records: &'a [u32],
    /// Pair words of a channel's columns.
    words: &'a mut [u32],
    /// What rows outside the map are.
    border: &'a [i8],
}

impl<'a, 'd> Worker<'a, 'd> {
    /// `None` where the map is not what the shape says, or `bytes` are fewer than [`worker_scratch`].
    pub fn new(
        shape: &'a ConvShape,
        input: &'a Map<'d>,
        records: &'a [u32],
        bytes: &'a mut [u8],
    ) -> Option<Self> {
        if shape.input != [input.height, input.width, input.channels] || !supported(shape) {
            return None;
        }
        let seen = seen(shape, tile_columns(shape.output[1]));
        let (words, bytes) = take::<u32>(bytes, seen.checked_mul(3)?)?;
        let (border, _) = take::<i8>(bytes, seen.checked_mul(input.channels)?)?;
        border.fill(shape.zero_point);
        Some(Self { shape, input, records, words, border })
    }

    /// Writes the tile's pair words to `x`: word `slot` of channel `c` is at `(slot / 2 * depth + c) * 2 + slot % 2`.
    pub fn make<C: Core, R: Rule>(&mut self, tile: &Tile, depth: usize, x: &mut [u32]) -> Option<()> {
        let [vertical, horizontal] = self.shape.window.stride.map(usize::from);
        let [above, left] = self.shape.window.padding.map(usize::from);
        let channels = self.input.channels;
        // Columns of the padded input, and those that are on the map.
        let seen = seen(self.shape, tile.count);
        let first = tile.x.checked_mul(horizontal)?;
        let before = left.saturating_sub(first).min(seen);
        let start = (first + before).saturating_sub(left).min(self.input.width);
        let count = (self.input.width - start).min(seen - before);
        let mut rows = [self.border.get(..count.checked_mul(channels)?)?; 5];
        let top = tile.y.checked_mul(vertical)?;
        for (index, row) in rows.iter_mut().enumerate() {
            let used = index < 3 || tile.two && index < 3 + vertical;
            let y = (top + index).checked_sub(above).filter(|&y| used && y < self.input.height);
            if let Some(y) = y {
                *row = self.input.row(y)?.get(start * channels..)?.get(..count * channels)?;
            }
        }
        let words = self.words.get_mut(..seen * 3)?;
        words.fill(pair(self.shape.zero_point, self.shape.zero_point));
        let columns = Columns { rows, stride: vertical, count, channels };
        let along = [1, (depth * 2).checked_sub(1)?];
        let steps = if tile.slot.is_multiple_of(2) { along } else { [along[1], along[0]] };
        let taps = Taps { stride: horizontal, tflite: R::TFLITE, count: tile.count, steps };
        let start = tile.slot / 2 * depth * 2 + tile.slot % 2;
        let records = self.records.get(..channels * record::<C>(R::TFLITE))?;
        C::depthwise::<R>(&Work { columns, before, taps }, records, words, x.get_mut(start..)?)
    }
}

/// [`Core::depthwise`], channel by channel.
pub(in crate::arch) fn each_channel<C: Core>(
    work: &Work<'_>,
    records: &[u32],
    words: &mut [u32],
    x: &mut [u32],
) -> Option<()> {
    work.fits::<C>(records, words, x)?;
    let inside = work.before * 3;
    let records = records.chunks_exact(record::<C>(work.taps.tflite).max(1));
    for (channel, record) in records.enumerate() {
        C::columns(&work.columns, channel, words.get_mut(inside..)?)?;
        C::taps(&work.taps, words, record, x.get_mut(channel * 2..)?)?;
    }
    Some(())
}

/// [`Core::columns`] in plain Rust.
pub(in crate::arch) fn model_columns(columns: &Columns<'_>, channel: usize, words: &mut [u32]) -> Option<()> {
    columns.fits(channel, words)?;
    let [a, b, c, d, e] = columns.rows;
    let high = if columns.stride == 1 { [b, c, d] } else { [c, d, e] };
    for (column, words) in words.chunks_exact_mut(3).take(columns.count).enumerate() {
        let at = column * columns.channels + channel;
        for ((word, low), high) in words.iter_mut().zip([a, b, c]).zip(high) {
            *word = pair(*low.get(at)?, *high.get(at)?);
        }
    }
    Some(())
}

/// [`Core::taps`] in plain Rust.
pub(in crate::arch) fn model_taps<C: Core>(
    taps: &Taps,
    words: &[u32],
    record: &[u32],
    x: &mut [u32],
) -> Option<()> {
    taps.fits::<C>(words, record, x)?;
    let (weights, rest) = record.split_at_checked(WEIGHTS)?;
    let [low, high, trailer_words @ .., columns] = rest else { return None };
    let mut trailer = [0; TRAILER];
    for (word, &packed) in trailer.iter_mut().zip(trailer_words) {
        *word = packed;
    }
    let block = if *columns == 0 { 2 } else { 3 };
    let mut at = 0;
    for column in 0..taps.count {
        let words = words.get(column * taps.stride * 3..)?.get(..WEIGHTS)?;
        let mut sum = [*low, *high];
        for (words, weights) in words.chunks(block).zip(weights.chunks(block)) {
            let products = words.iter().zip(weights).map(|(&word, &weight)| word.wrapping_mul(weight));
            split(&mut sum, products.fold(0x8000, u32::wrapping_add));
        }
        let [low, high] = halves(sum).map(|sum| C::finish(trailer, sum, taps.tflite));
        *x.get_mut(at)? = pair(low, high);
        at += taps.steps[column % 2];
    }
    Some(())
}

/// The two values of a pair word.
#[inline]
pub(super) fn values(word: u32) -> [i8; 2] {
    let low = word as i8;
    [low, (word.wrapping_sub(i32::from(low).cast_unsigned()) >> 16) as i8]
}

/// Bounds and a table, applied to pair words.
pub(super) fn map_words<R: Rule>(rule: &R, table: Option<&[i8; 256]>, words: &mut [u32]) {
    if let Some((min, max)) = bounds(rule) {
        for word in words.iter_mut() {
            let [low, high] = values(*word).map(|value| saturate(i32::from(value).max(min).min(max)));
            *word = pair(low, high);
        }
    }
    if let Some(table) = table {
        for word in words {
            let [low, high] = values(*word).map(|value| table[usize::from(value.cast_unsigned() ^ 0x80)]);
            *word = pair(low, high);
        }
    }
}

/// [`crate::arch::Arch::depthwise_scratch`].
pub(in crate::arch) fn depthwise_scratch(shape: &ConvShape) -> usize {
    let slots = tile_columns(shape.output[1]).next_multiple_of(2);
    slots * shape.output[2] * 4 + worker_scratch(shape) + SPARE
}

/// [`crate::arch::Arch::depthwise`].
pub(in crate::arch) fn depthwise<C: Core, R: Rule>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let [_, width, channels] = shape.output;
    let channels = NonZero::new(channels)?;
    let row = NonZero::new(width)?.checked_mul(channels)?;
    if output.len().checked_rem(row.get())? != 0 {
        return None;
    }
    let columns = tile_columns(width);
    let (x, rest) = take::<u32>(align(scratch)?, columns.next_multiple_of(2).checked_mul(channels.get())?)?;
    let mut worker = Worker::new(shape, input, packed, rest)?;
    let mut y = y;
    for rows in output.chunks_mut(row.checked_mul(NonZero::new(2)?)?.get()) {
        let (low, high) = rows.split_at_mut_checked(row.get())?;
        let mut first = 0;
        while first < width {
            let count = columns.min(width - first);
            let tile = Tile { y, two: !high.is_empty(), x: first, count, slot: 0 };
            worker.make::<C, R>(&tile, channels.get(), x)?;
            let range = first * channels.get()..(first + count) * channels.get();
            store(x, channels, low.get_mut(range.clone())?, 0);
            if !high.is_empty() {
                store(x, channels, high.get_mut(range)?, 1);
            }
            first += count;
        }
        y += 2;
    }
    clamp(rule, output);
    Some(())
}

/// Writes the low (0) or high (1) values of pair words as pixels. Compiled with this crate, whatever calls it.
#[inline(never)]
fn store(x: &[u32], channels: NonZero<usize>, output: &mut [i8], half: usize) {
    let Some(double) = channels.checked_mul(NonZero::<usize>::MIN.saturating_add(1)) else { return };
    // A low value that is negative has taken one from the high one.
    let (round, shift) = if half == 0 { (0, 0) } else { (0x8000, 16) };
    for (pixels, x) in output.chunks_mut(double.get()).zip(x.chunks(double.get())) {
        for (slot, pixel) in pixels.chunks_mut(channels.get()).enumerate() {
            for (value, &[first, second]) in pixel.iter_mut().zip(x.as_chunks::<2>().0) {
                let word = if slot == 0 { first } else { second };
                *value = (word.wrapping_add(round) >> shift) as i8;
            }
        }
    }
}
