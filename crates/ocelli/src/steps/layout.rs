//! Steps that move values.

use core::ops::Range;

use ocelli_format::operator::{ConcatRecord, PadRecord, PatchRecord, SliceRecord, TransposeRecord};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::layout;

use super::{Bound, one_to_one, rows};
use crate::Problem;
use crate::memory::{self, Operands};

pub(crate) struct Concat<'m> {
    inputs: &'m [u16],
    output: &'m TensorInfo,
    axis: usize,
}

impl<'m> Bound<'m> for Concat<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let output = memory::output(model, step)?;
        let record: &ConcatRecord = step.record().ok_or(Problem::Parameters)?;
        let axis = usize::from(record.axis);
        if axis > 2 {
            return Err(Problem::Axis);
        }
        let mut total = 0;
        for index in 0..step.inputs.len() {
            let input = memory::input(model, step, index)?;
            for (other, (size, expected)) in extents(input).into_iter().zip(extents(output)).enumerate() {
                if other == axis {
                    total += u64::from(size);
                } else if size != expected {
                    return Err(Problem::ConcatSizes);
                }
            }
        }
        if extents(output).get(axis).map(|&size| u64::from(size)) != Some(total) {
            return Err(Problem::ConcatTotal);
        }
        Ok(Self { inputs: step.inputs, output, axis })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let channels = usize::from(self.output.channels);
        let length = self.output.row_len();
        if length == 0 {
            return None;
        }
        let mut operands = Operands::split(model, arena, self.output, &range, None)?;
        let mut place = [0usize; 3];
        for &input in self.inputs {
            let tensor = model.tensor(input)?;
            let [top, left, first] = place;
            let (map, values) = operands.map_and_output(tensor, range.start.saturating_sub(top))?;
            for (y, row) in range.clone().zip(values.chunks_exact_mut(length)) {
                if let Some(y) = y.checked_sub(top).filter(|&y| y < map.height) {
                    layout::place_row(&map, y, row, channels, [left, first])?;
                }
            }
            let size = extents(tensor).get(self.axis).copied()?;
            *place.get_mut(self.axis)? += usize::from(size);
        }
        Some(())
    }
}

fn extents(tensor: &TensorInfo) -> [u16; 3] {
    [tensor.height, tensor.width, tensor.channels]
}

pub(crate) struct Pad<'m> {
    tensors: [&'m TensorInfo; 2],
    record: &'m PadRecord,
}

impl<'m> Bound<'m> for Pad<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let [input, output] = one_to_one(model, step)?;
        let record: &PadRecord = step.record().ok_or(Problem::Parameters)?;
        let fits = |before: u16, size: u16, room: u16| u32::from(before) + u32::from(size) <= u32::from(room);
        if input.channels != output.channels
            || !fits(record.top, input.height, output.height)
            || !fits(record.left, input.width, output.width)
        {
            return Err(Problem::PadSizes);
        }
        Ok(Self { tensors: [input, output], record })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let before = [self.record.top, self.record.left].map(usize::from);
        let first = range.start.saturating_sub(before[0]);
        rows(model, arena, self.tensors, range, first, |map, y, row| {
            layout::pad_row(map, before, self.record.value, y, row)
        })
    }
}

pub(crate) struct Transpose<'m> {
    tensors: [&'m TensorInfo; 2],
    order: [u8; 3],
}

impl<'m> Bound<'m> for Transpose<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let [input, output] = one_to_one(model, step)?;
        let &TransposeRecord { order, .. } = step.record().ok_or(Problem::Parameters)?;
        let mut seen = [false; 3];
        for (axis, size) in order.into_iter().zip(extents(output)) {
            if extents(input).get(usize::from(axis)) != Some(&size) {
                return Err(Problem::TransposeSizes);
            }
            if let Some(seen) = seen.get_mut(usize::from(axis)) {
                *seen = true;
            }
        }
        if seen != [true; 3] {
            return Err(Problem::TransposeOrder);
        }
        Ok(Self { tensors: [input, output], order })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let channels = usize::from(self.tensors[1].channels);
        rows(model, arena, self.tensors, range, 0, |map, y, row| {
            layout::transpose_row(map, self.order, channels, y, row)
        })
    }
}

pub(crate) struct Slice<'m> {
    tensors: [&'m TensorInfo; 2],
    /// The part's first row, column and channel.
    start: [usize; 3],
}

impl<'m> Bound<'m> for Slice<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let tensors @ [input, output] = one_to_one(model, step)?;
        let record: &SliceRecord = step.record().ok_or(Problem::Parameters)?;
        let mut start = [0usize; 3];
        *start.get_mut(usize::from(record.axis)).ok_or(Problem::Axis)? = usize::from(record.start);
        for (other, (size, part)) in extents(input).into_iter().zip(extents(output)).enumerate() {
            if other != usize::from(record.axis) && size != part {
                return Err(Problem::SliceSizes);
            }
            if other == usize::from(record.axis)
                && u32::from(record.start) + u32::from(part) > u32::from(size)
            {
                return Err(Problem::SliceBeyond);
            }
        }
        Ok(Self { tensors, start })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let channels = usize::from(self.tensors[1].channels);
        let first = range.start.wrapping_add(self.start[0]);
        rows(model, arena, self.tensors, range, first, |map, y, row| {
            layout::slice_row(map, self.start, channels, y, row)
        })
    }
}

/// The patch of a record, if sequences of unfolded maps of a tensor's shape begin with a row.
fn patch_of(step: &Step<'_>, tensor: &TensorInfo) -> Result<[usize; 2], Problem> {
    let record: &PatchRecord = step.record().ok_or(Problem::Parameters)?;
    let [rows, columns] = record.patch;
    let sequences = u32::from(rows).wrapping_mul(u32::from(columns));
    let divides = u32::from(tensor.height).checked_rem(sequences) == Some(0)
        && tensor.width.checked_rem(columns) == Some(0);
    if divides { Ok([rows, columns].map(usize::from)) } else { Err(Problem::Patches) }
}

pub(crate) struct Unfold<'m> {
    tensors: [&'m TensorInfo; 2],
    patch: [usize; 2],
}

impl<'m> Bound<'m> for Unfold<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let (input, output) = (memory::input(model, step, 0)?, memory::output(model, step)?);
        if extents(input) != extents(output) {
            return Err(Problem::Sizes);
        }
        match step.inputs {
            [_] => {}
            [_, _] if memory::input(model, step, 1)?.height == output.height => {}
            _ => return Err(Problem::Unfolds),
        }
        Ok(Self { tensors: [input, output], patch: patch_of(step, output)? })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        rows(model, arena, self.tensors, range, 0, |map, y, row| layout::unfold_row(map, self.patch, y, row))
    }
}

pub(crate) struct Fold<'m> {
    tensors: [&'m TensorInfo; 2],
    patch: [usize; 2],
}

impl<'m> Bound<'m> for Fold<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let tensors @ [input, output] = one_to_one(model, step)?;
        if extents(input) != extents(output) {
            return Err(Problem::Sizes);
        }
        if !output.is_whole() {
            return Err(Problem::FoldRing);
        }
        Ok(Self { tensors, patch: patch_of(step, output)? })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let [input, output] = self.tensors;
        let shape = extents(output).map(usize::from);
        let mut operands = Operands::split(model, arena, output, &(0..usize::from(output.height)), None)?;
        let (map, values) = operands.map_and_output(input, range.start)?;
        for y in range {
            layout::fold_row(map.row(y)?, self.patch, y, shape, values)?;
        }
        Some(())
    }
}
