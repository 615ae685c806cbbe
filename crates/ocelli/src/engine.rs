//! Running a model on an arena.

use core::ops::Range;

use ocelli_format::{Feed, Model, Step, operator, test_bytes};
use zerocopy::FromBytes;
use zerocopy::little_endian::U16;

use crate::error::{EngineError, RunError};
use crate::memory::place;
use crate::output::Output;
use crate::stage::{Counters, Machine, Stage};
use crate::steps::{Action, Refusal, perform, rows_at_once};

/// A model and the memory to run it in.
///
/// The input comes as a whole ([`Engine::run`]), or row by row as a camera gives it ([`Engine::push_row`], [`Engine::push_pixels`] or
/// [`Engine::input_row`] and [`Engine::push`], then [`Engine::finish`]), whatever the model was packed for; one that was packed to be fed as
/// a frame starts when all rows are there.
///
/// `OPERATORS` is the set of [operators](crate::operator), [targets](crate::Target) and targets' kernels that are linked: a model's own
/// ([`IncludedModel::operators`]) or [`operator::ALL`](crate::operator::ALL).
///
/// [`IncludedModel::operators`]: crate::IncludedModel::operators
#[derive(Debug)]
pub struct Engine<'m, 'a, const OPERATORS: u64> {
    model: Model<'m>,
    maps: &'a mut [i8],
    counters: Counters<'a>,
    /// Rows of the input that came.
    pushed: usize,
}

impl<'m: 'a, 'a, const OPERATORS: u64> Engine<'m, 'a, OPERATORS> {
    /// Checks every step of the model and takes an arena of at least [`Model::arena_bytes`].
    ///
    /// # Errors
    /// [`EngineError`] where the arena is too small, the engine was built without the kernels of the model's target, or a step cannot run.
    pub fn new(model: Model<'m>, arena: &'a mut [u8]) -> Result<Self, EngineError> {
        let (needed, given) = (model.arena_bytes(), arena.len());
        let too_small = EngineError::Arena { needed, given };
        let arena = arena.get_mut(..needed).ok_or(too_small)?;
        let (maps, counters) = arena.split_at_mut_checked(model.map_bytes()).ok_or(too_small)?;
        let maps = <[i8]>::mut_from_bytes(maps).map_err(|_| too_small)?;
        let (counters, _) =
            <[U16]>::mut_from_prefix_with_elems(counters, model.counters()).map_err(|_| too_small)?;
        let target = model.operators() & !operator::OPERATORS;
        if OPERATORS & target != target {
            return Err(EngineError::Target { found: model.target() });
        }
        for (index, step) in model.steps().enumerate() {
            perform::<OPERATORS>(&model, &step, Action::Check).map_err(|refusal| match refusal {
                Refusal::Target => EngineError::Target { found: model.target() },
                Refusal::Operator => EngineError::Operator { step: index, operator: step.operator },
                Refusal::Problem(problem) => EngineError::Step { step: index, problem },
            })?;
        }
        let mut engine = Self { model, maps, counters: Counters(counters), pushed: 0 };
        engine.restart();
        Ok(engine)
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Forgets the rows that came: the next one is the first of a frame.
    pub fn restart(&mut self) {
        self.pushed = 0;
        for counter in self.counters.0.iter_mut() {
            counter.set(0);
        }
    }

    /// Runs the model on an input of `height * width * channels` int8 values, channels innermost. Rows pushed before are forgotten.
    ///
    /// # Errors
    /// [`RunError::InputLength`] where the input has another length; the engine can be used again.
    pub fn run(&mut self, input: &[i8]) -> Result<Output<'_>, RunError> {
        self.run_observed(input, silent)
    }

    /// Runs the model and shows rows of each step's output right after they were made: the step's index, the step, which rows, and their
    /// values. Rows of a map that is folded have none, until it is whole.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_observed(
        &mut self,
        input: &[i8],
        mut observe: impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<Output<'_>, RunError> {
        let tensor = self.model.input();
        if tensor.len() != input.len() || tensor.is_empty() {
            return Err(RunError::InputLength { expected: tensor.len(), found: input.len() });
        }
        self.restart();
        for row in input.chunks_exact(tensor.row_len().max(1)) {
            self.fill_row(row)?;
            self.push_observed(&mut observe)?;
        }
        self.finish_observed(&mut observe)
    }

    /// Where the whole input lies in the arena: fill it, then call [`Engine::invoke`], to spare a copy. A run overwrites it. It is empty
    /// where the model was packed to be fed by rows.
    pub fn input_mut(&mut self) -> &mut [i8] {
        let range = match self.model.feed() {
            Feed::Frame => self.model.input().range(),
            Feed::Rows => None,
        };
        self.maps.get_mut(range.unwrap_or_default()).unwrap_or_default()
    }

    /// Runs the model on what was written to [`Engine::input_mut`].
    ///
    /// # Errors
    /// [`RunError::MissingRows`] where the model was packed to be fed by rows.
    pub fn invoke(&mut self) -> Result<Output<'_>, RunError> {
        let expected = usize::from(self.model.input().height);
        if self.model.feed() != Feed::Frame {
            return Err(RunError::MissingRows { expected, found: self.pushed });
        }
        self.restart();
        self.pushed = expected;
        self.finish()
    }

    /// Takes the next row of the input, `width * channels` int8 values, and makes of it what can be made.
    ///
    /// # Errors
    /// [`RunError::RowLength`] and [`RunError::TooManyRows`]; the rows before stay.
    pub fn push_row(&mut self, row: &[i8]) -> Result<(), RunError> {
        self.fill_row(row)?;
        self.push()
    }

    /// Where the next row of the input goes: fill it, then call [`Engine::push`], to spare a copy. `None` where all rows came.
    pub fn input_row(&mut self) -> Option<&mut [i8]> {
        let input = self.model.input();
        if self.pushed >= usize::from(input.height) {
            return None;
        }
        self.maps.get_mut(place(input, &(self.pushed..self.pushed.wrapping_add(1)))?)
    }

    /// Takes what was written to [`Engine::input_row`] as the next row of the input, and makes of it what can be made.
    ///
    /// # Errors
    /// [`RunError::TooManyRows`] where all rows came already.
    pub fn push(&mut self) -> Result<(), RunError> {
        self.push_observed(&mut silent)
    }

    /// The output, after all rows of the input came. The next row is the first of another frame, also after an error.
    ///
    /// # Errors
    /// [`RunError::MissingRows`].
    pub fn finish(&mut self) -> Result<Output<'_>, RunError> {
        self.finish_observed(&mut silent)
    }

    /// Runs the model on its own test input; whether the output is what the file says, `None` where it says nothing.
    ///
    /// # Errors
    /// None with a model that [`Engine::new`] took.
    pub fn self_test(&mut self) -> Result<Option<bool>, RunError> {
        let Some(expected) = self.model.self_test() else {
            return Ok(None);
        };
        self.restart();
        let mut values = test_bytes(expected.seed);
        while let Some(row) = self.input_row() {
            for (to, from) in row.iter_mut().zip(&mut values) {
                *to = from;
            }
            self.push()?;
        }
        Ok(Some(self.finish()?.values == expected.output))
    }

    fn fill_row(&mut self, row: &[i8]) -> Result<(), RunError> {
        let (expected, rows) = (self.model.input().row_len(), usize::from(self.model.input().height));
        if row.len() != expected {
            return Err(RunError::RowLength { expected, found: row.len() });
        }
        let place = self.input_row().ok_or(RunError::TooManyRows { expected: rows })?;
        for (to, &from) in place.iter_mut().zip(row) {
            *to = from;
        }
        Ok(())
    }

    /// As [`Engine::push`], and shows rows as [`Engine::run_observed`] does.
    ///
    /// # Errors
    /// As [`Engine::push`].
    pub fn push_observed(
        &mut self,
        observe: &mut impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<(), RunError> {
        let input = self.model.input();
        if self.pushed >= usize::from(input.height) {
            return Err(RunError::TooManyRows { expected: input.height.into() });
        }
        let started = self.pushed > 0;
        self.pushed = self.pushed.wrapping_add(1);
        if self.model.feed() == Feed::Frame {
            return Ok(());
        }
        self.counters.set(input, self.pushed);
        let stage = Stage::first(&self.model);
        if stage.is_streamed(&self.model) {
            stage
                .advance::<OPERATORS>(&mut self.machine(), started, observe)
                .inspect_err(|_| self.restart())?;
        }
        Ok(())
    }

    /// As [`Engine::finish`], and shows rows as [`Engine::run_observed`] does.
    ///
    /// # Errors
    /// As [`Engine::finish`].
    pub fn finish_observed(
        &mut self,
        observe: &mut impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<Output<'_>, RunError> {
        let (expected, found) = (usize::from(self.model.input().height), self.pushed);
        let made = if found == expected {
            self.finish_stages(observe)
        } else {
            Err(RunError::MissingRows { expected, found })
        };
        self.restart();
        made?;
        let range = self.model.output().range().unwrap_or_default();
        Ok(Output { values: self.maps.get(range).unwrap_or_default(), model: &self.model })
    }

    fn finish_stages(
        &mut self,
        observe: &mut impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<(), RunError> {
        let mut stage = Some(Stage::first(&self.model));
        while let Some(current) = stage {
            current.finish::<OPERATORS>(&mut self.machine(), observe)?;
            stage = current.next();
        }
        Ok(())
    }

    fn machine(&mut self) -> Machine<'m, '_> {
        let rows_at_once = rows_at_once(self.model.target());
        Machine { model: &self.model, maps: self.maps, counters: Counters(self.counters.0), rows_at_once }
    }
}

/// Observes nothing. One function, so that all runs that nobody observes are compiled once.
fn silent(_: usize, _: &Step<'_>, _: Range<usize>, _: &[i8]) {}
