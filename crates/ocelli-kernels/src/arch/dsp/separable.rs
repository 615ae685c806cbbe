//! Depthwise convolution alone, or with a table and a 1x1 convolution behind it, two rows at a time.

use super::depthwise::{Depthwise3x3, Rows, Work};
use super::depthwise_any::DepthwiseAny;
use super::pack::{self, clamp};
use super::pointwise::{self, Placement, Pointwise};
use super::quads::{self, Quads};
use crate::Map;
use crate::arch::{ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// How a depthwise convolution is made.
enum Layer {
    Three(Depthwise3x3),
    Any(DepthwiseAny),
}

impl Layer {
    fn new(shape: &ConvShape) -> Option<Self> {
        Depthwise3x3::new(shape).map(Self::Three).or_else(|| DepthwiseAny::new(shape).map(Self::Any))
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Three(layer) => layer.outputs,
            Self::Any(layer) => layer.outputs(),
        }
    }

    fn column(&self) -> usize {
        match self {
            Self::Three(layer) => layer.column(),
            Self::Any(layer) => layer.column(),
        }
    }

    fn block(&self) -> usize {
        match self {
            Self::Three(layer) => layer.block(),
            Self::Any(layer) => layer.block(),
        }
    }

    fn stream(&self) -> usize {
        self.outputs().saturating_mul(self.column())
    }

    /// Steps of the pointwise convolution.
    fn steps(&self) -> usize {
        self.column() / 4
    }

    /// Whether a pointwise convolution of so many outputs goes through [`Quads`].
    fn quads(&self, outputs: usize) -> bool {
        matches!(self, Self::Three(_)) && quads::suits(self.outputs(), self.steps(), outputs)
    }

    fn words<R: Rule>(&self) -> usize {
        match self {
            Self::Three(layer) => layer.words::<R>(),
            Self::Any(layer) => layer.words(),
        }
    }

    fn pack<R: Rule>(&self, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        match self {
            Self::Three(layer) => layer.pack(parameters, packed),
            Self::Any(layer) => layer.pack(parameters, packed),
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
            Self::Any(layer) => layer.rows(rule, packed, input, rows, work),
        }
    }
}

/// [`super::Arch::depthwise_words`].
pub fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
    Some(Layer::new(shape)?.words::<R>())
}

/// [`super::Arch::pack_depthwise`].
pub fn pack_depthwise<R: Rule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    Layer::new(shape)?.pack(parameters, packed)
}

/// [`super::Arch::depthwise_scratch`] and [`super::Arch::separable_scratch`].
pub fn depthwise_scratch(shape: &ConvShape) -> usize {
    Layer::new(shape).map_or(0, |layer| {
        layer.stream().saturating_mul(2).saturating_add(layer.block().saturating_mul(4)).saturating_add(SPARE)
    })
}

/// A depthwise convolution and its parameters.
struct Depthwise<'a, R: Rule> {
    layer: &'a Layer,
    rule: &'a R,
    packed: &'a [u32],
    quads: bool,
}

impl<R: Rule> Depthwise<'_, R> {
    /// Makes two rows at a time in the stream, or one at the end; `then` takes them from there to as many rows of the output.
    fn rows(
        &self,
        input: &Map<'_>,
        mut y: usize,
        row_length: usize,
        output: &mut [i8],
        scratch: &mut [i8],
        mut then: impl FnMut(&mut [i16], bool, &mut [i8]) -> Option<()>,
    ) -> Option<()> {
        let (block, rest) = take::<u32>(align(scratch)?, self.layer.block())?;
        let (stream, _) = take::<i16>(rest, self.layer.stream())?;
        for output in output.chunks_mut(row_length.checked_mul(2).filter(|&length| length > 0)?) {
            let two = output.len() > row_length;
            let work = Work { stream: &mut *stream, quads: self.quads, block: &mut *block };
            self.layer.rows(self.rule, self.packed, input, Rows { y, two }, work)?;
            then(stream, two, output)?;
            y = y.checked_add(2)?;
        }
        Some(())
    }
}

/// [`super::Arch::depthwise`].
pub fn depthwise<R: Rule>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let layer = Layer::new(shape)?;
    let channels = shape.output[2];
    let row_length = channels.checked_mul(shape.output[1])?;
    let columns = layer.column();
    let depthwise = Depthwise { layer: &layer, rule, packed, quads: false };
    depthwise.rows(input, y, row_length, output, scratch, |stream, _, output| {
        for (pixel, row) in output.chunks_exact_mut(row_length.max(1)).enumerate() {
            for (values, row) in
                stream.chunks_exact(columns.max(1)).zip(row.chunks_exact_mut(channels.max(1)))
            {
                for (values, row) in values.chunks_exact(4).zip(row.chunks_mut(2)) {
                    for (value, &from) in row.iter_mut().zip(values.get(pixel * 2..)?) {
                        *value = from as i8;
                    }
                }
            }
        }
        clamp(rule, output);
        Some(())
    })
}

/// [`super::Arch::separable_words`].
pub fn words<R: Rule>(shape: &SeparableShape) -> Option<usize> {
    let layer = Layer::new(&shape.depthwise)?;
    let words = if layer.quads(shape.outputs) { quads::words::<R> } else { pointwise::words::<R> };
    layer.words::<R>().checked_add(words(shape.outputs, layer.steps())?)
}

/// [`super::Arch::pack_separable`].
pub fn pack<R: Rule>(
    shape: &SeparableShape,
    [depthwise, pointwise]: [&Parameters<'_, R>; 2],
    packed: &mut [u32],
) -> Option<()> {
    let layer = Layer::new(&shape.depthwise)?;
    let channels = shape.depthwise.output[2];
    let (first, second) = packed.split_at_mut_checked(layer.words::<R>())?;
    layer.pack(depthwise, first)?;
    let order = |step: usize, lane: usize| Some(step * 2 + lane).filter(|&channel| channel < channels);
    let group = if layer.quads(shape.outputs) { quads::GROUP } else { pointwise::GROUP };
    pack::pack(pointwise, group, channels, layer.steps(), order, second)
}

/// [`super::Arch::separable`].
pub fn separable<R: Rule>(
    shape: &SeparableShape,
    rules: &SeparableRules<'_, R>,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let layer = Layer::new(&shape.depthwise)?;
    let (first, second) = packed.split_at_checked(layer.words::<R>())?;
    let outputs = shape.outputs;
    let width = layer.outputs();
    let row_length = outputs.checked_mul(width)?;
    let columns = layer.column();
    let quads = layer.quads(outputs);
    let (rule, weights, steps) = (&rules.pointwise, second, layer.steps());
    let depthwise = Depthwise { layer: &layer, rule: &rules.depthwise, packed: first, quads };
    depthwise.rows(input, y, row_length, output, scratch, |stream, two, output| {
        middle(rules, stream);
        if quads {
            Quads { rule, weights, steps, outputs }.rows(stream, width, output)?;
        } else {
            let pointwise = Pointwise { rule, weights, steps, outputs };
            let placement = Placement { start: 0, second: row_length, step: outputs };
            if two {
                pointwise.pairs(stream, columns, width, output, placement)?;
            } else {
                pointwise.singles(stream, columns, width, output, placement)?;
            }
        }
        clamp(rule, output);
        Some(())
    })
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
