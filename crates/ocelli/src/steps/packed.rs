//! Convolutions on the kernels of the model's target, in calls of as many rows as are asked for.

use core::marker::PhantomData;
use core::ops::Range;

use ocelli_format::operator::{PackedConvRecord, PackedSeparableConvRecord};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::Map;
use ocelli_kernels::arch::{self, Arch, ConvShape, SeparableShape};

use super::scratch::WithScratch;
use super::{Bound, Rule, check_window, first_row};
use crate::Problem;
use crate::memory::{Operands, bytes, disjoint, map, parameters, place};

/// A convolution of one group, or a depthwise one that makes one output channel of an input channel.
pub(crate) struct Conv<'m, A: Arch, R: Rule, const DEPTHWISE: bool> {
    tensors: WithScratch<'m, 1>,
    shape: ConvShape,
    rule: R,
    packed: &'m [u32],
    arch: PhantomData<A>,
}

impl<'m, A: Arch, R: Rule + ocelli_kernels::Rule, const DEPTHWISE: bool> Bound<'m>
    for Conv<'m, A, R, DEPTHWISE>
{
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let tensors = WithScratch::bind(model, step)?;
        let ([input], output) = (tensors.inputs, tensors.output);
        let record: &PackedConvRecord = step.record().ok_or(Problem::Parameters)?;
        let shape = ConvShape {
            window: record.window,
            input: axes(input),
            output: axes(output),
            zero_point: input.zero_point,
        };
        if DEPTHWISE && input.channels != output.channels {
            return Err(Problem::Channels);
        }
        let packed = parameters(model, record.packed, record.words as usize)?;
        let rule = <R as Rule>::new(output, record.min, record.max);
        Ok(Self { tensors, shape, rule, packed, arch: PhantomData })
    }

    fn check(&self) -> Result<(), Problem> {
        let shape = &self.shape;
        check_window(&shape.window, self.tensors.output)?;
        if DEPTHWISE {
            let scratch = A::depthwise_scratch_in_parts::<R>(shape, A::PARTS);
            return check_sizes(self.packed, A::depthwise_words::<R>(shape), &self.tensors, scratch);
        }
        let scratch = A::conv_scratch_in_parts::<R>(shape, A::PARTS);
        check_sizes(self.packed, A::conv_words::<R>(shape), &self.tensors, scratch)?;
        A::check_conv::<R>(shape, self.packed).ok_or(Problem::PackedContents)
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let (y, first) = (range.start, first_row(&self.shape.window, range.start));
        with_map(model, arena, &self.tensors, &range, first, |map, output, scratch| {
            let (shape, rule, packed) = (&self.shape, &self.rule, self.packed);
            if DEPTHWISE {
                A::depthwise(shape, rule, packed, map, y, output, scratch)
            } else {
                A::conv(shape, rule, packed, map, y, output, scratch)
            }
        })
    }
}

/// A depthwise convolution, a table if there is one, and a 1x1 convolution.
pub(crate) struct Separable<'m, A: Arch, R: ocelli_kernels::Rule> {
    tensors: WithScratch<'m, 1>,
    shape: SeparableShape,
    rules: arch::SeparableRules<'m, R>,
    packed: &'m [u32],
    arch: PhantomData<A>,
}

impl<'m, A: Arch, R: Rule + ocelli_kernels::Rule> Bound<'m> for Separable<'m, A, R> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let tensors = WithScratch::bind(model, step)?;
        let ([input], output) = (tensors.inputs, tensors.output);
        let record: &PackedSeparableConvRecord = step.record().ok_or(Problem::Parameters)?;
        let [height, width, outputs] = axes(output);
        let shape = SeparableShape {
            depthwise: ConvShape {
                window: record.window,
                input: axes(input),
                output: [height, width, usize::from(input.channels)],
                zero_point: input.zero_point,
            },
            outputs,
        };
        let packed = parameters(model, record.packed, record.words as usize)?;
        let table = match record.table {
            PackedSeparableConvRecord::NO_TABLE => None,
            offset => Some(parameters(model, offset, 1)?.first().ok_or(Problem::Parameters)?),
        };
        let middle = TensorInfo { zero_point: record.middle_zero_point, ..*output };
        let rules = arch::SeparableRules {
            depthwise: <R as Rule>::new(&middle, record.middle_min, record.middle_max),
            table,
            pointwise: <R as Rule>::new(output, record.min, record.max),
        };
        Ok(Self { tensors, shape, rules, packed, arch: PhantomData })
    }

    fn check(&self) -> Result<(), Problem> {
        let shape = &self.shape;
        check_window(&shape.depthwise.window, self.tensors.output)?;
        let scratch = A::separable_scratch_in_parts::<R>(shape, A::PARTS);
        check_sizes(self.packed, A::separable_words::<R>(shape), &self.tensors, scratch)?;
        A::check_separable::<R>(shape, self.packed).ok_or(Problem::PackedContents)
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let (y, first) = (range.start, first_row(&self.shape.depthwise.window, range.start));
        with_map(model, arena, &self.tensors, &range, first, |map, output, scratch| {
            A::separable(&self.shape, &self.rules, self.packed, map, y, output, scratch)
        })
    }
}

/// Parameters and scratch must be as long as the kernel takes them.
fn check_sizes(
    packed: &[u32],
    words: Option<usize>,
    tensors: &WithScratch<'_, 1>,
    scratch: usize,
) -> Result<(), Problem> {
    if packed.len() != words.ok_or(Problem::NoKernel)? {
        return Err(Problem::PackedLength);
    }
    tensors.check_scratch(scratch)
}

/// Height, width and channels.
fn axes(tensor: &TensorInfo) -> [usize; 3] {
    [tensor.height, tensor.width, tensor.channels].map(usize::from)
}

/// Calls a kernel with the input, of which no row before `first` is read, the rows of the output to make, and scratch.
#[inline]
fn with_map(
    model: &Model<'_>,
    arena: &mut [i8],
    tensors: &WithScratch<'_, 1>,
    rows: &Range<usize>,
    first: usize,
    kernel: impl FnOnce(&Map<'_>, &mut [i8], &mut [i8]) -> Option<()>,
) -> Option<()> {
    let mut operands = MapOperands::split(model, arena, tensors, rows, first);
    let MapOperands { input, output, scratch } = operands.as_mut()?;
    kernel(input, output, scratch)
}

/// The input as a map, the rows of the output to make, and scratch.
struct MapOperands<'a> {
    input: Map<'a>,
    output: &'a mut [i8],
    scratch: &'a mut [i8],
}

impl<'a> MapOperands<'a> {
    #[inline(never)]
    fn split(
        model: &Model<'a>,
        arena: &'a mut [i8],
        tensors: &WithScratch<'_, 1>,
        rows: &Range<usize>,
        first: usize,
    ) -> Option<Self> {
        let WithScratch { inputs: [input], scratch, output } = tensors;
        let places = [bytes(input), place(output, rows)?, bytes(scratch)];
        let [seen, made, worked_in] = &places;
        if input.constant == 0 && disjoint(seen, made) && disjoint(seen, worked_in) {
            let [seen, output, scratch] = arena.get_disjoint_mut(places).ok()?;
            return Some(Self { input: map(input, first, seen)?, output, scratch });
        }
        let Operands { output, scratch, inputs } =
            Operands::split(model, arena, output, rows, Some(scratch))?;
        Some(Self { input: inputs.map(input, first)?, output, scratch })
    }
}
