//! Which stages there are, and how steps make their rows: the smallest arena for a few instructions more, or the fewest instructions in
//! an arena of a given size.

use std::cmp::Reverse;

use super::Optimize;
use super::PlanOptions;
use super::lives::{self, Flow};
use super::place::{self, Effort};
use super::schedule::{Stage, Way};
use super::stages::{self, Need};
use super::steps::Network;
use ocelli_format::Feed;

/// Moves that are compared to undo one of them: those that cost most.
const CONSIDERED: usize = 12;

/// Instructions that the smallest arena may cost, in thousandths of those of the fastest plan.
const BUDGET: u64 = 25;

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
    let work: u64 = network.steps.iter().map(|step| step.costs.work).sum();
    let budget = if limit.is_some() { u64::MAX } else { (work * BUDGET / 1000).saturating_sub(spent) };
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
        if cost <= budget || applied.is_empty() {
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
        let (_, index, bytes) = cheapest?;
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

/// All moves, the dearest first.
fn moves(network: &Network) -> Vec<Move> {
    let mut moves = Vec::new();
    for (index, step) in network.steps.iter().enumerate() {
        if network.at_once > 1 && !step.whole {
            moves.push(Move { step: index, cost: step.costs.alone, alone: true });
        }
        for _ in 1..step.scratch.len() {
            moves.push(Move { step: index, cost: step.costs.part, alone: false });
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

/// Bytes of the maps; `None` where rows cannot flow.
fn bytes(network: &Network, stages: &[Stage], flow: &Flow, effort: Effort) -> Option<usize> {
    Some(place::place(&lives::lives(network, stages, flow)?.buffers, effort).1)
}
