//! Depthwise convolution alone, or with a table and a 1x1 convolution behind it, two rows at a time.

use core::ops::Range;

use super::PARTS;
use super::depthwise::{Depthwise3x3, Rows, Work};
use super::depthwise_any::DepthwiseAny;
use super::linked;
use super::pack::{self, clamp};
use super::pointwise::{self, Placement, Pointwise, fold};
use super::quads::{self, Quads};
use crate::Map;
use crate::arch::{ConvShape, KERNELS, Parameters, SeparableRules, SeparableShape};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Columns of the output that are in the stream, and those that are transposed, at once.
#[derive(Clone, Copy)]
struct Parts {
    stream: usize,
    block: usize,
}

/// How a depthwise convolution is made.
enum Layer<const LINKED: u64> {
    Three(Depthwise3x3),
    Any(DepthwiseAny),
}

impl<const LINKED: u64> Layer<LINKED> {
    /// Whether [`DepthwiseAny`] is linked; asked wherever it is called, for the linker to see.
    const ANY: bool = LINKED & linked::DEPTHWISE_ANY != 0;

    fn new(shape: &ConvShape) -> Option<Self> {
        if LINKED & linked::DEPTHWISE_3X3 != 0
            && let Some(layer) = Depthwise3x3::new(shape)
        {
            return Some(Self::Three(layer));
        }
        if Self::ANY { DepthwiseAny::new(shape).map(Self::Any) } else { None }
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Three(layer) => layer.outputs,
            Self::Any(layer) if Self::ANY => layer.outputs(),
            Self::Any(_) => 0,
        }
    }

    fn column(&self) -> usize {
        match self {
            Self::Three(layer) => layer.column(),
            Self::Any(layer) if Self::ANY => layer.column(),
            Self::Any(_) => 0,
        }
    }

    fn block(&self, outputs: usize) -> usize {
        match self {
            Self::Three(layer) => layer.block(outputs),
            Self::Any(layer) if Self::ANY => layer.block(outputs),
            Self::Any(_) => 0,
        }
    }

    /// The same for some columns of the output.
    fn part(&self, columns: Range<usize>) -> Option<Self> {
        match self {
            Self::Three(layer) => layer.part(columns).map(Self::Three),
            Self::Any(layer) if Self::ANY => layer.part(columns).map(Self::Any),
            Self::Any(_) => None,
        }
    }

    /// Values of the stream of so many columns.
    fn stream(&self, outputs: usize) -> usize {
        outputs.saturating_mul(self.column())
    }

    /// How a row is made in up to `parts` parts.
    fn parts(&self, parts: usize) -> Parts {
        let outputs = self.outputs();
        // Whole quads of one row.
        let part = |parts: usize| outputs.div_ceil(parts.max(1)).next_multiple_of(4).min(outputs);
        match parts {
            0 | 1 => Parts { stream: outputs, block: outputs },
            2 => Parts { stream: outputs, block: part(2) },
            3 => Parts { stream: part(2), block: part(2) },
            _ => Parts { stream: part(2), block: part(4) },
        }
    }

    /// Bytes that rows are made in.
    fn scratch(&self, parts: Parts) -> usize {
        let block = self.block(parts.block).saturating_mul(4);
        self.stream(parts.stream).saturating_mul(2).saturating_add(block).saturating_add(SPARE)
    }

    /// Steps of the pointwise convolution.
    fn steps(&self) -> usize {
        self.column() / 4
    }

    /// Whether a pointwise convolution of so many outputs goes through [`Quads`].
    fn quads(&self, outputs: usize) -> bool {
        LINKED & linked::QUADS != 0
            && matches!(self, Self::Three(_))
            && quads::suits(self.outputs(), self.steps(), outputs)
    }

    fn words<R: Rule>(&self) -> usize {
        match self {
            Self::Three(layer) => layer.words::<R>(),
            Self::Any(layer) if Self::ANY => layer.words(),
            Self::Any(_) => 0,
        }
    }

    fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        match self {
            Self::Three(layer) => layer.pack(parameters, packed),
            Self::Any(layer) if Self::ANY => layer.pack(parameters, packed),
            Self::Any(_) => None,
        }
    }

    fn rows<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        rows: Rows,
        work: Work<'_>,
    ) -> Option<()> {
        match self {
            Self::Three(layer) => layer.rows(rule, packed, input, rows, work),
            Self::Any(layer) if Self::ANY => layer.rows(rule, packed, input, rows, work),
            Self::Any(_) => None,
        }
    }
}

/// [`super::Arch::depthwise_kernels`].
pub fn depthwise_kernels(shape: &ConvShape) -> u64 {
    if Depthwise3x3::new(shape).is_some() { linked::DEPTHWISE_3X3 } else { linked::DEPTHWISE_ANY }
}

/// [`super::Arch::separable_kernels`].
pub fn kernels(shape: &SeparableShape) -> u64 {
    let quads = Layer::<{ KERNELS }>::new(&shape.depthwise).is_some_and(|layer| layer.quads(shape.outputs));
    depthwise_kernels(&shape.depthwise) | if quads { linked::QUADS } else { linked::PAIRS }
}

/// [`super::Arch::depthwise_words`].
pub fn depthwise_words<R: Rule, const LINKED: u64>(shape: &ConvShape) -> Option<usize> {
    Some(Layer::<LINKED>::new(shape)?.words::<R>())
}

/// [`super::Arch::pack_depthwise`].
pub fn pack_depthwise<R: Rule, const LINKED: u64>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    Layer::<LINKED>::new(shape)?.pack(parameters, packed)
}

/// [`super::Arch::depthwise_scratch_in_parts`] and [`super::Arch::separable_scratch_in_parts`].
pub fn depthwise_scratch<const LINKED: u64>(shape: &ConvShape, parts: usize) -> usize {
    Layer::<LINKED>::new(shape).map_or(0, |layer| layer.scratch(layer.parts(parts)))
}

/// A depthwise convolution and its parameters.
struct Depthwise<'a, R: Rule, const LINKED: u64> {
    layer: &'a Layer<LINKED>,
    rule: &'a R,
    packed: &'a [u32],
    quads: bool,
}

/// Some columns of a row or two, made in the stream.
struct Made<'a> {
    stream: &'a mut [i16],
    two: bool,
    columns: Range<usize>,
}

impl<R: Rule, const LINKED: u64> Depthwise<'_, R, LINKED> {
    /// Makes two rows at a time in the stream, or one at the end, in as few parts as there is memory for; `then` takes each part from there
    /// to the rows of the output.
    fn rows(
        &self,
        input: &Map<'_>,
        mut y: usize,
        row_length: usize,
        output: &mut [i8],
        scratch: &mut [i8],
        mut then: impl FnMut(Made<'_>, &mut [i8]) -> Option<()>,
    ) -> Option<()> {
        let layer = self.layer;
        let memory = scratch.len();
        let parts =
            (1..=PARTS).map(|parts| layer.parts(parts)).find(|&parts| layer.scratch(parts) <= memory)?;
        let (block, rest) = take::<u32>(align(scratch)?, layer.block(parts.block))?;
        let (stream, _) = take::<i16>(rest, layer.stream(parts.stream))?;
        if parts.block == 0 {
            return None;
        }
        for output in output.chunks_mut(row_length.checked_mul(2).filter(|&length| length > 0)?) {
            let two = output.len() > row_length;
            let mut start = 0;
            while start < layer.outputs() {
                let columns = start..start.saturating_add(parts.stream).min(layer.outputs());
                let stream = stream.get_mut(..layer.stream(columns.len()))?;
                while start < columns.end {
                    let end = start.saturating_add(parts.block).min(columns.end);
                    let stream = stream.get_mut(layer.stream(start.checked_sub(columns.start)?)..)?;
                    let work = Work { stream, quads: self.quads, block: &mut *block };
                    let part;
                    let layer = if parts.block < layer.outputs() {
                        part = layer.part(start..end)?;
                        &part
                    } else {
                        layer
                    };
                    layer.rows(self.rule, self.packed, input, Rows { y, two }, work)?;
                    start = end;
                }
                then(Made { stream, two, columns }, output)?;
            }
            y = y.checked_add(2)?;
        }
        Some(())
    }
}

/// [`super::Arch::depthwise`].
pub fn depthwise<R: Rule, const LINKED: u64>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let layer = Layer::<LINKED>::new(shape);
    let layer = layer.as_ref()?;
    let channels = shape.output[2];
    let row_length = channels.checked_mul(shape.output[1])?;
    let columns = layer.column();
    let depthwise = Depthwise { layer, rule, packed, quads: false };
    depthwise.rows(input, y, row_length, output, scratch, |Made { stream, columns: made, .. }, output| {
        let start = made.start.checked_mul(channels)?;
        for (pixel, row) in output.chunks_exact_mut(row_length.max(1)).enumerate() {
            let row = row.get_mut(start..)?.chunks_exact_mut(channels.max(1));
            for (values, row) in stream.chunks_exact(columns.max(1)).zip(row) {
                narrow(values, pixel * 2, row)?;
            }
        }
        Some(())
    })?;
    clamp(rule, output);
    Some(())
}

/// Two of each four values, from the first or the third on, as bytes. Compiled with this crate, whatever calls it.
#[inline(never)]
fn narrow(values: &[i16], first: usize, bytes: &mut [i8]) -> Option<()> {
    let mut values = values.get(first..)?;
    let mut fours = bytes.chunks_exact_mut(4);
    for bytes in &mut fours {
        let &[a, b, _, _, c, d] = values.first_chunk()?;
        let pair = |a: i16, b: i16| u32::from(a as u8) | u32::from(b as u8) << 8;
        let word = pair(a, b) | pair(c, d) << 16;
        bytes.copy_from_slice(&word.to_le_bytes().map(u8::cast_signed));
        values = values.get(8..).unwrap_or_default();
    }
    for (bytes, values) in fours.into_remainder().chunks_mut(2).zip(values.chunks(4)) {
        for (byte, &value) in bytes.iter_mut().zip(values) {
            *byte = value as i8;
        }
    }
    Some(())
}

/// [`super::Arch::separable_words`].
pub fn words<R: Rule, const LINKED: u64>(shape: &SeparableShape) -> Option<usize> {
    let layer = Layer::<LINKED>::new(&shape.depthwise)?;
    let words = if layer.quads(shape.outputs) { quads::words::<R> } else { pointwise::words::<R> };
    layer.words::<R>().checked_add(words(shape.outputs, layer.steps())?)
}

/// [`super::Arch::pack_separable`].
pub fn pack<R: Rule, const LINKED: u64>(
    shape: &SeparableShape,
    [depthwise, pointwise]: [&Parameters<'_, R>; 2],
    packed: &mut [u32],
) -> Option<()> {
    let layer = Layer::<LINKED>::new(&shape.depthwise)?;
    let channels = shape.depthwise.output[2];
    let (first, second) = packed.split_at_mut_checked(layer.words::<R>())?;
    layer.pack(depthwise, first)?;
    let order = |step: usize, lane: usize| Some(step * 2 + lane).filter(|&channel| channel < channels);
    let group = if layer.quads(shape.outputs) { quads::GROUP } else { pointwise::GROUP };
    pack::pack(pointwise, group, channels, layer.steps(), order, second)
}

/// [`super::Arch::separable`].
pub fn separable<R: Rule, const LINKED: u64>(
    shape: &SeparableShape,
    rules: &SeparableRules<'_, R>,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    // Not moved: it is large.
    let layer = Layer::<LINKED>::new(&shape.depthwise);
    let layer = layer.as_ref()?;
    let (first, second) = packed.split_at_checked(layer.words::<R>())?;
    let outputs = shape.outputs;
    let width = layer.outputs();
    let row_length = outputs.checked_mul(width)?;
    let quads = layer.quads(outputs);
    let depthwise = Depthwise { layer, rule: &rules.depthwise, packed: first, quads };
    let (steps, column) = (layer.steps(), layer.column());
    let last = Last::<R, LINKED> { rules, weights: second, steps, outputs, quads, column, row_length };
    depthwise.rows(input, y, row_length, output, scratch, |made, output| last.make(made, output))?;
    clamp(&rules.pointwise, output);
    Some(())
}

/// What comes after the depthwise convolution.
struct Last<'a, R: Rule, const LINKED: u64> {
    rules: &'a SeparableRules<'a, R>,
    weights: &'a [u32],
    steps: usize,
    outputs: usize,
    quads: bool,
    /// Values of a column of the stream.
    column: usize,
    /// Values of a row of the output.
    row_length: usize,
}

impl<R: Rule, const LINKED: u64> Last<'_, R, LINKED> {
    /// Makes what is in the stream.
    fn make(&self, Made { stream, two, columns }: Made<'_>, output: &mut [i8]) -> Option<()> {
        let &Self { rules, weights, steps, outputs, column, row_length, .. } = self;
        let (start, width) = (columns.start.checked_mul(outputs)?, columns.len());
        let rule = &rules.pointwise;
        if !self.quads {
            if LINKED & linked::PAIRS == 0 {
                return None;
            }
            middle(rules, stream);
            let pointwise = Pointwise { rule, weights, steps, outputs };
            if !two {
                return pointwise.row(stream, column, width, output, start);
            }
            let placement = Placement { start, second: row_length, step: outputs };
            return pointwise.pairs(stream, column, width, output, placement);
        }
        let quads = Quads { rule, weights, steps, outputs };
        let output = output.get_mut(start..)?;
        if two {
            middle(rules, stream);
            return quads.rows(stream, width, row_length, output);
        }
        // A row by itself: its second half becomes the second row of its first half.
        let half = width / 4 * 2;
        let values = half.checked_mul(column)?;
        fold(stream, values, values)?;
        let (folded, rest) = stream.split_at_mut_checked(values)?;
        if half > 0 {
            middle(rules, folded);
            quads.rows(folded, half, half.checked_mul(outputs)?, output)?;
        }
        let left = width.checked_sub(half * 2)?;
        if left > 0 {
            let alone = rest.get_mut(values..)?;
            middle(rules, alone);
            quads.rows(alone, left, 0, output.get_mut((half * 2).checked_mul(outputs)?..)?)?;
        }
        Some(())
    }
}

/// The bounds of the depthwise convolution's rule, and the table.
fn middle<R: Rule>(rules: &SeparableRules<'_, R>, stream: &mut [i16]) {
    if let Some(rule) = rules.depthwise.tflite()
        && (rule.min > -128 || rule.max < 127)
        && let (Ok(min), Ok(max)) = (i16::try_from(rule.min), i16::try_from(rule.max))
    {
        for value in &mut *stream {
            *value = (*value).max(min).min(max);
        }
    }
    if let Some(table) = rules.table {
        for value in stream {
            *value = table.get(usize::from(*value as u8 ^ 0x80)).map_or(0, |&value| i16::from(value));
        }
    }
}
