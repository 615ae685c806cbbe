//! Other networks that compute the same in a smaller arena: attention one sequence and a few heads at a time, and separable layers at the ends of stages: what
//! lies whole there may be the depthwise convolution's output, if that is smaller.

use std::collections::{BTreeMap, BTreeSet};

use ocelli_format::{Step, Target};

use super::by_head::Split;
use super::by_sequence::by_sequence;
use super::search::{is_affordable, work};
use super::{Optimize, Plan, PlanOptions, planned};
use crate::quantized::{Operation, PackedKind, QuantizedGraph};
use crate::targets::{Lowered, lower, lower_apart};

/// Instructions for each value of a depthwise convolution's output that leaves the layer and comes back, estimated.
const VALUE: u64 = 14;

/// Which network it is that computes the same.
#[derive(Clone, Debug, Default)]
struct Form {
    /// Depthwise convolutions that are apart from the 1x1 convolutions after them, by node, and the values between them.
    apart: BTreeMap<usize, u64>,
    /// Whether attention runs one sequence at a time.
    sequences: bool,
    /// Attentions whose heads are made in groups, one after the other, by node.
    split: BTreeSet<usize>,
    /// The number of these groups.
    groups: usize,
}

impl Form {
    /// The network of this form.
    fn lower(&self, graph: &QuantizedGraph, target: Target) -> Lowered {
        let mut lowered = if self.split.is_empty() {
            lower_apart(graph, target, &self.apart.keys().copied().collect())
        } else {
            let split = Split::of(graph, &self.split, self.groups);
            let apart = (0..split.nodes.len()).filter(|&node| self.apart.contains_key(&split.nodes[node]));
            let mut lowered = lower_apart(&split.graph, target, &apart.collect());
            for node in lowered.layers.iter_mut().flat_map(|layer| &mut layer.nodes) {
                *node = split.nodes[*node];
            }
            lowered
        };
        if self.sequences
            && let Some(by_sequence) = by_sequence(&lowered)
        {
            lowered = by_sequence;
        }
        lowered
    }
}

/// A network and its plan.
struct Planned {
    form: Form,
    lowered: Lowered,
    plan: Plan,
    /// Instructions that the network takes more than that which takes the fewest.
    cost: u64,
}

/// The network for a target and the best plan for it under options. Where that makes the arena smaller, attention runs one sequence, and a few
/// heads, at a time on unfolded maps, and depthwise convolutions are apart from the 1x1 convolutions after them.
pub fn plan_for(graph: &QuantizedGraph, target: Target, options: &PlanOptions) -> (Lowered, Plan) {
    let lowered = lower(graph, target);
    let least = work(&lowered.graph);
    let plan = planned(&lowered.graph, options, 0);
    let mut best = Planned { form: Form::default(), lowered, plan, cost: 0 };
    let enough = match (options.optimize, options.arena_limit) {
        (_, Some(limit)) => limit,
        (Optimize::Memory, None) => 0,
        (Optimize::Speed, None) => return (best.lowered, best.plan),
    };
    let of_form = |form: Form| {
        let lowered = form.lower(graph, target);
        let cost = work(&lowered.graph).saturating_sub(least) + form.apart.values().sum::<u64>() * VALUE;
        let plan = planned(&lowered.graph, options, cost);
        Planned { form, lowered, plan, cost }
    };
    let affordable = |tried: &Planned| {
        options.arena_limit.is_some() || is_affordable(&tried.lowered.graph, &tried.plan, tried.cost)
    };
    if best.plan.arena_bytes > enough && by_sequence(&best.lowered).is_some() {
        let tried = of_form(Form { sequences: true, ..Form::default() });
        if tried.plan.arena_bytes < best.plan.arena_bytes {
            best = tried;
        }
    }
    let mut rest: BTreeSet<usize> = if best.form.sequences { attentions(graph) } else { BTreeSet::new() };
    while best.plan.arena_bytes > enough && !rest.is_empty() {
        // Those of most keys and values are split first, in as few groups as do.
        let largest = rest.iter().map(|&node| keys_and_values(graph, node)).max();
        let next: BTreeSet<usize> =
            rest.iter().copied().filter(|&node| Some(keys_and_values(graph, node)) == largest).collect();
        rest = rest.difference(&next).copied().collect();
        let split: BTreeSet<usize> = best.form.split.union(&next).copied().collect();
        let mut smaller: Option<Planned> = None;
        for groups in 2..=heads(graph, &split) {
            if best.form.groups > 0 && groups != best.form.groups
                || Split::of(graph, &split, groups).is_whole()
            {
                continue;
            }
            let tried = of_form(Form { split: split.clone(), groups, ..best.form.clone() });
            let bytes = smaller.as_ref().unwrap_or(&best).plan.arena_bytes;
            if affordable(&tried) && tried.plan.arena_bytes < bytes {
                let done = tried.plan.arena_bytes <= enough;
                smaller = Some(tried);
                if done {
                    break;
                }
            }
        }
        let Some(smaller) = smaller else { break };
        best = smaller;
    }
    while best.plan.arena_bytes > enough {
        let tried = ends(&best.lowered, &best.plan).into_iter().map(|(first, values)| {
            let mut form = best.form.clone();
            form.apart.insert(first, values);
            of_form(form)
        });
        let Some(smallest) = tried.filter(affordable).min_by_key(|tried| tried.plan.arena_bytes) else {
            break;
        };
        if smallest.plan.arena_bytes >= best.plan.arena_bytes {
            break;
        }
        best = smallest;
    }
    (best.lowered, best.plan)
}

/// The nodes of all attentions.
fn attentions(graph: &QuantizedGraph) -> BTreeSet<usize> {
    let is = |&node: &usize| matches!(graph.nodes[node].operation, Operation::Attention(_));
    (0..graph.nodes.len()).filter(is).collect()
}

/// Values of the keys and values of an attention.
fn keys_and_values(graph: &QuantizedGraph, node: usize) -> usize {
    graph.nodes[node].inputs.iter().skip(1).map(|&input| graph.tensor(input).shape.len()).sum()
}

/// The most heads of some attentions.
fn heads(graph: &QuantizedGraph, nodes: &BTreeSet<usize>) -> usize {
    let heads = |&node: &usize| match &graph.nodes[node].operation {
        Operation::Attention(attention) => attention.heads,
        _ => 0,
    };
    nodes.iter().map(heads).max().unwrap_or(0)
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
