//! The arena during one step: the output's bytes to write, everything else to read.

use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::Map;
use zerocopy::FromBytes;

/// A step's output, and what its inputs are read from.
pub(crate) struct Operands<'m, 'a> {
    /// The output tensor's values.
    pub output: &'a mut [i8],
    before: &'a [i8],
    after: &'a [i8],
    after_start: usize,
    weights: &'m [u8],
}

impl<'m, 'a> Operands<'m, 'a> {
    /// Splits the arena around a step's output.
    pub fn split(model: &Model<'m>, arena: &'a mut [i8], output: &TensorInfo) -> Option<Self> {
        let range = output.range()?;
        let (before, rest) = arena.split_at_mut_checked(range.start)?;
        let (output, after) = rest.split_at_mut_checked(range.end.checked_sub(range.start)?)?;
        Some(Self { output, before, after, after_start: range.end, weights: model.weights() })
    }

    /// An input's values and the output's; `None` where they overlap.
    pub fn values_and_output(&mut self, tensor: &TensorInfo) -> Option<(&[i8], &mut [i8])> {
        let range = tensor.range()?;
        let values = if tensor.constant != 0 {
            <[i8]>::ref_from_bytes(self.weights.get(range)?).ok()?
        } else if range.end <= self.before.len() {
            self.before.get(range)?
        } else {
            self.after
                .get(range.start.checked_sub(self.after_start)?..range.end.checked_sub(self.after_start)?)?
        };
        Some((values, self.output))
    }

    /// An input as a map, and the output to write rows of.
    pub fn map_and_output(&mut self, tensor: &TensorInfo) -> Option<(Map<'_>, &mut [i8])> {
        let (data, output) = self.values_and_output(tensor)?;
        let height = usize::from(tensor.height);
        let map = Map {
            data,
            slots: height,
            height,
            width: usize::from(tensor.width),
            channels: usize::from(tensor.channels),
            zero_point: tensor.zero_point,
        };
        Some((map, output))
    }
}

/// The input of a step.
pub(crate) fn input<'m>(
    model: &Model<'m>,
    step: &Step<'m>,
    index: usize,
) -> Result<&'m TensorInfo, &'static str> {
    step.inputs.get(index).and_then(|&tensor| model.tensor(tensor)).ok_or("an input is missing")
}

/// The output of a step.
pub(crate) fn output<'m>(model: &Model<'m>, step: &Step<'m>) -> Result<&'m TensorInfo, &'static str> {
    model.tensor(step.output).ok_or("the output is missing")
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
pub(crate) fn parameters<'m, T>(
    model: &Model<'m>,
    offset: u32,
    length: usize,
) -> Result<&'m [T], &'static str>
where
    T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable,
{
    model
        .weights()
        .get(offset as usize..)
        .and_then(|bytes| <[T]>::ref_from_prefix_with_elems(bytes, length).ok())
        .map(|(values, _)| values)
        .ok_or("parameters lie outside the weights")
}
