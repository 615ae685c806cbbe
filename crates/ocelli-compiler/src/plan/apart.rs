//! Other networks that compute the same in a smaller arena: attention one sequence at a time, and separable layers at the ends of stages: what
//! lies whole there may be the depthwise convolution's output, if that is smaller.

use std::collections::BTreeSet;

use ocelli_format::{Step, Target};

use super::by_sequence::by_sequence;
use super::search::is_affordable;
use super::{Optimize, Plan, PlanOptions, planned};
use crate::quantized::{Operation, PackedKind, QuantizedGraph, QuantizedNode};
use crate::targets::{Lowered, lower, lower_apart};

/// Instructions for each value of a depthwise convolution's output that leaves the layer and comes back, estimated.
const VALUE: u64 = 14;

/// Instructions for each value of a map that is unfolded or folded, estimated.
const MOVED: u64 = 2;

/// The network for a target and the best plan for it under options. Where that makes the arena smaller, attention runs one sequence at a time
/// on unfolded maps, and depthwise convolutions are apart from the 1x1 convolutions after them.
pub fn plan_for(graph: &QuantizedGraph, target: Target, options: &PlanOptions) -> (Lowered, Plan) {
    let lowered = lower(graph, target);
    let plan = planned(&lowered.graph, options, 0);
    let mut best = (lowered, plan);
    let enough = match (options.optimize, options.arena_limit) {
        (_, Some(limit)) => limit,
        (Optimize::Memory, None) => 0,
        (Optimize::Speed, None) => return best,
    };
    let mut apart = BTreeSet::new();
    let mut cost = 0;
    let mut sequences = false;
    if best.1.arena_bytes > enough
        && let Some(lowered) = by_sequence(&best.0)
    {
        let moved = MOVED * moved(&lowered.graph);
        let plan = planned(&lowered.graph, options, moved);
        if plan.arena_bytes < best.1.arena_bytes {
            best = (lowered, plan);
            (sequences, cost) = (true, moved);
        }
    }
    let lowered = |apart: &BTreeSet<usize>| {
        let lowered = lower_apart(graph, target, apart);
        by_sequence(&lowered).filter(|_| sequences).unwrap_or(lowered)
    };
    while best.1.arena_bytes > enough {
        let tried = ends(&best.0, &best.1).into_iter().map(|(first, values)| {
            let apart: BTreeSet<usize> = apart.iter().copied().chain([first]).collect();
            let cost = cost + values * VALUE;
            let lowered = lowered(&apart);
            let plan = planned(&lowered.graph, options, cost);
            (lowered, plan, apart, cost)
        });
        let unlimited = options.arena_limit.is_none();
        let tried =
            tried.filter(|(lowered, plan, _, cost)| !unlimited || is_affordable(&lowered.graph, plan, *cost));
        let Some(smallest) = tried.min_by_key(|(_, plan, ..)| plan.arena_bytes) else { break };
        if smallest.1.arena_bytes >= best.1.arena_bytes {
            break;
        }
        best = (smallest.0, smallest.1);
        (apart, cost) = (smallest.2, smallest.3);
    }
    best
}

/// The values of all maps that are unfolded or folded.
fn moved(graph: &QuantizedGraph) -> u64 {
    let moves =
        |node: &&QuantizedNode| matches!(node.operation, Operation::Unfold { .. } | Operation::Fold { .. });
    graph.nodes.iter().filter(moves).map(|node| graph.tensor(node.output).shape.len() as u64).sum()
}

/// The separable layers that end a streamed stage with a map larger than that between their two convolutions: the first one's node in the
/// network for all targets, and the values of the map between.
fn ends(lowered: &Lowered, plan: &Plan) -> Vec<(usize, u64)> {
    let graph = &lowered.graph;
    let steps: Vec<usize> = (0..graph.nodes.len())
        .filter(|&node| !matches!(graph.nodes[node].operation, Operation::Reshape))
        .collect();
    let mut ends = Vec::new();
    for pair in steps.windows(2) {
        let &[last, next] = pair else { continue };
        let node = &graph.nodes[last];
        let Operation::PackedConv2d(packed) = &node.operation else { continue };
        let separable = matches!(packed.kind, PackedKind::Separable { table: None, .. });
        let streamed = plan.places[node.output.0].is_some_and(|place| place.counter.is_some());
        let output = graph.tensor(node.output).shape;
        let channels = graph.tensor(node.inputs[0]).shape.channels;
        if separable && streamed && plan.flags[next] & Step::CONTINUES == 0 && channels < output.channels {
            ends.push((lowered.layers[last].nodes[0], (output.height * output.width * channels) as u64));
        }
    }
    ends
}
