//! Where each tensor lies in the arena and in which order rows are made, laid out before the model is packed.
//!
//! A plan divides the steps into stages. Through a *streamed* stage rows flow: each step makes its next row as soon as the rows that it is made
//! from are there, so that most maps are rings of a few rows. Any other stage is one step that makes all its rows. What is read across an end
//! of stages lies there whole.
//!
//! The planner knows the engine's order (`schedule`), and from it when each row is born and when it is read for the last time (`lives`). Two
//! tensors may lie in the same bytes wherever their rows do not live at the same time (`place`): an output moves into the rows of its
//! input as they become of no use.

mod apart;
mod by_head;
mod by_sequence;
mod costs;
mod lives;
mod place;
mod schedule;
mod search;
mod stages;
mod steps;
#[cfg(test)]
mod tests;
pub mod timeline;

pub use apart::plan_for;

use std::ops::Range;

use ocelli_format::{Feed, Step};

use crate::graph::TensorId;
use crate::quantized::QuantizedGraph;
use lives::{Flow, Lives};
use place::Effort;
use schedule::Stage;
use steps::Network;

/// What matters most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimize {
    /// The fewest instructions: every map is whole.
    #[default]
    Speed,
    /// The smallest arena that costs few instructions: that steps are called for each few rows, and what they take more to need less memory, is
    /// at most about 3 % of all, or nothing is done that costs more. With a limit, the fewest instructions that were found for an arena so small.
    Memory,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// How the input arrives.
    pub feed: Feed,
    /// What matters most.
    pub optimize: Optimize,
    /// Bytes that the arena may have at most: the fastest plan is taken that has no more.
    pub arena_limit: Option<usize>,
}

/// Memory and order of execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the input arrives.
    pub feed: Feed,
    /// The place of each tensor, by [`TensorId`]; `None` for constants and tensors that nothing uses.
    pub places: Vec<Option<Place>>,
    /// The bytes of the arena that each node works in, by its index; `None` for those that need none.
    pub scratch: Vec<Option<Range<usize>>>,
    /// The [flags](ocelli_format::Step::CONTINUES) of each node's step.
    pub flags: Vec<u8>,
    /// Bytes of the arena, counters included.
    pub arena_bytes: usize,
    /// Number of counters of rows.
    pub counters: usize,
    /// Index of the node at which most bytes are in use.
    pub busiest: usize,
    /// The bytes in use then: no layout takes less.
    pub peak_bytes: usize,
    /// The tensors of which rows are in use then, and their bytes, the largest first; of those that lie in one place, the first.
    pub peak_tensors: Vec<(TensorId, usize)>,
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First byte in the arena.
    pub offset: usize,
    /// Rows that there is memory for.
    pub slots: usize,
    /// Index of its counter of rows, if it is made row by row.
    pub counter: Option<usize>,
}

/// The fastest plan, for an input that is fed as a frame: every map is whole.
pub fn plan(graph: &QuantizedGraph) -> Plan {
    plan_with(graph, &PlanOptions::default())
}

/// The best plan under options. Where no plan keeps to the limit, it is the one that needs the least.
pub fn plan_with(graph: &QuantizedGraph, options: &PlanOptions) -> Plan {
    planned(graph, options, 0)
}

/// As [`plan_with`], for a network that takes some instructions more than another for the same target.
fn planned(graph: &QuantizedGraph, options: &PlanOptions, cost: u64) -> Plan {
    let network = Network::of(graph);
    let found = search::search(&network, options, cost).expect("a plan of whole maps is always possible");
    laid_out(graph, &network, &found.stages, &found.flow)
        .expect("rows flow through the stages that were found")
}

/// The plan of a division into stages; `None` where rows cannot flow through one of them.
fn laid_out(graph: &QuantizedGraph, network: &Network, stages: &[Stage], flow: &Flow) -> Option<Plan> {
    let lives = lives::lives(network, stages, flow)?;
    let (offsets, bytes) = place::place(&lives.buffers, Effort::Full);
    let mut counters = 0;
    let mut next_counter = |streamed: bool| {
        streamed.then(|| {
            counters += 1;
            counters - 1
        })
    };
    let mut places = vec![None; network.tensors.len()];
    let place_of = |lives: &Lives, tensor: usize, counter: Option<usize>| {
        let buffer = lives.of_tensor[tensor]?;
        let of = &lives.buffers[buffer];
        let height = network.tensors[tensor].height;
        let slots = if of.slots == of.lives.len() { height } else { of.slots };
        Some(Place { offset: offsets[buffer], slots, counter })
    };
    let arrives = flow.by_rows && stages.first().is_some_and(|stage| stage.streamed);
    places[network.input] = place_of(&lives, network.input, next_counter(arrives));
    let mut flags = vec![0; graph.nodes.len()];
    for stage in stages {
        for index in stage.steps.clone() {
            let step = &network.steps[index];
            places[step.output] = place_of(&lives, step.output, next_counter(stage.streamed));
            let flags = &mut flags[step.node];
            if index > stage.steps.start {
                *flags |= Step::CONTINUES;
            }
            if flow.ways[index].waits {
                *flags |= Step::TOGETHER;
            }
            if stage.streamed && is_alone(network, stage, index) {
                *flags |= Step::ALONE;
            }
        }
    }
    for (tensor, of) in network.tensors.iter().enumerate() {
        if of.storage != tensor {
            places[tensor] = place_of(&lives, tensor, None);
        }
    }
    let mut scratch = vec![None; graph.nodes.len()];
    for (step, buffer) in network.steps.iter().zip(&lives.of_scratch) {
        scratch[step.node] = buffer.map(|at| offsets[at]..offsets[at] + lives.buffers[at].row);
    }
    let (peak_bytes, when) = lives.peak();
    Some(Plan {
        feed: if flow.by_rows { Feed::Rows } else { Feed::Frame },
        places,
        scratch,
        flags,
        arena_bytes: bytes + 2 * counters,
        counters,
        busiest: busiest(network, &lives, when),
        peak_bytes,
        peak_tensors: in_use(network, &lives, when),
    })
}

/// The tensors of which rows are in use at a time, and their bytes, the largest first.
fn in_use(network: &Network, lives: &Lives, when: usize) -> Vec<(TensorId, usize)> {
    let mut seen = vec![false; lives.buffers.len()];
    let mut tensors = Vec::new();
    for tensor in 0..network.tensors.len() {
        let Some(index) = lives.of_tensor[tensor].filter(|&buffer| !seen[buffer]) else { continue };
        seen[index] = true;
        let buffer = &lives.buffers[index];
        let is_there = |life: &&(u32, u32)| life.0 as usize <= when && when <= life.1 as usize;
        let bytes = buffer.lives.iter().filter(is_there).count() * buffer.row;
        if bytes > 0 {
            tensors.push((TensorId(tensor), bytes));
        }
    }
    tensors.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    tensors
}

/// The node that makes rows at a time, or the next one that does.
fn busiest(network: &Network, lives: &Lives, when: usize) -> usize {
    let from = when.min(lives.events.len());
    let step = lives.events[from..].iter().find_map(|event| match event {
        schedule::Event::Rows { step, .. } => Some(*step),
        schedule::Event::Arrival(_) => None,
    });
    step.map_or(0, |step| network.steps[step].node)
}

/// Whether later steps of a stage see through a step's output alone what comes or is made before it in the stage.
fn is_alone(network: &Network, stage: &Stage, index: usize) -> bool {
    let made_before = |tensor: usize| {
        tensor == network.input
            || network.steps[stage.steps.start..index].iter().any(|step| step.output == tensor)
    };
    let later = &network.steps[index + 1..stage.steps.end];
    !later.iter().any(|step| step.inputs.iter().any(|&(input, _)| made_before(input)))
}
