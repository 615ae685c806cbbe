//! What lies where in the arena of a packed model, and when.

use std::ops::Range;

use ocelli_format::operator::PatchRecord;
use ocelli_format::{Feed, Model, Operator, Reach, Step as PackedStep};

use super::costs::Costs;
use super::lives::{Ends, Lives, lives_between};
use super::schedule::{Stage, Way, events};
use super::steps::{Network, Order, Step, Tensor};

/// A model's memory over time. A moment is a row of the input that comes, or a call of a kernel.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The stages, in order.
    pub stages: Vec<StageTime>,
    /// What lies in the arena.
    pub blocks: Vec<Block>,
    /// When most bytes are in use.
    pub peak: u32,
    /// The number of moments.
    pub end: u32,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTime {
    /// Its first step and the one after its last.
    pub steps: Range<usize>,
    /// Whether rows flow through it.
    pub streamed: bool,
    /// Its first moment and the one after its last.
    pub time: Range<u32>,
    /// Bytes in use during it, at most.
    pub peak_bytes: usize,
}

/// A row in the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index of the tensor.
    pub tensor: usize,
    /// First byte in the arena.
    pub offset: usize,
    /// Number of bytes.
    pub bytes: usize,
    /// From this moment.
    pub first: u32,
    /// To this moment.
    pub last: u32,
}

impl Timeline {
    /// The memory of a packed model over time; `None` where rows do not flow as its stages say.
    pub fn of(model: &Model<'_>) -> Option<Self> {
        let network = network(model);
        let stages = stages(model);
        let arrivals = model.feed() == Feed::Rows;
        let way = |step: PackedStep<'_>| Way { waits: step.flags & PackedStep::TOGETHER != 0, scratch: 0 };
        let ways: Vec<Way> = model.steps().map(way).collect();
        let given = if arrivals { Vec::new() } else { vec![network.input] };
        let ends = Ends { given, kept: vec![network.storage(network.output)], arrivals };
        let lives = lives_between(&network, &stages, &ends, &ways)?;
        let blocks = blocks(model, &network, &lives);
        let mut start = 0;
        let mut times = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let count = events(&network, stage, index == 0 && arrivals, &ways)?.len() as u32;
            times.push(start..start + count);
            start += count;
        }
        let timeline = Self { stages: Vec::new(), blocks, peak: lives.peak().1 as u32, end: start };
        let bytes = timeline.bytes();
        let stages = stages.into_iter().zip(times).map(|(stage, time)| StageTime {
            steps: stage.steps,
            streamed: stage.streamed,
            peak_bytes: bytes[time.start as usize..time.end as usize].iter().copied().max().unwrap_or(0),
            time,
        });
        Some(Self { stages: stages.collect(), ..timeline })
    }

    /// Bytes in use at each moment. Rows that take each other's place count twice at the moment when they do.
    pub fn bytes(&self) -> Vec<usize> {
        let mut change = vec![0isize; self.end as usize + 2];
        for block in &self.blocks {
            change[block.first as usize] += block.bytes as isize;
            change[(block.last as usize + 1).min(self.end as usize + 1)] -= block.bytes as isize;
        }
        let mut now = 0isize;
        let sum = |change: isize| {
            now += change;
            now.max(0) as usize
        };
        change.into_iter().map(sum).take(self.end as usize + 1).collect()
    }

    /// Tensors in use at a moment, with their bytes, the largest first.
    pub fn at(&self, moment: u32) -> Vec<(usize, usize)> {
        let mut tensors: Vec<(usize, usize)> = Vec::new();
        for block in self.blocks.iter().filter(|block| block.first <= moment && moment <= block.last) {
            match tensors.iter_mut().find(|(tensor, _)| *tensor == block.tensor) {
                Some((_, bytes)) => *bytes += block.bytes,
                None => tensors.push((block.tensor, block.bytes)),
            }
        }
        tensors.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        tensors
    }
}

/// What a packed model gives to simulate.
fn network(model: &Model<'_>) -> Network {
    let tensors = model.tensors();
    let index = |at: u16| usize::from(at);
    let is_end =
        |tensor: &ocelli_format::TensorInfo, end: &ocelli_format::TensorInfo| std::ptr::eq(tensor, end);
    let position =
        |end: &ocelli_format::TensorInfo| tensors.iter().position(|tensor| is_end(tensor, end)).unwrap_or(0);
    let input = position(model.input());
    let mut storage: Vec<usize> = (0..tensors.len()).collect();
    let mut made: Vec<usize> = vec![input];
    let mut steps = Vec::new();
    for (number, step) in model.steps().enumerate() {
        let output = &tensors[index(step.output)];
        let mut of_step = Step {
            node: number,
            inputs: Vec::new(),
            output: index(step.output),
            scratch: Vec::new(),
            costs: Costs::default(),
            in_place: false,
            whole: false,
            order: order(&step),
        };
        if let Order::Folds(_) = of_step.order {
            let unfolded = model.steps().take(number).filter(|other| other.operator == Operator::Unfold);
            let mut maps = unfolded.filter_map(|other| model.tensor(*other.inputs.first()?));
            of_step.in_place = maps.any(|map| map.offset == output.offset);
        }
        for (place, &input) in step.inputs.iter().enumerate() {
            let tensor = &tensors[index(input)];
            if tensor.constant != 0 {
                continue;
            }
            let reach = step.reach(place, tensor, output);
            if reach == Reach::Scratch {
                of_step.scratch.push(tensor.len());
                continue;
            }
            if !made.contains(&index(input)) {
                // No step makes it: it is a reshape of what was made last in its place.
                let of = made.iter().rev().find(|&&other| tensors[other].offset == tensor.offset);
                storage[index(input)] = of.map_or(index(input), |&other| storage[other]);
            }
            of_step.inputs.push((index(input), reach));
        }
        made.push(index(step.output));
        steps.push(of_step);
    }
    let output = position(model.output());
    if !made.contains(&output) {
        let of = made.iter().rev().find(|&&other| tensors[other].offset == tensors[output].offset);
        storage[output] = of.map_or(output, |&other| storage[other]);
    }
    let tensor = |(tensor, &storage): (&ocelli_format::TensorInfo, &usize)| Tensor {
        height: tensor.height.into(),
        row: tensor.row_len(),
        storage,
    };
    Network {
        tensors: tensors.iter().zip(&storage).map(tensor).collect(),
        steps,
        input,
        output,
        at_once: ocelli::rows_at_once(model.target()),
    }
}

/// What a step does to the order of pixels.
fn order(step: &PackedStep<'_>) -> Order {
    let patch = || step.record::<PatchRecord>().map(|record| record.patch.map(usize::from));
    match (step.operator, patch()) {
        (Operator::Unfold, Some(patch)) => Order::Unfolds(patch),
        (Operator::Fold, Some(patch)) => Order::Folds(patch),
        _ => Order::Kept,
    }
}

/// The stages that the flags of the steps say.
fn stages(model: &Model<'_>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (index, step) in model.steps().enumerate() {
        match stages.last_mut() {
            Some(stage) if step.flags & PackedStep::CONTINUES != 0 => stage.steps.end = index + 1,
            _ => {
                let output = model.tensor(step.output);
                let streamed = output.is_some_and(|of| of.counter != ocelli_format::TensorInfo::COMPLETE);
                stages.push(Stage { steps: index..index + 1, streamed });
            }
        }
    }
    stages
}

/// Each row and each step's scratch in its place.
fn blocks(model: &Model<'_>, network: &Network, lives: &Lives) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut drawn = vec![false; lives.buffers.len()];
    for (index, tensor) in model.tensors().iter().enumerate() {
        let Some(buffer) = lives.of_tensor[index].filter(|_| network.storage(index) == index) else {
            continue;
        };
        if std::mem::replace(&mut drawn[buffer], true) {
            continue;
        }
        let slots = usize::from(tensor.slots);
        for (row, &(first, last)) in lives.buffers[buffer].lives.iter().enumerate() {
            let offset = tensor.offset as usize + row % slots * tensor.row_len();
            blocks.push(Block { tensor: index, offset, bytes: tensor.row_len(), first, last });
        }
    }
    for (number, step) in model.steps().enumerate() {
        let scratch = step.inputs.iter().enumerate().find_map(|(place, &input)| {
            let (tensor, output) = (model.tensor(input)?, model.tensor(step.output)?);
            (step.reach(place, tensor, output) == Reach::Scratch).then_some((input, tensor))
        });
        if let (Some((input, tensor)), Some(buffer)) = (scratch, lives.of_scratch[number]) {
            let of = &lives.buffers[buffer].lives;
            blocks.extend(of.iter().map(|&(first, last)| Block {
                tensor: usize::from(input),
                offset: tensor.offset as usize,
                bytes: tensor.len(),
                first,
                last,
            }));
        }
    }
    blocks
}
