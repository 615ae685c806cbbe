//! Tensors of steps that need memory to work in.

use ocelli_format::{Model, Step, TensorInfo};

use crate::Problem;
use crate::memory;

/// The tensors of a step of some inputs, and scratch as the last one.
#[derive(Clone, Copy)]
pub(super) struct WithScratch<'m, const INPUTS: usize> {
    pub inputs: [&'m TensorInfo; INPUTS],
    pub scratch: &'m TensorInfo,
    pub output: &'m TensorInfo,
}

impl<'m, const INPUTS: usize> WithScratch<'m, INPUTS> {
    /// The tensors of a step.
    pub fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        if step.inputs.len() != INPUTS.wrapping_add(1) {
            return Err(Problem::Inputs);
        }
        let output = memory::output(model, step)?;
        let scratch = memory::input(model, step, INPUTS)?;
        let mut inputs = [output; INPUTS];
        for (index, input) in inputs.iter_mut().enumerate() {
            *input = memory::input(model, step, index)?;
        }
        Ok(Self { inputs, scratch, output })
    }

    /// Checks the size of the scratch.
    pub fn check_scratch(&self, needed: usize) -> Result<(), Problem> {
        if self.scratch.len() < needed {
            return Err(Problem::ScratchSmall);
        }
        Ok(())
    }
}
