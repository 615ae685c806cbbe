//! Softmax steps.

use core::ops::Range;

use ocelli_format::operator::{SoftmaxTfLiteRecord, TableRecord};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::softmax;

use super::elementwise::update;
use super::{Bound, in_place};
use crate::Problem;
use crate::memory::parameters;

pub(crate) struct SoftmaxQ32<'m> {
    tensors: [&'m TensorInfo; 2],
    exponentials: &'m [u16; 256],
}

impl<'m> Bound<'m> for SoftmaxQ32<'m> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let ([input], output) = in_place::<1>(model, step)?;
        let record: &TableRecord = step.record().ok_or(Problem::Parameters)?;
        let exponentials: &[u16; 256] =
            parameters(model, record.table, 1)?.first().ok_or(Problem::Parameters)?;
        if exponentials[0] == 0 {
            return Err(Problem::ExponentialZero);
        }
        Ok(Self { tensors: [input, output], exponentials })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let channels = usize::from(self.tensors[1].channels);
        update(model, arena, self.tensors, range, |data| softmax::softmax(data, channels, self.exponentials))
    }
}

pub(crate) struct SoftmaxTfLite<'m> {
    tensors: [&'m TensorInfo; 2],
    kernel: softmax::SoftmaxTfLite,
}

impl<'m> Bound<'m> for SoftmaxTfLite<'m> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let ([input], output) = in_place::<1>(model, step)?;
        let &SoftmaxTfLiteRecord { multiplier, shift, smallest_difference } =
            step.record().ok_or(Problem::Parameters)?;
        let kernel = softmax::SoftmaxTfLite { multiplier, shift, smallest_difference };
        Ok(Self { tensors: [input, output], kernel })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let channels = usize::from(self.tensors[1].channels);
        update(model, arena, self.tensors, range, |data| self.kernel.apply(data, channels))
    }
}
