//! Depthwise convolution alone, or with a table and a 1x1 convolution behind it, two rows at a time.

use super::depthwise::Depthwise3x3;
use super::pack::{self, clamp};
use super::pointwise::{GROUP, Placement, Pointwise, group_words};
use crate::Map;
use crate::arch::{ConvShape, Parameters, SeparableRules, SeparableShape};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// [`super::Arch::depthwise_words`].
pub fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
    Some(Depthwise3x3::new(shape)?.words::<R>())
}

/// [`super::Arch::pack_depthwise`].
pub fn pack_depthwise<R: Rule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    Depthwise3x3::new(shape)?.pack(parameters, packed)
}

/// [`super::Arch::depthwise_scratch`] and [`super::Arch::separable_scratch`].
pub fn depthwise_scratch(shape: &ConvShape) -> usize {
    Depthwise3x3::new(shape).map_or(0, |layer| layer.outputs * layer.column() * 2 + layer.block() * 4 + SPARE)
}

/// Makes two rows at a time in the stream, or one at the end; `then` takes them from there to as many rows of the output.
fn rows<R: Rule>(
    layer: &Depthwise3x3,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    mut y: usize,
    row_length: usize,
    output: &mut [i8],
    scratch: &mut [i8],
    mut then: impl FnMut(&mut [i16], bool, &mut [i8]) -> Option<()>,
) -> Option<()> {
    let (block, rest) = take::<u32>(align(scratch)?, layer.block())?;
    let (stream, _) = take::<i16>(rest, layer.outputs * layer.column())?;
    for output in output.chunks_mut(row_length.checked_mul(2).filter(|&length| length > 0)?) {
        let two = output.len() > row_length;
        layer.rows(rule, packed, input, y, two, stream, block)?;
        then(stream, two, output)?;
        y = y.checked_add(2)?;
    }
    Some(())
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
    let layer = Depthwise3x3::new(shape)?;
    let channels = shape.output[2];
    let row_length = channels.checked_mul(shape.output[1])?;
    rows(&layer, rule, packed, input, y, row_length, output, scratch, |stream, _, output| {
        for (pixel, row) in output.chunks_exact_mut(row_length).enumerate() {
            for (values, row) in stream.chunks_exact(layer.column()).zip(row.chunks_exact_mut(channels)) {
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
    let layer = Depthwise3x3::new(&shape.depthwise)?;
    let groups = shape.outputs.div_ceil(GROUP).checked_mul(group_words::<R>(layer.column() / 4))?;
    layer.words::<R>().checked_add(groups)
}

/// [`super::Arch::pack_separable`].
pub fn pack<R: Rule>(
    shape: &SeparableShape,
    [depthwise, pointwise]: [&Parameters<'_, R>; 2],
    packed: &mut [u32],
) -> Option<()> {
    let layer = Depthwise3x3::new(&shape.depthwise)?;
    let channels = shape.depthwise.output[2];
    let (first, second) = packed.split_at_mut_checked(layer.words::<R>())?;
    layer.pack(depthwise, first)?;
    let order = |step: usize, lane: usize| Some(step * 2 + lane).filter(|&channel| channel < channels);
    pack::pack(pointwise, channels, layer.column() / 4, order, second)
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
    let layer = Depthwise3x3::new(&shape.depthwise)?;
    let (first, second) = packed.split_at_checked(layer.words::<R>())?;
    let outputs = shape.outputs;
    let row_length = outputs.checked_mul(layer.outputs)?;
    let pointwise = Pointwise { rule: &rules.pointwise, weights: second, steps: layer.column() / 4, outputs };
    rows(&layer, &rules.depthwise, first, input, y, row_length, output, scratch, |stream, two, output| {
        middle(rules, stream);
        let placement = Placement { start: 0, second: row_length, step: outputs };
        if two {
            pointwise.pairs(stream, layer.column(), layer.outputs, output, placement)?;
        } else {
            pointwise.singles(stream, layer.column(), layer.outputs, output, placement)?;
        }
        clamp(&rules.pointwise, output);
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
