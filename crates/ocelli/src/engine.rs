//! Running a model on an arena.

use ocelli_format::{Model, Step, test_bytes};
use zerocopy::FromBytes;

use crate::error::{EngineError, RunError};
use crate::output::Output;
use crate::steps::{Action, Refusal, perform};

/// A model and the memory to run it in.
///
/// `OPERATORS` is the set of [operators](crate::operator) and [targets](crate::Target) that are linked: a model's own
/// ([`IncludedModel::operators`]) or [`operator::ALL`](crate::operator::ALL).
///
/// [`IncludedModel::operators`]: crate::IncludedModel::operators
#[derive(Debug)]
pub struct Engine<'m, 'a, const OPERATORS: u64> {
    model: Model<'m>,
    arena: &'a mut [i8],
}

impl<'m: 'a, 'a, const OPERATORS: u64> Engine<'m, 'a, OPERATORS> {
    /// Checks every step of the model and takes an arena of at least [`Model::arena_bytes`].
    ///
    /// # Errors
    /// [`EngineError`] where the arena is too small, the engine was built without the model's target, or a step cannot run.
    pub fn new(model: Model<'m>, arena: &'a mut [u8]) -> Result<Self, EngineError> {
        let (needed, given) = (model.arena_bytes(), arena.len());
        let arena = arena.get_mut(..needed).ok_or(EngineError::Arena { needed, given })?;
        let arena = <[i8]>::mut_from_bytes(arena).map_err(|_| EngineError::Arena { needed, given })?;
        if OPERATORS & model.target().bit() == 0 {
            return Err(EngineError::Target { found: model.target() });
        }
        for (index, step) in model.steps().enumerate() {
            perform::<OPERATORS>(&model, &step, Action::Check).map_err(|refusal| match refusal {
                Refusal::Target => EngineError::Target { found: model.target() },
                Refusal::Operator => EngineError::Operator { step: index, operator: step.operator },
                Refusal::Problem(problem) => EngineError::Step { step: index, problem },
            })?;
        }
        Ok(Self { model, arena })
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Runs the model on an input of `height * width * channels` int8 values, channels innermost.
    ///
    /// # Errors
    /// [`RunError::InputLength`] where the input has another length; the engine can be used again.
    pub fn run(&mut self, input: &[i8]) -> Result<Output<'_>, RunError> {
        self.run_observed(input, |_, _, _| {})
    }

    /// Runs the model and shows the output of each step, with the step's index, right after it was made.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_observed(
        &mut self,
        input: &[i8],
        observe: impl FnMut(usize, &Step<'m>, &[i8]),
    ) -> Result<Output<'_>, RunError> {
        let place = self.input_mut();
        if place.len() != input.len() {
            return Err(RunError::InputLength { expected: place.len(), found: input.len() });
        }
        for (to, &from) in place.iter_mut().zip(input) {
            *to = from;
        }
        self.run_in_place(observe)
    }

    /// Where the input lies in the arena: fill it, then call [`Engine::invoke`], to spare a copy. A run overwrites it.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let range = self.model.input().range().unwrap_or_default();
        self.arena.get_mut(range).unwrap_or_default()
    }

    /// Runs the model on what was written to [`Engine::input_mut`].
    ///
    /// # Errors
    /// None with a model that [`Engine::new`] took.
    pub fn invoke(&mut self) -> Result<Output<'_>, RunError> {
        self.run_in_place(|_, _, _| {})
    }

    /// As [`Engine::invoke`], and shows the output of each step as [`Engine::run_observed`] does.
    ///
    /// # Errors
    /// As [`Engine::invoke`].
    pub fn invoke_observed(
        &mut self,
        observe: impl FnMut(usize, &Step<'m>, &[i8]),
    ) -> Result<Output<'_>, RunError> {
        self.run_in_place(observe)
    }

    /// Runs the model on its own test input; whether the output is what the file says, `None` where it says nothing.
    ///
    /// # Errors
    /// As [`Engine::invoke`].
    pub fn self_test(&mut self) -> Result<Option<bool>, RunError> {
        let Some(expected) = self.model.self_test() else {
            return Ok(None);
        };
        for (to, from) in self.input_mut().iter_mut().zip(test_bytes(expected.seed)) {
            *to = from;
        }
        Ok(Some(self.invoke()?.values == expected.output))
    }

    fn run_in_place(
        &mut self,
        mut observe: impl FnMut(usize, &Step<'m>, &[i8]),
    ) -> Result<Output<'_>, RunError> {
        for (index, step) in self.model.steps().enumerate() {
            let output = self.model.tensor(step.output);
            let rows = 0..output.map_or(0, |output| usize::from(output.height));
            perform::<OPERATORS>(&self.model, &step, Action::Rows(self.arena, rows))
                .map_err(|_| RunError::Step { step: index })?;
            let made = output.and_then(|tensor| tensor.range());
            observe(index, &step, made.and_then(|range| self.arena.get(range)).unwrap_or_default());
        }
        let range = self.model.output().range().unwrap_or_default();
        Ok(Output { values: self.arena.get(range).unwrap_or_default(), model: self.model })
    }
}
