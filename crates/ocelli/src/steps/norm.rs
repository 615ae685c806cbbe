//! Normalization steps.

use core::marker::PhantomData;
use core::ops::Range;

use ocelli_format::operator::NormQ32Record;
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::arch::Arch;
use ocelli_kernels::norm;

use super::elementwise::update;
use super::{Bound, in_place};
use crate::Problem;
use crate::memory::parameters;

pub(crate) struct NormQ32<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: [&'m TensorInfo; 2],
    kernel: norm::Norm<'m>,
    whole_map: bool,
}

impl<'m, A: Arch> Bound<'m> for NormQ32<'m, A> {
    const IN_PLACE: bool = true;

    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let ([input], output) = in_place::<1>(model, step)?;
        let record: &NormQ32Record = step.record().ok_or(Problem::Parameters)?;
        let whole_map = record.flags & NormQ32Record::MAP != 0;
        if whole_map && output.len() > norm::LARGEST_COUNT {
            return Err(Problem::NormMap);
        }
        let [low, high] = record.epsilon.map(u64::from);
        let kernel = norm::Norm {
            centered: record.flags & NormQ32Record::CENTERED != 0,
            zero_point: input.zero_point,
            epsilon: high << 32 | low,
            shift: record.shift,
            channels: parameters(model, record.channels, usize::from(output.channels))?,
        };
        Ok(Self { arch: PhantomData, tensors: [input, output], kernel, whole_map })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        if self.whole_map && range.len() != usize::from(self.tensors[1].height) {
            return None;
        }
        update(model, arena, self.tensors, range, |data| {
            if self.whole_map { self.kernel.map(data) } else { A::norm_pixels(&self.kernel, data) }
        })
    }
}
