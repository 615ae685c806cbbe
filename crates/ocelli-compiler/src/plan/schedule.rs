//! What the engine does, and when: the order in which rows of a stage are made, as [`ocelli::Engine`] makes them.

use std::ops::Range;

use super::steps::{Network, Order};

/// Something that happens to rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A row of the input comes.
    Arrival(usize),
    /// A step makes rows.
    Rows {
        /// The step.
        step: usize,
        /// The rows of its output.
        rows: Range<usize>,
    },
}

/// Steps that follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// The steps.
    pub steps: Range<usize>,
    /// Whether rows flow through it; else it is one step that makes all rows at once.
    pub streamed: bool,
}

/// How a step makes its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// Whether it waits until it can make as many rows as the target likes to make at once; else it makes them one by one.
    pub waits: bool,
    /// Which of [`Step::scratch`](super::steps::Step::scratch) it works in.
    pub scratch: usize,
}

/// The events of a stage; `None` where rows cannot flow through it. `arrivals` says that the input comes row by row during this stage,
/// `ways` how each step of the network makes its rows.
pub(super) fn events(network: &Network, stage: &Stage, arrivals: bool, ways: &[Way]) -> Option<Vec<Event>> {
    let height = |tensor: usize| network.tensors[tensor].height;
    let input_height = height(network.input);
    if !stage.streamed {
        let output = network.steps[stage.steps.start].output;
        let all = Event::Rows { step: stage.steps.start, rows: 0..height(output) };
        let come = (0..if arrivals { input_height } else { 0 }).map(Event::Arrival);
        return Some(come.chain([all]).collect());
    }
    if stage
        .steps
        .clone()
        .any(|step| network.steps[step].whole || breaks_rows(network, stage, arrivals, step))
    {
        return None;
    }
    let mut flow = Flow::new(network, stage, arrivals, ways);
    for row in 0..if arrivals { input_height } else { 0 } {
        flow.events.push(Event::Arrival(row));
        flow.made[network.input] = Some(row + 1);
        flow.advance();
    }
    flow.advance();
    let done = stage.steps.clone().all(|step| {
        let output = network.steps[step].output;
        flow.made[output] == Some(height(output))
    });
    done.then_some(flow.events)
}

/// Whether a step reads a reshape of what its stage makes or of an input that comes row by row, or a map that its stage folds, so that it could
/// not tell when its rows are there.
fn breaks_rows(network: &Network, stage: &Stage, arrivals: bool, step: usize) -> bool {
    network.steps[step].inputs.iter().any(|&(input, _)| {
        let storage = network.storage(input);
        let reshapes_arrivals = arrivals && storage == network.input && storage != input;
        reshapes_arrivals
            || stage.steps.clone().map(|maker| &network.steps[maker]).any(|maker| {
                let folds = matches!(maker.order, Order::Folds(_));
                network.storage(maker.output) == storage && (storage != input || folds)
            })
    })
}

/// A stage in motion.
struct Flow<'n> {
    network: &'n Network,
    steps: Range<usize>,
    ways: &'n [Way],
    /// Rows made of the tensors that the stage makes, and of the input where it comes row by row; `None` for others, which are complete.
    made: Vec<Option<usize>>,
    events: Vec<Event>,
}

impl<'n> Flow<'n> {
    fn new(network: &'n Network, stage: &Stage, arrivals: bool, ways: &'n [Way]) -> Self {
        let mut made = vec![None; network.tensors.len()];
        for step in stage.steps.clone() {
            made[network.steps[step].output] = Some(0);
        }
        if arrivals {
            made[network.input] = Some(0);
        }
        Self { network, steps: stage.steps.clone(), ways, made, events: Vec::new() }
    }

    /// Makes all rows that can be made: each step in turn its next ones, again and again; the last one that can make more goes on with the
    /// steps after it, before those before it make new rows.
    fn advance(&mut self) {
        let mut from = self.steps.start;
        let mut earlier = false;
        loop {
            let mut again = None;
            for step in from..self.steps.end {
                let output = self.network.steps[step].output;
                let made = self.made[output].unwrap_or(0);
                let end = self.ready(step, made);
                if end == made {
                    continue;
                }
                self.events.push(Event::Rows { step, rows: made..end });
                self.made[output] = Some(end);
                if self.ready(step, end) != end {
                    earlier |= again.replace(step).is_some();
                }
            }
            match again {
                Some(step) => from = step,
                None if earlier => (from, earlier) = (self.steps.start, false),
                None => return,
            }
        }
    }

    /// The end of the rows from `made` on that a step makes next, if it can make them now; else `made`.
    fn ready(&self, step: usize, made: usize) -> usize {
        let network = self.network;
        let count = if self.ways[step].waits { network.at_once } else { 1 };
        let step = &network.steps[step];
        let end = (made + count).min(network.tensors[step.output].height);
        let there = step.inputs.iter().all(|&(input, reach)| {
            let rows = reach.rows(made..end, network.tensors[input].height);
            self.made[input].is_none_or(|there| rows.end <= there)
        });
        if there { end } else { made }
    }
}
