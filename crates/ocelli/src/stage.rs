//! Rows flow through a stage: each step makes its next rows as soon as the rows that they are made from are there.

use core::ops::Range;

use ocelli_format::{Model, Operator, Step, Steps, TensorInfo};
use zerocopy::little_endian::U16;

use crate::error::RunError;
use crate::memory::place;
use crate::steps::{Action, perform};

/// Numbers of rows made, by [`TensorInfo::counter`].
#[derive(Debug)]
pub(crate) struct Counters<'a>(pub &'a mut [U16]);

impl Counters<'_> {
    /// The rows that are made of a tensor.
    #[inline]
    fn made(&self, tensor: &TensorInfo) -> usize {
        self.0.get(usize::from(tensor.counter)).map_or(usize::from(tensor.height), |made| made.get().into())
    }

    /// Sets the number of rows that are made; at most the tensor's height.
    #[inline]
    pub fn set(&mut self, tensor: &TensorInfo, rows: usize) {
        if let Some(made) = self.0.get_mut(usize::from(tensor.counter)) {
            made.set(rows as u16);
        }
    }
}

/// What a model runs on.
pub(crate) struct Machine<'m, 's> {
    pub model: &'s Model<'m>,
    pub maps: &'s mut [i8],
    pub counters: Counters<'s>,
    /// What [`Step::TOGETHER`] says for the model's target.
    pub rows_at_once: usize,
}

/// Steps through which rows flow together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage<'m> {
    /// The first step and those after it.
    steps: Steps<'m>,
    /// The first step's index.
    first: usize,
}

/// What a step can make next.
struct Ready {
    /// The end of the rows; where that of the rows that are made is, if it waits.
    end: usize,
    /// Whether it waits for certain once it made them: it slides over an input of which they see the last row that there is.
    exhausts: bool,
}

/// What became of a step.
enum Progress {
    /// It made rows; whether it can make more of what there is.
    Made { more: bool },
    /// It waits for rows, or is done.
    Waits,
}

impl<'m> Stage<'m> {
    /// The first stage of a model.
    pub fn first(model: &Model<'m>) -> Self {
        Self { steps: model.steps(), first: 0 }
    }

    /// Its steps, with their indices.
    fn steps(&self) -> impl Iterator<Item = (usize, Step<'m>)> + use<'m> {
        let starts_next = |offset: usize, step: &Step<'_>| offset > 0 && step.flags & Step::CONTINUES == 0;
        let steps = self.steps.enumerate().take_while(move |(offset, step)| !starts_next(*offset, step));
        let first = self.first;
        steps.map(move |(offset, step)| (first.wrapping_add(offset), step))
    }

    /// Whether rows flow through it, or its one step makes all of its output at once.
    pub fn is_streamed(&self, model: &Model<'m>) -> bool {
        let step = self.steps.clone().next();
        let output = step.and_then(|step| model.tensor(step.output));
        output.is_some_and(|output| output.counter != TensorInfo::COMPLETE)
    }

    /// The stage after it.
    pub fn next(&self) -> Option<Self> {
        let mut rest = *self;
        loop {
            rest.steps.next()?;
            rest.first = rest.first.wrapping_add(1);
            if rest.steps.clone().next()?.flags & Step::CONTINUES == 0 {
                return Some(rest);
            }
        }
    }

    /// Makes all rows that can be made: the last step that can make more goes on with the steps after it, before those before it make new
    /// rows, so that few rows wait. `started` says that nothing was ready but what the rows make so that are new since the last call.
    #[inline(never)]
    pub fn advance<const OPERATORS: u64>(
        &self,
        machine: &mut Machine<'m, '_>,
        started: bool,
        observe: &mut impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<(), RunError> {
        // Steps up to this one may be ready without news of the steps before them.
        let mut ready = if started { self.first } else { usize::MAX };
        // The steps to go through: those from a step on.
        let mut from = *self;
        // Whether steps before `from` may be ready, too.
        let mut earlier = false;
        loop {
            let mut again = None;
            let mut rest = from;
            loop {
                let (at, index) = (rest, rest.first);
                let Some(step) = rest.steps.next() else { break };
                if index > self.first && step.flags & Step::CONTINUES == 0 {
                    break;
                }
                rest.first = index.wrapping_add(1);
                let mut shown = |rows: Range<usize>, values: &[i8]| observe(index, &step, rows, values);
                match machine.next_rows::<OPERATORS>(&step, &mut shown) {
                    Some(Progress::Made { more: true }) => earlier |= again.replace(at).is_some(),
                    Some(Progress::Made { more: false }) => {}
                    Some(Progress::Waits) if step.flags & Step::ALONE != 0 && index >= ready => break,
                    Some(Progress::Waits) => {}
                    None => return Err(RunError::Step { step: index }),
                }
            }
            match again {
                Some(at) => (from, ready) = (at, at.first),
                None if earlier => (from, ready, earlier) = (*self, from.first, false),
                None => return Ok(()),
            }
        }
    }

    /// Makes all rows, and sees that none is missing.
    pub fn finish<const OPERATORS: u64>(
        &self,
        machine: &mut Machine<'m, '_>,
        observe: &mut impl FnMut(usize, &Step<'m>, Range<usize>, &[i8]),
    ) -> Result<(), RunError> {
        self.advance::<OPERATORS>(machine, false, observe)?;
        for (index, step) in self.steps() {
            let output = machine.model.tensor(step.output).ok_or(RunError::Step { step: index })?;
            if machine.counters.made(output) != usize::from(output.height) {
                return Err(RunError::Step { step: index });
            }
        }
        Ok(())
    }
}

impl<'m> Machine<'m, '_> {
    /// Makes a step's next rows if what they are made from is there.
    #[inline]
    fn next_rows<const OPERATORS: u64>(
        &mut self,
        step: &Step<'m>,
        show: &mut impl FnMut(Range<usize>, &[i8]),
    ) -> Option<Progress> {
        let output = self.model.tensor(step.output)?;
        let height = usize::from(output.height);
        let streamed = output.counter != TensorInfo::COMPLETE;
        let made = if streamed { self.counters.made(output) } else { 0 };
        let Ready { end, exhausts } = match streamed {
            true => self.ready(step, output, made)?,
            false => Ready { end: height, exhausts: true },
        };
        if end == made {
            return Some(Progress::Waits);
        }
        let mut done = made;
        while done < end {
            // As many as lie together: a ring may start anew between them.
            let slots = usize::from(output.slots);
            let slot = if done < slots { done } else { done.checked_rem(slots)? };
            let rows = done..done.wrapping_add(slots.wrapping_sub(slot)).min(end);
            done = rows.end;
            perform::<OPERATORS>(self.model, step, Action::Rows(self.maps, rows.clone())).ok()?;
            if step.operator != Operator::Fold {
                let together = place(output, &rows)?;
                show(rows, self.maps.get(together)?);
            } else if done < height {
                // Its rows lie all over the map.
                show(rows, &[]);
            } else {
                show(0..height, self.maps.get(output.range()?)?);
            }
        }
        self.counters.set(output, end);
        let more = streamed && !exhausts && self.ready(step, output, end)?.end != end;
        Some(Progress::Made { more })
    }

    /// What can be made of a step's output after the rows that are `made`.
    #[inline(never)]
    fn ready(&self, step: &Step<'m>, output: &TensorInfo, made: usize) -> Option<Ready> {
        let count = if step.flags & Step::TOGETHER != 0 { self.rows_at_once } else { 1 };
        let height = usize::from(output.height);
        let end = made.wrapping_add(count).min(height);
        let mut exhausts = false;
        if end <= made {
            return Some(Ready { end: made, exhausts });
        }
        for (index, &input) in step.inputs.iter().enumerate() {
            let input = self.model.tensor(input)?;
            if input.counter == TensorInfo::COMPLETE {
                continue;
            }
            let (there, height) = (self.counters.made(input), usize::from(input.height));
            if there < height {
                let (needed, slides) = step.needs(index, input, output, end);
                if needed > there {
                    return Some(Ready { end: made, exhausts });
                }
                exhausts |= slides && needed == there;
            }
        }
        Some(Ready { end, exhausts })
    }
}
