//! The arena during one step: the bytes of output and scratch to write, everything else to read.

use core::ops::Range;

use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::Map;
use zerocopy::FromBytes;

use crate::Problem;

/// What a step writes, and what its inputs are read from.
pub(crate) struct Operands<'a> {
    /// The rows of the output to make.
    pub output: &'a mut [i8],
    /// The scratch tensor's bytes; none where a step has no scratch.
    pub scratch: &'a mut [i8],
    /// Everything else.
    pub inputs: Inputs<'a>,
}

/// What a step does not write: the weights, and the arena around output and scratch.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// Parts of the arena, and where they start.
    parts: [(usize, &'a [i8]); 3],
    weights: &'a [u8],
}

impl<'a> Operands<'a> {
    /// Splits the arena around rows of a step's output, which must lie together, and its scratch, if it has some, which does not overlap them.
    #[inline(never)]
    pub fn split(
        model: &Model<'a>,
        arena: &'a mut [i8],
        output: &TensorInfo,
        rows: &Range<usize>,
        scratch: Option<&TensorInfo>,
    ) -> Option<Self> {
        let output = place(output, rows)?;
        let scratch = match scratch {
            Some(scratch) => bytes(scratch),
            None => 0..0,
        };
        let output_first = output.start < scratch.start;
        let (first, second) = if output_first { (output, scratch) } else { (scratch, output) };
        let second_in_rest = second.start.checked_sub(first.end)?..second.end.checked_sub(first.end)?;
        let (before, written_first, rest) = split(arena, &first)?;
        let (between, written_second, after) = split(rest, &second_in_rest)?;
        let parts = [(0, before), (first.end, between), (second.end, &*after)];
        let (output, scratch) =
            if output_first { (written_first, written_second) } else { (written_second, written_first) };
        Some(Self { output, scratch, inputs: Inputs { parts, weights: model.weights() } })
    }

    /// An input's values and the output's; `None` where they overlap.
    pub fn values_and_output(&mut self, tensor: &TensorInfo) -> Option<(&[i8], &mut [i8])> {
        Some((self.inputs.values(tensor)?, self.output))
    }

    /// An input as a map of which no row before `first` is read, and the output to write rows of.
    pub fn map_and_output(&mut self, tensor: &TensorInfo, first: usize) -> Option<(Map<'_>, &mut [i8])> {
        Some((self.inputs.map(tensor, first)?, self.output))
    }
}

impl<'a> Inputs<'a> {
    /// All values of a whole map; `None` where some of them are written.
    pub fn values(&self, tensor: &TensorInfo) -> Option<&'a [i8]> {
        let range = bytes(tensor);
        if tensor.constant != 0 {
            return <[i8]>::ref_from_bytes(self.weights.get(range)?).ok();
        }
        self.parts.iter().find_map(|&(start, part)| {
            part.get(range.start.checked_sub(start)?..range.end.checked_sub(start)?)
        })
    }

    /// An input as a map of which no row before `first` is read. Rows that are written are not there.
    pub fn map(&self, tensor: &TensorInfo, first: usize) -> Option<Map<'a>> {
        if let Some(values) = self.values(tensor) {
            return map(tensor, first, values);
        }
        let mut map = map(tensor, first, &[])?;
        self.parts_of(tensor, &mut map)?;
        Some(map)
    }

    /// What there is of a map that output or scratch lie in.
    #[cold]
    fn parts_of(&self, tensor: &TensorInfo, map: &mut Map<'a>) -> Option<()> {
        let range = bytes(tensor);
        let mut rest = map.rest.iter_mut();
        for &(start, part) in &self.parts {
            let end = start.checked_add(part.len())?.min(range.end);
            let first = start.max(range.start);
            let part = part.get(first.wrapping_sub(start)..end.saturating_sub(start)).unwrap_or_default();
            if part.is_empty() {
                continue;
            }
            if first == range.start {
                map.data = part;
            } else {
                *rest.next()? = (first.checked_sub(range.start)?, part);
            }
        }
        Some(())
    }
}

/// A tensor as a map of which no row before `first` is read.
#[inline]
pub(crate) fn map<'a>(tensor: &TensorInfo, first: usize, values: &'a [i8]) -> Option<Map<'a>> {
    let slots = usize::from(tensor.slots);
    let shape = [tensor.height, tensor.width, tensor.channels].map(usize::from);
    let mut map = Map::ring(values, slots, shape, tensor.zero_point);
    if first >= slots {
        map.base = first.wrapping_sub(first.checked_rem(slots)?);
    }
    Some(map)
}

/// Whether ranges have no byte in common.
#[inline]
pub(crate) fn disjoint(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.end <= b.start || b.end <= a.start
}

/// Where the slots of a tensor lie. They are in the arena, or in the weights: opening the model saw to that.
#[inline]
pub(crate) fn bytes(tensor: &TensorInfo) -> Range<usize> {
    let start = tensor.offset as usize;
    start..start.wrapping_add(usize::from(tensor.slots).wrapping_mul(tensor.row_len()))
}

/// Where rows of a tensor lie; `None` unless they lie together.
pub(crate) fn place(tensor: &TensorInfo, rows: &Range<usize>) -> Option<Range<usize>> {
    let slots = usize::from(tensor.slots);
    let mut slot = rows.start;
    if slot >= slots {
        slot = slot.checked_rem(slots)?;
    }
    let count = rows.end.checked_sub(rows.start)?;
    if slot.checked_add(count)? > slots {
        return None;
    }
    let length = tensor.row_len();
    let start = (tensor.offset as usize).wrapping_add(slot.wrapping_mul(length));
    Some(start..start.wrapping_add(count.wrapping_mul(length)))
}

/// What lies before, in and after a range.
fn split<'a>(memory: &'a mut [i8], range: &Range<usize>) -> Option<(&'a [i8], &'a mut [i8], &'a mut [i8])> {
    let (before, rest) = memory.split_at_mut_checked(range.start)?;
    let (middle, after) = rest.split_at_mut_checked(range.end.checked_sub(range.start)?)?;
    Some((before, middle, after))
}

/// The input of a step.
pub(crate) fn input<'m>(model: &Model<'m>, step: &Step<'m>, index: usize) -> Result<&'m TensorInfo, Problem> {
    step.inputs.get(index).and_then(|&tensor| model.tensor(tensor)).ok_or(Problem::InputMissing)
}

/// The output of a step.
pub(crate) fn output<'m>(model: &Model<'m>, step: &Step<'m>) -> Result<&'m TensorInfo, Problem> {
    model.tensor(step.output).ok_or(Problem::OutputMissing)
}

/// Whether two tensors share bytes of the arena.
pub(crate) fn overlap(a: &TensorInfo, b: &TensorInfo) -> bool {
    if a.constant != 0 || b.constant != 0 {
        return false;
    }
    match (a.range(), b.range()) {
        (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
        _ => true,
    }
}

/// `length` values of type `T` at an offset of the weights.
pub(crate) fn parameters<'m, T>(model: &Model<'m>, offset: u32, length: usize) -> Result<&'m [T], Problem>
where
    T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable,
{
    model
        .weights()
        .get(offset as usize..)
        .and_then(|bytes| <[T]>::ref_from_prefix_with_elems(bytes, length).ok())
        .map(|(values, _)| values)
        .ok_or(Problem::ParametersOutside)
}
