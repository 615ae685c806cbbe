//! Maxima and means, row by row.

use core::marker::PhantomData;
use core::ops::Range;

use ocelli_format::operator::{AveragePoolQ32Record, MeanTfLiteRecord, PoolRecord};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::arch::Arch;
use ocelli_kernels::{TfLite, Window, pool};

use super::{Bound, Rule, check_window, first_row, one_to_one, rows};
use crate::Problem;

/// The tensors of a pooling step, whose window has no dilation and sees at least one value at each output.
fn bind_window<'m>(
    model: &Model<'m>,
    step: &Step<'m>,
    window: &Window,
) -> Result<[&'m TensorInfo; 2], Problem> {
    let [input, output] = one_to_one(model, step)?;
    check_window(window, output)?;
    if window.dilation != [1, 1] {
        return Err(Problem::PoolDilation);
    }
    let axes = [(input.height, output.height), (input.width, output.width)];
    let parameters = window.kernel.iter().zip(&window.stride).zip(&window.padding);
    for (((&kernel, &stride), &padding), (size, outputs)) in parameters.zip(axes) {
        let last = u64::from(outputs.saturating_sub(1)) * u64::from(stride);
        if padding >= kernel || last >= u64::from(size) + u64::from(padding) {
            return Err(Problem::PoolBeside);
        }
    }
    if input.channels != output.channels {
        return Err(Problem::Channels);
    }
    Ok([input, output])
}

pub(crate) struct Max<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    record: &'m PoolRecord,
}

impl<'m, A: Arch> Bound<'m> for Max<'m, A> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &PoolRecord = step.record().ok_or(Problem::Parameters)?;
        Ok(Self { arch: PhantomData, tensors: bind_window(model, step, &record.window)?, record })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let PoolRecord { window, min, max, .. } = self.record;
        let first = first_row(window, range.start);
        rows(model, arena, self.tensors, range, first, |map, y, row| {
            A::max_row(window, map, y, row, [*min, *max])
        })
    }
}

pub(crate) struct AverageQ32<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    kernel: pool::AveragePool<'m>,
}

impl<'m, A: Arch> Bound<'m> for AverageQ32<'m, A> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &AveragePoolQ32Record = step.record().ok_or(Problem::Parameters)?;
        let kernel = pool::AveragePool {
            window: record.window,
            count_include_pad: record.count_include_pad != 0,
            shift: u32::from(record.shift),
            channel: &record.channel,
        };
        Ok(Self { arch: PhantomData, tensors: bind_window(model, step, &record.window)?, kernel })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let first = first_row(&self.kernel.window, range.start);
        rows(model, arena, self.tensors, range, first, |map, y, row| {
            A::average_row(&self.kernel, map, y, row)
        })
    }
}

pub(crate) struct AverageTfLite<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    record: &'m PoolRecord,
}

impl<'m, A: Arch> Bound<'m> for AverageTfLite<'m, A> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &PoolRecord = step.record().ok_or(Problem::Parameters)?;
        Ok(Self { arch: PhantomData, tensors: bind_window(model, step, &record.window)?, record })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let PoolRecord { window, min, max, .. } = self.record;
        let rule = TfLite::new(self.tensors[1], *min, *max);
        let first = first_row(window, range.start);
        rows(model, arena, self.tensors, range, first, |map, y, row| {
            A::average_row_tflite(window, map, y, row, &rule)
        })
    }
}

pub(crate) struct MeanTfLite<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    record: &'m MeanTfLiteRecord,
}

impl<'m, A: Arch> Bound<'m> for MeanTfLite<'m, A> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let tensors @ [input, output] = one_to_one(model, step)?;
        if (output.height, output.width) != (1, 1) || input.channels != output.channels {
            return Err(Problem::MeanOutput);
        }
        Ok(Self { arch: PhantomData, tensors, record: step.record().ok_or(Problem::Parameters)? })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let rule = TfLite::new(self.tensors[1], i8::MIN, i8::MAX);
        rows(model, arena, self.tensors, range, 0, |map, _, row| {
            A::mean_tflite(map, row, &rule, &self.record.channel)
        })
    }
}
