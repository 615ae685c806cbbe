//! Which stages there are, and how steps make their rows: the smallest arena for a few instructions more, or the fewest instructions in
//! an arena of a given size.

use std::cmp::Reverse;

use super::Optimize;
use super::costs::{CALL, Costs};
use super::lives::{self, Flow};
use super::place::{self, Effort};
use super::schedule::{Stage, Way};
use super::stages::{self, Need};
use super::steps::{Network, Step};
use super::{Plan, PlanOptions};
use crate::quantized::QuantizedGraph;
use ocelli_format::Feed;

/// Moves that are compared to undo one of them: those that cost most.
const CONSIDERED: usize = 12;

/// Instructions that the smallest arena may cost, in thousandths of those of the fastest plan, calls of steps for each few rows included.
const BUDGET: u64 = 30;

/// A division into stages, and how rows flow through them.
pub(super) struct Found {
    pub stages: Vec<Stage>,
    pub flow: Flow,
}

/// A way in which a step may need less memory.
#[derive(Clone, Copy, Debug)]
struct Move {
    step: usize,
    cost: u64,
    /// Whether it makes rows by themselves; else it makes them in a part more.
    alone: bool,
}

impl Move {
    /// Makes the step so.
    fn apply(self, ways: &mut [Way]) {
        let way = &mut ways[self.step];
        if self.alone {
            way.waits = false;
        } else {
            way.scratch += 1;
        }
    }

    /// Undoes [`Self::apply`].
    fn revert(self, ways: &mut [Way]) {
        let way = &mut ways[self.step];
        if self.alone {
            way.waits = true;
        } else {
            way.scratch -= 1;
        }
    }
}

/// The best that can be found under options, where `spent` instructions of the budget are already. Where nothing keeps to a limit, it is what
/// needs the least.
pub(super) fn search(network: &Network, options: &PlanOptions, spent: u64) -> Option<Found> {
    let by_rows = options.feed == Feed::Rows;
    let fastest = Way { waits: network.at_once > 1, scratch: 0 };
    let mut flow = Flow { by_rows, ways: vec![fastest; network.steps.len()] };
    let limit = options.arena_limit;
    let memory = options.optimize == Optimize::Memory;
    if limit.is_some() || !memory {
        let stages = stages::whole_maps(network);
        let bytes = bytes(network, &stages, &flow, Effort::Full)?;
        if limit.is_none_or(|limit| bytes <= limit) {
            return Some(Found { stages, flow });
        }
    }
    // All steps are as frugal as they can be; then what gains least for what it costs is undone.
    let mut applied = moves(network);
    applied.iter().for_each(|of| of.apply(&mut flow.ways));
    let mut cost: u64 = applied.iter().map(|of| of.cost).sum();
    let budget = if limit.is_some() { u64::MAX } else { budget(network).saturating_sub(spent) };
    let (mut stages, mut least) = divide(network, &flow)?;
    loop {
        let enough = limit.map_or(least, |limit| limit.max(least));
        applied.retain(|of| {
            of.revert(&mut flow.ways);
            let reverted = bytes(network, &stages, &flow, Effort::Small).is_some_and(|bytes| bytes <= enough);
            if reverted {
                cost -= of.cost;
            } else {
                of.apply(&mut flow.ways);
            }
            !reverted
        });
        if cost.saturating_add(calls(network, &stages)) <= budget || applied.is_empty() {
            break;
        }
        let mut cheapest: Option<(f64, usize, usize)> = None;
        for (index, of) in applied.iter().enumerate().take(CONSIDERED) {
            of.revert(&mut flow.ways);
            if let Some(bytes) = bytes(network, &stages, &flow, Effort::Small) {
                let price = bytes.saturating_sub(least) as f64 / of.cost.max(1) as f64;
                if cheapest.is_none_or(|(other, ..)| price < other) {
                    cheapest = Some((price, index, bytes));
                }
            }
            of.apply(&mut flow.ways);
        }
        let Some((_, index, bytes)) = cheapest else { break };
        let of = applied.remove(index);
        of.revert(&mut flow.ways);
        (cost, least) = (cost - of.cost, bytes);
    }
    if let Some((other, bytes)) = divide(network, &flow)
        && bytes < least
    {
        stages = other;
    }
    Some(Found { stages, flow })
}

/// What it takes that steps of streamed stages are called for each few rows.
fn calls(network: &Network, stages: &[Stage]) -> u64 {
    let streamed = stages.iter().filter(|stage| stage.streamed);
    streamed.flat_map(|stage| &network.steps[stage.steps.clone()]).map(|step| calls_of(network, step)).sum()
}

fn calls_of(network: &Network, step: &Step) -> u64 {
    network.tensors[step.output].height.div_ceil(network.at_once) as u64 * CALL
}

/// Instructions that a plan may take more than the fastest.
fn budget(network: &Network) -> u64 {
    network.steps.iter().map(|step| step.costs.work).sum::<u64>() * BUDGET / 1000
}

/// What a network takes at least.
pub(super) fn work(graph: &QuantizedGraph) -> u64 {
    graph.nodes.iter().map(|node| Costs::of(graph, node).work).sum()
}

/// Whether a network that takes some instructions more than another for the same target may take them, with the plan's calls of steps.
pub(super) fn is_affordable(graph: &QuantizedGraph, plan: &Plan, spent: u64) -> bool {
    let network = Network::of(graph);
    let is_streamed = |step: &&Step| plan.places[step.output].is_some_and(|place| place.counter.is_some());
    let calls: u64 = network.steps.iter().filter(is_streamed).map(|step| calls_of(&network, step)).sum();
    spent + calls <= budget(&network)
}

/// All moves, the dearest first.
fn moves(network: &Network) -> Vec<Move> {
    let mut moves = Vec::new();
    for (index, step) in network.steps.iter().enumerate() {
        if network.at_once > 1 && !step.whole {
            moves.push(Move { step: index, cost: step.costs.alone, alone: true });
        }
        for cost in step.costs.parts.into_iter().take(step.scratch.len().saturating_sub(1)) {
            moves.push(Move { step: index, cost, alone: false });
        }
    }
    moves.sort_by_key(|of| Reverse(of.cost));
    moves
}

/// The better of the divisions whose largest stages need the least memory: with rows that lie wherever there is room, and laid out.
fn divide(network: &Network, flow: &Flow) -> Option<(Vec<Stage>, usize)> {
    let by_peak = stages::least(network, flow, Need::Peak, usize::MAX);
    let bytes_by_peak = bytes(network, &by_peak, flow, Effort::Small)?;
    let laid_out = stages::least(network, flow, Need::LaidOut, bytes_by_peak);
    match bytes(network, &laid_out, flow, Effort::Small) {
        Some(bytes) if !laid_out.is_empty() && bytes < bytes_by_peak => Some((laid_out, bytes)),
        _ => Some((by_peak, bytes_by_peak)),
    }
}

/// Bytes of the arena; `None` where rows cannot flow.
fn bytes(network: &Network, stages: &[Stage], flow: &Flow, effort: Effort) -> Option<usize> {
    let streamed = |stage: &&Stage| stage.streamed;
    let counters: usize = stages.iter().filter(streamed).map(|stage| stage.steps.len()).sum();
    let arrives = flow.by_rows && stages.first().is_some_and(|stage| stage.streamed);
    let maps = place::place(&lives::lives(network, stages, flow)?.buffers, effort).1;
    Some(maps + 2 * (counters + usize::from(arrives)))
}
