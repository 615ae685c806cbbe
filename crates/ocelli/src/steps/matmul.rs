//! Products of two maps.

use core::ops::Range;

use ocelli_format::operator::MatMulQ32Record;
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::{Q32, matmul};

use super::Bound;
use crate::Problem;
use crate::memory::{self, Operands};

pub(crate) struct MatMulQ32<'m> {
    inputs: [&'m TensorInfo; 2],
    output: &'m TensorInfo,
    kernel: matmul::MatMul<'m, Q32>,
}

impl<'m> Bound<'m> for MatMulQ32<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        if step.inputs.len() != 2 {
            return Err(Problem::TwoInputs);
        }
        let record: &MatMulQ32Record = step.record().ok_or(Problem::Parameters)?;
        let inputs = [memory::input(model, step, 0)?, memory::input(model, step, 1)?];
        let output = memory::output(model, step)?;
        let [first, second] = inputs;
        if second.height != 1 && second.height != first.height {
            return Err(Problem::SecondMatrices);
        }
        let transpose_second = record.flags & MatMulQ32Record::TRANSPOSE_SECOND != 0;
        let (inner, columns) =
            if transpose_second { (second.channels, second.width) } else { (second.width, second.channels) };
        if inner != first.channels {
            return Err(Problem::SecondRows);
        }
        if [output.height, output.width, output.channels] != [first.height, first.width, columns] {
            return Err(Problem::ProductSize);
        }
        let kernel = matmul::MatMul { transpose_second, rule: Q32, channel: &record.channel };
        Ok(Self { inputs, output, kernel })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let Operands { output, inputs, .. } = Operands::split(model, arena, self.output, &range, None)?;
        let shared = self.inputs[1].height == 1;
        let first = inputs.map(self.inputs[0], range.start)?;
        let second = inputs.map(self.inputs[1], if shared { 0 } else { range.start })?;
        let length = self.output.row_len();
        if length == 0 {
            return None;
        }
        for (y, row) in range.zip(output.chunks_exact_mut(length)) {
            self.kernel.row(&first, &second, y, row)?;
        }
        Some(())
    }
}
