//! When each row of each tensor is born and when it is read for the last time, and the buffers that follow from it.

use ocelli_format::Reach;

use super::schedule::{Event, Stage, Way, events};
use super::steps::{Network, Order};

/// From the event at which a row is made to the last one that reads it.
pub(super) type Life = (u32, u32);

/// Memory for a tensor, or for several that lie in the same place one after another.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    /// Bytes of a row.
    pub row: usize,
    /// Row slots.
    pub slots: usize,
    /// The life of each row; row `y` is in slot `y % slots`.
    pub lives: Vec<Life>,
}

/// The lives of all rows under a division into stages.
#[derive(Clone, Debug)]
pub(super) struct Lives {
    /// All buffers: of tensors, then of scratch.
    pub buffers: Vec<Buffer>,
    /// The buffer of each tensor that is made or fed, by storage.
    pub of_tensor: Vec<Option<usize>>,
    /// The buffer of the memory that each step works in.
    pub of_scratch: Vec<Option<usize>>,
    /// What happens, in order; the event's time is its index.
    pub events: Vec<Event>,
}

const NEVER: Life = (u32::MAX, 0);

/// What a few stages find and leave.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// Tensors that are there from the start.
    pub given: Vec<usize>,
    /// Tensors that stay to the end.
    pub kept: Vec<usize>,
    /// Whether the input comes row by row during the first stage.
    pub arrivals: bool,
}

/// How rows come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// Whether the input comes row by row.
    pub by_rows: bool,
    /// How each step makes its rows.
    pub ways: Vec<Way>,
}

impl Flow {
    /// The ends of a whole network.
    pub fn ends(&self, network: &Network) -> Ends {
        let given = if self.by_rows { Vec::new() } else { vec![network.input] };
        Ends { given, kept: vec![network.storage(network.output)], arrivals: self.by_rows }
    }
}

/// Simulates stages; `None` where rows cannot flow through one of them.
pub(super) fn lives(network: &Network, stages: &[Stage], flow: &Flow) -> Option<Lives> {
    lives_between(network, stages, &flow.ends(network), &flow.ways)
}

/// Simulates a few stages of a network.
pub(super) fn lives_between(network: &Network, stages: &[Stage], ends: &Ends, ways: &[Way]) -> Option<Lives> {
    let mut all = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        all.extend(events(network, stage, index == 0 && ends.arrivals, ways)?);
    }
    let mut rows: Vec<Vec<Life>> = network.tensors.iter().map(|tensor| vec![NEVER; tensor.height]).collect();
    let end = all.len() as u32;
    for &tensor in &ends.given {
        rows[tensor].iter_mut().for_each(|life| *life = (0, 0));
    }
    let mut scratch: Vec<Vec<Life>> = vec![Vec::new(); network.steps.len()];
    for (time, event) in all.iter().enumerate() {
        let time = time as u32;
        match event {
            Event::Arrival(row) => rows[network.input][*row] = (time, time),
            Event::Rows { step: index, rows: made } => {
                let step = &network.steps[*index];
                if matches!(step.order, Order::Folds(_)) {
                    // Its first row lies all over the map.
                    let birth = |life: &Life| if made.start == 0 { time } else { life.0 };
                    rows[step.output].iter_mut().for_each(|life| *life = (birth(life), time));
                } else {
                    rows[step.output][made.clone()].iter_mut().for_each(|life| *life = (time, time));
                }
                for &(input, reach) in &step.inputs {
                    let storage = network.storage(input);
                    let read = if storage == input {
                        reach.rows(made.clone(), network.tensors[input].height)
                    } else {
                        0..network.tensors[storage].height
                    };
                    rows[storage][read].iter_mut().for_each(|life| life.1 = life.1.max(time));
                }
                if !step.scratch.is_empty() {
                    scratch[*index].push((time, time));
                }
            }
        }
    }
    for &tensor in &ends.kept {
        rows[tensor].iter_mut().for_each(|life| life.1 = end);
    }

    let whole = whole_tensors(network, stages, ends);
    let blocks = blocks(network);
    let unfolded: Vec<Option<usize>> =
        (0..network.steps.len()).map(|step| unfolded(network, stages, ends, &all, step)).collect();
    let mut lives = Lives {
        buffers: Vec::new(),
        of_tensor: vec![None; network.tensors.len()],
        of_scratch: vec![None; network.steps.len()],
        events: all,
    };
    // Whether a buffer is of a whole map, and whether a step that waits makes its rows.
    let mut kinds: Vec<[bool; 2]> = Vec::new();
    let mut together = vec![false; network.tensors.len()];
    for (step, way) in network.steps.iter().zip(ways) {
        together[step.output] = way.waits;
    }
    let mut add = |lives: &mut Lives, tensor: usize, of_rows: Vec<Life>| {
        let row = network.tensors[tensor].row;
        lives.buffers.push(Buffer { row, slots: 0, lives: of_rows });
        kinds.push([whole[tensor], together[tensor]]);
        lives.of_tensor[tensor] = Some(lives.buffers.len() - 1);
    };
    if ends.arrivals {
        add(&mut lives, network.input, rows[network.input].clone());
    }
    for &tensor in &ends.given {
        add(&mut lives, tensor, rows[tensor].clone());
    }
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for stage in stages {
        for index in stage.steps.clone() {
            let step = &network.steps[index];
            let output = step.output;
            let input = match step.order {
                Order::Folds(_) => unfolded[index],
                _ => step.inputs.first().map(|&(input, _)| network.storage(input)),
            };
            let place = input
                .filter(|_| step.in_place)
                .and_then(|input| lives.of_tensor[input].map(|at| (input, at)));
            let joins = place.filter(|&(input, buffer)| match step.order {
                Order::Folds(_) => lives.buffers[buffer]
                    .lives
                    .iter()
                    .map(|life| life.1)
                    .eq(rows[input].iter().map(|life| life.1)),
                _ => follows(
                    &lives.buffers[buffer],
                    &rows[output],
                    network.tensors[output].row,
                    stage.streamed,
                ),
            });
            match joins {
                Some((_, buffer)) => {
                    join(&mut lives.buffers[buffer], &rows[output]);
                    lives.of_tensor[output] = Some(buffer);
                    joined.push((buffer, output));
                }
                None => add(&mut lives, output, rows[output].clone()),
            }
        }
    }
    for (buffer, tensor) in joined {
        kinds[buffer][0] |= whole[tensor];
        kinds[buffer][1] |= together[tensor];
    }
    let mut block_of = vec![1; lives.buffers.len()];
    for (buffer, block) in lives.of_tensor.iter().zip(&blocks) {
        if let Some(buffer) = *buffer {
            block_of[buffer] = block_of[buffer].max(*block);
        }
    }
    for ((buffer, [whole, together]), block) in lives.buffers.iter_mut().zip(kinds).zip(block_of) {
        buffer.slots = if whole { buffer.lives.len() } else { least_slots(&buffer.lives, together, block) };
    }
    for (tensor, of) in network.tensors.iter().enumerate() {
        if of.storage != tensor {
            lives.of_tensor[tensor] = lives.of_tensor[of.storage];
        }
    }
    for (step, of_step) in scratch.into_iter().enumerate() {
        if !of_step.is_empty() {
            let row = network.steps[step].scratch[ways[step].scratch];
            lives.buffers.push(Buffer { row, slots: 1, lives: of_step });
            lives.of_scratch[step] = Some(lives.buffers.len() - 1);
        }
    }
    Some(lives)
}

/// Tensors of which every row has a place of its own: those that a later stage reads, or a step that makes all its rows at once, and those
/// that are reshaped, handed out, or fed as a frame.
fn whole_tensors(network: &Network, stages: &[Stage], ends: &Ends) -> Vec<bool> {
    let mut made_in = vec![None; network.tensors.len()];
    if ends.arrivals {
        made_in[network.input] = Some(0);
    }
    let mut whole = vec![false; network.tensors.len()];
    ends.given.iter().chain(&ends.kept).for_each(|&tensor| whole[tensor] = true);
    for (index, stage) in stages.iter().enumerate() {
        for step in &network.steps[stage.steps.clone()] {
            made_in[step.output] = Some(index);
            whole[step.output] |= !stage.streamed;
            for &(input, _) in &step.inputs {
                let storage = network.storage(input);
                whole[storage] |= storage != input || !stage.streamed || made_in[storage] != Some(index);
            }
        }
    }
    whole
}

/// Whether rows of an output may take the place of the rows in a buffer: each is made at the last event that reads the other.
fn follows(buffer: &Buffer, output: &[Life], row: usize, streamed: bool) -> bool {
    if buffer.lives.len() == output.len() && buffer.row == row {
        return buffer.lives.iter().zip(output).all(|(input, output)| input.1 == output.0);
    }
    let last = buffer.lives.iter().map(|life| life.1).max();
    !streamed
        && buffer.lives.len() * buffer.row == output.len() * row
        && last == output.first().map(|life| life.0)
}

/// Lets the rows of an output follow those in a buffer.
fn join(buffer: &mut Buffer, output: &[Life]) {
    if buffer.lives.len() == output.len() {
        buffer.lives.iter_mut().zip(output).for_each(|(life, output)| life.1 = output.1);
        return;
    }
    // Rows of another length: the buffer is one row from now on.
    let first = buffer.lives.iter().map(|life| life.0).min().unwrap_or(0);
    let last = output.iter().map(|life| life.1).max().unwrap_or(first);
    buffer.row *= buffer.lives.len();
    buffer.lives = vec![(first, last)];
}

/// The rows of each tensor that are read as blocks, which lie together.
fn blocks(network: &Network) -> Vec<usize> {
    let mut blocks = vec![1; network.tensors.len()];
    for &(input, reach) in network.steps.iter().flat_map(|step| &step.inputs) {
        if let Reach::Block(rows) = reach {
            blocks[input] = blocks[input].max(usize::from(rows));
        }
    }
    blocks
}

/// The map that a step's stage unfolds and that the step folds again, if it may lie in the map's place: of rows that it has folded, no
/// pixel of the map is read any more.
fn unfolded(network: &Network, stages: &[Stage], ends: &Ends, all: &[Event], fold: usize) -> Option<usize> {
    let order @ Order::Folds(patch) = network.steps[fold].order else { return None };
    let stage = stages.iter().find(|stage| stage.steps.contains(&fold))?;
    let (output, unfolds) = (&network.tensors[network.steps[fold].output], Order::Unfolds(patch));
    let map = network.steps[stage.steps.start..fold].iter().find(|step| step.order == unfolds)?.inputs[0].0;
    let of = &network.tensors[map];
    if of.storage != map || [of.height, of.row] != [output.height, output.row] || ends.kept.contains(&map) {
        return None;
    }
    let mut folded = 0;
    for event in all {
        let Event::Rows { step, rows } = event else { continue };
        let step = &network.steps[*step];
        let places = || step.inputs.iter().enumerate().filter(|(_, input)| network.storage(input.0) == map);
        if step.order == order && step.output == network.steps[fold].output {
            folded = rows.end;
        } else if folded > 0 && places().next().is_some() {
            let other_pixels =
                step.order == unfolds && rows.start >= folded && places().all(|(place, _)| place == 0);
            if !other_pixels {
                return None;
            }
        }
    }
    Some(map)
}

/// The fewest slots so that no row is written where one lies that is still to be read, a multiple of `block`. What a step waits to make
/// together lies together, too: a kernel would make it row by row.
fn least_slots(lives: &[Life], together: bool, block: usize) -> usize {
    let parted = |slots: usize| {
        let first_slots = (slots..lives.len()).step_by(slots);
        together && first_slots.into_iter().any(|row| lives[row - 1].0 == lives[row].0)
    };
    (1..lives.len())
        .filter(|&slots| slots.is_multiple_of(block) && !parted(slots))
        .find(|&slots| lives.iter().zip(&lives[slots..]).all(|(early, late)| early.1 < late.0))
        .unwrap_or(lives.len())
}

impl Lives {
    /// The least memory that any layout needs: bytes of rows that live at the same time, at most; and when.
    pub fn peak(&self) -> (usize, usize) {
        let mut change = vec![0isize; self.events.len() + 2];
        for buffer in &self.buffers {
            for &(birth, death) in &buffer.lives {
                if birth <= death {
                    change[birth as usize] += buffer.row as isize;
                    change[death as usize + 1] -= buffer.row as isize;
                }
            }
        }
        let (mut bytes, mut most, mut when) = (0, 0, 0);
        for (time, change) in change.iter().enumerate() {
            bytes += change;
            if bytes > most {
                (most, when) = (bytes, time);
            }
        }
        (most as usize, when)
    }
}
