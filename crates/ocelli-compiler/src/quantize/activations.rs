//! Scales and zero points of all tensors.

use std::collections::BTreeSet;

use ocelli_kernels::separable::CONTEXT_BITS;

use super::QuantizeError;
use super::channel_scales::{self, ChannelFactors, Places};
use super::prepare::Prepared;
use super::search::Methods;
use super::weights;
use crate::calibrate::ranges::{RangeMethod, Statistics};
use crate::graph::{Graph, Node, NormExtent, Operator, Quantization, TensorId};
use crate::pack::norm;

/// The largest product of operand scales over the output's scale that `Q32` computes, a little below its limit of 1/2.
pub(super) const LARGEST_RATIO: f64 = 0.499;

/// Scores beyond those seen decide, so that clipping them costs most: this part of their range is added at each end.
const SCORES_ROOM: f32 = 0.1;

/// Scales of all tensors.
pub(super) struct Scales {
    /// The scale and zero point of each tensor.
    pub quantizations: Vec<Quantization>,
    /// The factors of channels, of the tensors that have them.
    pub factors: ChannelFactors,
}

/// Chooses the scale and zero point of each tensor.
///
/// # Errors
/// Where the file gives an output a scale that its inputs' scales do not allow.
pub(super) fn assign(
    prepared: &Prepared,
    statistics: &Statistics,
    methods: &Methods,
    places: Places,
) -> Result<Scales, QuantizeError> {
    let graph = &prepared.graph;
    let groups = channel_scales::groups(prepared, statistics, places);
    let whole = scores(graph);
    let mut ranges = vec![[0.0_f32; 2]; graph.tensors.len()];
    let mut widen = |id: TensorId, [low, high]: [f32; 2]| {
        let range = &mut ranges[prepared.class[id.0].0];
        *range = [range[0].min(low), range[1].max(high)];
    };
    for index in 0..graph.tensors.len() {
        let id = TensorId(index);
        if let Some(tensor) = statistics.tensor(prepared.source[index]) {
            let method = if whole.contains(&id) { RangeMethod::MinMax } else { methods.method(id) };
            if let Some(group) = groups.iter().find(|group| group.members.contains(&id)) {
                let is_first = group.members[0] == id;
                widen(id, if is_first { group.range } else { group.member_range(&tensor.channel_ranges) });
            } else if is_used(graph, id) {
                let room =
                    if whole.contains(&id) && !is_bounded(prepared, id) { 1.0 + SCORES_ROOM } else { 1.0 };
                widen(id, needed(graph, id, tensor.range(method).map(|end| end * room)));
            }
        }
    }
    for node in &graph.nodes {
        if let Operator::Pad { value, .. } = node.operator {
            widen(node.output, [value.min(0.0), value.max(0.0)]);
        }
    }
    let mut classes: Vec<Quantization> = ranges
        .into_iter()
        .zip(&prepared.pinned)
        .map(|(range, pinned)| pinned.unwrap_or_else(|| quantization(range)))
        .collect();

    // A wider output makes the next operation's input wider: until nothing changes.
    loop {
        let of = |id: TensorId| classes[prepared.class[id.0].0];
        let mut factors: ChannelFactors = vec![None; graph.tensors.len()];
        for group in &groups {
            let found = group.factors(of);
            group.members.iter().for_each(|member| factors[member.0] = Some(found.clone()));
        }
        let narrow = graph.nodes.iter().find_map(|node| {
            let least = least_scale(graph, node, of, &factors);
            (f64::from(of(node.output).scale) < least).then_some((node, least))
        });
        let Some((node, least)) = narrow else {
            let quantizations = prepared.class.iter().map(|class| classes[class.0]).collect();
            return Ok(Scales { quantizations, factors });
        };
        let class = prepared.class[node.output.0].0;
        if prepared.pinned[class].is_some() {
            let scale = classes[class].scale;
            return Err(QuantizeError::Scale { node: node.name.clone(), scale, least: least as f32 });
        }
        classes[class].scale = (least * 1.0001) as f32;
    }
}

/// The part of a tensor's range that its reader needs: what a clip cuts off may saturate before.
pub(super) fn needed(graph: &Graph, id: TensorId, [low, high]: [f32; 2]) -> [f32; 2] {
    let &[reader] = graph.consumers(id).as_slice() else { return [low, high] };
    match graph.nodes[reader].operator {
        Operator::Activation(activation) if !graph.outputs.contains(&id) => {
            let [min, max] = activation.bends();
            [low.max(min).min(0.0), high.min(max).max(0.0)]
        }
        _ => [low, high],
    }
}

/// A node whose fused clip is not what its output's saturation does.
pub(super) fn lost_clip(prepared: &Prepared, quantizations: &[Quantization]) -> Option<TensorId> {
    let lost = |(node, clip): (&Node, &Option<[f32; 2]>)| {
        let [low, high] = (*clip)?;
        let Quantization { scale, zero_point } = quantizations[node.output.0];
        let place = |bound: f32| f64::from(bound) / f64::from(scale) + f64::from(zero_point);
        // The ends of int8 are up to half a step off a range, as zero must be a whole step.
        (place(low) > -127.49 || place(high) < 126.49).then_some(node.output)
    };
    prepared.graph.nodes.iter().zip(&prepared.clips).find_map(lost)
}

/// Scale and zero point of a range that holds zero.
fn quantization([low, high]: [f32; 2]) -> Quantization {
    let (low, high) = (f64::from(low), f64::from(high));
    // A tensor that is always zero gets any scale.
    let scale = if high - low > 1e-12 { ((high - low) / 255.0) as f32 } else { 1.0 / 255.0 };
    let zero_point = (-128.0 - low / f64::from(scale)).round().clamp(-128.0, 127.0) as i8;
    Quantization { scale, zero_point }
}

/// Whether a node makes or reads a tensor, or it comes from outside.
fn is_used(graph: &Graph, id: TensorId) -> bool {
    graph.inputs.contains(&id)
        || graph.nodes.iter().any(|node| node.output == id || node.inputs.contains(&id))
}

/// Whether what makes a tensor keeps its values within bounds.
fn is_bounded(prepared: &Prepared, id: TensorId) -> bool {
    let graph = &prepared.graph;
    let bounds = |node: usize| {
        prepared.clips[node].is_some()
            || matches!(graph.nodes[node].operator, Operator::Activation(_) | Operator::Softmax { .. })
    };
    graph.producer(id).is_some_and(bounds)
}

/// The output, and what becomes it by operations that keep the order of classes: to clip these would merge the best classes.
fn scores(graph: &Graph) -> BTreeSet<TensorId> {
    let mut scores: BTreeSet<TensorId> = graph.outputs.iter().copied().collect();
    for node in graph.nodes.iter().rev() {
        let ordered = matches!(
            node.operator,
            Operator::Softmax { .. }
                | Operator::Activation(_)
                | Operator::Reshape
                | Operator::Transpose { .. }
                | Operator::Slice { .. }
                | Operator::Concat(_)
                | Operator::Requantize
        );
        if ordered && scores.contains(&node.output) {
            scores.extend(&node.inputs);
        }
    }
    scores
}

/// The least scale of a node's output that its arithmetic can give.
fn least_scale(
    graph: &Graph,
    node: &Node,
    of: impl Fn(TensorId) -> Quantization,
    factors: &ChannelFactors,
) -> f64 {
    let scale = |index: usize| f64::from(of(node.inputs[index]).scale);
    match &node.operator {
        Operator::Conv2d(conv) => {
            let conv = channel_scales::scaled(conv, factors[node.inputs[0].0].as_deref(), None);
            let scales = weights::wanted_scales(&conv, graph.tensor(node.output).shape.channels);
            scale(0) * scales.iter().copied().fold(0.0, f64::max) / LARGEST_RATIO
        }
        Operator::Mul => scale(0) * scale(1) / LARGEST_RATIO,
        // 16-bit multipliers: below this, the other operand's would have no digits left.
        Operator::Add => scale(0).max(scale(1)) / 4096.0,
        // Sums may be raised by 5 bits before they are scaled.
        Operator::AveragePool { window, .. } => scale(0) / (16 * window.kernel[0] * window.kernel[1]) as f64,
        Operator::Mean => scale(0) / (16 * graph.tensor(node.inputs[0]).shape.pixels()) as f64,
        Operator::PRelu { slopes, .. } => {
            // Products are raised by 8 bits.
            scale(0) * weights::slope_scale(slopes, 0.0).max(1.0) / (256.0 * LARGEST_RATIO)
        }
        Operator::MatMul { .. } => scale(0) * scale(1) / LARGEST_RATIO,
        // A mean of values has their scale; this much finer, its digits are noise.
        Operator::Attention(_) => scale(2) / 64.0,
        Operator::SeparableAttention { .. } => {
            scale(1) * scale(2) / f64::from(CONTEXT_BITS).exp2() / LARGEST_RATIO
        }
        Operator::Norm(norm) => {
            let shape = graph.tensor(node.output).shape;
            let norm = &channel_scales::scaled_norm(norm, factors[node.output.0].as_deref());
            norm::least_scale(norm, if norm.over == NormExtent::Map { shape.len() } else { shape.channels })
        }
        _ => 0.0,
    }
}
