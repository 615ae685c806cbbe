//! A scale a channel, where what reads a tensor can undo it.
//!
//! Channels of a map differ much in range, and one scale for all wastes most of int8 on the small ones. A factor on a channel is free where
//! it is made (it goes into a convolution's weights) and where it is undone: a convolution divides the weights of that input channel by it.
//! Between, a mean over the map and a product with a gate (squeeze-and-excite) keep the factors; a function of one value takes a table
//! for each pair of factors before and after it, which are powers of two there, so that few tables serve all channels.
//!
//! With a zero point common to all channels, a channel whose values reach from `low` to `high` needs steps of
//! `max(high / above, -low / below)`, `above` and `below` being the steps on each side of the zero point. The zero point is put where
//! the sum of the squared steps is least.

use std::collections::BTreeSet;

use super::activations::LARGEST_RATIO;
use super::prepare::Prepared;
use super::weights;
use crate::calibrate::ranges::Statistics;
use crate::calibrate::unseen::ROOMS;
use crate::graph::{Bias, Conv2d, Norm, Operator, Quantization, TensorId, Weights};

/// For each tensor the factor of each channel: an int8 value stands for `scale * (q - zero_point) / factor`.
pub(super) type ChannelFactors = Vec<Option<Vec<f64>>>;

/// A channel that hardly moves in calibration may move more later: it keeps the room of one that is smaller than the largest by this factor.
const LARGEST_FACTOR: f64 = 32.0;

/// What lies beyond all that was seen, of what lies beyond half of it: the chance that a value exceeds all of `n` others goes as `1 / n`.
const UNSEEN_BY_ALL: f64 = 0.5;

/// A channel that needs more than this many times the room of nine in ten is an outlier, by which the others' room is not measured.
const OUTLIER: f64 = 4.0;

/// However far outliers lie, multipliers must stay in bounds.
const MOST_OUTLYING: f64 = 1024.0;

/// Less gain than this is within the estimate's error.
const WORTH: f64 = 1.25;

/// Tables cost flash: they must bring the mean square step down by this.
const WORTH_TABLES: f64 = 1.5;

/// What rounding weights together leaves of the error of rounding each to the nearest.
const ADAPTIVE_ROUNDING: f64 = 0.4;

/// Tensors of common factors.
pub(super) struct Group {
    /// The first is made by a convolution, a norm or a function of one value; to the others its factors spread.
    pub members: Vec<TensorId>,
    /// The factor of each channel, but for the limits of the convolution that makes it.
    pub factors: Vec<f64>,
    /// Whether factors must be powers of two, for tables.
    powers_of_two: bool,
    /// Whether it is one of [`Places::Free`].
    free: bool,
    /// What the convolution that makes the first member reads, and the weight scale of each of its channels without factors.
    convolution: Option<(TensorId, Vec<f64>)>,
    /// The least and the greatest value of the first member times its factors.
    pub range: [f32; 2],
}

/// Where tensors may have factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// Before functions of one value and depthwise convolutions, which have a weight scale for each input channel, and behind norms.
    Free,
    /// Wherever readers can undo them: rounding errors move from activations to weights, which may lose more than it gains.
    All,
}

/// All groups of a network, no tensor in two.
pub(super) fn groups(prepared: &Prepared, statistics: &Statistics, places: Places) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut taken = BTreeSet::new();
    for node in 0..prepared.graph.nodes.len() {
        if let Some(group) =
            group(prepared, statistics, node, &taken).filter(|group| group.free || places == Places::All)
        {
            taken.extend(group.members.iter().copied());
            groups.push(group);
        }
    }
    groups
}

/// What reads the members of a group and undoes its factors.
struct Reader {
    /// Weights `[output][tap][input channel of the group]` and groups of the convolution.
    conv: Conv2d,
    /// The variance of each channel that it reads.
    variances: Vec<f64>,
}

/// The tensors to which factors spread.
struct Spread {
    members: Vec<TensorId>,
    readers: Vec<Reader>,
    /// Whether functions of one value read a member.
    tables: bool,
}

/// The group that begins with the output of a node.
fn group(
    prepared: &Prepared,
    statistics: &Statistics,
    node: usize,
    taken: &BTreeSet<TensorId>,
) -> Option<Group> {
    let graph = &prepared.graph;
    let (made, clip) = (&graph.nodes[node], prepared.clips[node]);
    let first = made.output;
    let shape = graph.tensor(first).shape;
    let convolution = match &made.operator {
        Operator::Conv2d(conv) if is_float(conv) => {
            let scales = weights::scales(&weights::real_weights(conv, shape.channels), shape.channels);
            Some((made.inputs[0], scales))
        }
        Operator::Activation(_) | Operator::Norm(_) => None,
        _ => return None,
    };
    // A lower bound other than zero would move with the factor.
    if shape.pixels() == 1 || clip.is_some_and(|[low, _]| low != 0.0) {
        return None;
    }
    let spread = spread(prepared, statistics, first, taken)?;
    let powers_of_two = spread.tables || matches!(made.operator, Operator::Activation(_));
    let ranges = needed_ranges(prepared, statistics, first)?;
    let depthwise =
        spread.readers.iter().all(|reader| reader.conv.groups > 1 && reader.conv.groups == shape.channels);
    let free = depthwise || (spread.members.len() == 1 && matches!(made.operator, Operator::Norm(_)));
    let worth = match (powers_of_two, depthwise) {
        (true, _) => WORTH_TABLES,
        (false, true) => 1.0,
        (false, false) => WORTH,
    };
    let clipping = |channel: usize, room: f64| statistics.clipping(prepared.source[first.0], channel, room);
    let (factors, range) = factors(&ranges, powers_of_two, &spread.readers, worth, &clipping)?;
    Some(Group { members: spread.members, factors, powers_of_two, free, convolution, range })
}

/// The tensors to which factors on `first` spread; `None` where something can neither keep nor undo them.
fn spread(
    prepared: &Prepared,
    statistics: &Statistics,
    first: TensorId,
    taken: &BTreeSet<TensorId>,
) -> Option<Spread> {
    let graph = &prepared.graph;
    let (mut members, mut readers, mut tables) = (vec![first], Vec::new(), false);
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        next += 1;
        if taken.contains(&member)
            || prepared.shares_scale(member)
            || prepared.pinned[prepared.class[member.0].0].is_some()
            || graph.outputs.contains(&member)
        {
            return None;
        }
        for reader in graph.consumers(member) {
            let reader = &graph.nodes[reader];
            match &reader.operator {
                Operator::Conv2d(conv) if is_float(conv) => {
                    let read = statistics.tensor(prepared.source[member.0])?;
                    let moments = read.channel_squares.iter().zip(&read.channel_means);
                    let variances = moments.map(|(square, mean)| (square - mean * mean).max(0.0)).collect();
                    readers.push(Reader { conv: conv.clone(), variances });
                }
                Operator::Activation(_) => tables = true,
                Operator::Mean => members.push(reader.output),
                Operator::Mul => {
                    let twice =
                        reader.inputs.iter().all(|input| members.contains(input) || taken.contains(input));
                    let whole = graph.tensor(reader.output).shape == graph.tensor(member).shape
                        && reader.inputs[0] == member;
                    if twice || !whole {
                        return None;
                    }
                    members.push(reader.output);
                }
                _ => return None,
            }
        }
    }
    Some(Spread { members, readers, tables })
}

fn is_float(conv: &Conv2d) -> bool {
    matches!((&conv.weights, &conv.bias), (Weights::Float(_), Bias::Float(_)))
}

/// The part of each channel's range that its readers need.
fn needed_ranges(prepared: &Prepared, statistics: &Statistics, id: TensorId) -> Option<Vec<[f32; 2]>> {
    let whole = super::activations::needed(&prepared.graph, id, [f32::NEG_INFINITY, f32::INFINITY]);
    let ranges = &statistics.tensor(prepared.source[id.0])?.channel_ranges;
    let needed = |&[low, high]: &[f32; 2]| [low.clamp(whole[0], 0.0), high.clamp(0.0, whole[1])];
    Some(ranges.iter().map(needed).collect())
}

/// Factors for channels of these ranges, and the range of all times their factors; `None` where factors are not worth having. `clipping` is the
/// mean square of what a channel's values lie beyond its range of some room.
fn factors(
    ranges: &[[f32; 2]],
    powers_of_two: bool,
    readers: &[Reader],
    worth: f64,
    clipping: &dyn Fn(usize, f64) -> f64,
) -> Option<(Vec<f64>, [f32; 2])> {
    let importance = importance(ranges.len(), readers);
    let rounding = |steps: &[f64]| -> f64 {
        steps.iter().zip(&importance).map(|(step, importance)| step * step * importance).sum()
    };
    let low = ranges.iter().fold(0.0_f32, |low, range| low.min(range[0]));
    let high = ranges.iter().fold(0.0_f32, |high, range| high.max(range[1]));
    let whole = f64::from(high - low) / 255.0;
    let above = (0..=255)
        .map(f64::from)
        .min_by(|&a, &b| rounding(&steps(ranges, a)).total_cmp(&rounding(&steps(ranges, b))))?;
    let needed = steps(ranges, above);
    // Twelve times the variance of errors of channels of these steps.
    let cost = |of_channels: &[f64]| -> f64 {
        let clipped = of_channels.iter().zip(&needed).zip(&importance).enumerate();
        let clipped = clipped.map(|(channel, ((step, needed), importance))| {
            importance * clipping(channel, if *needed > 0.0 { step / needed } else { f64::INFINITY })
        });
        rounding(of_channels) + 12.0 * UNSEEN_BY_ALL * clipped.sum::<f64>()
    };
    let mut best: Option<(f64, Vec<f64>, f64)> = None;
    for room in ROOMS {
        // No channel needs more than the largest does.
        let roomy = ranges.iter().map(|range| [(range[0] * room).max(low), (range[1] * room).min(high)]);
        let steps = steps(&roomy.collect::<Vec<_>>(), above);
        let largest = steps.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 || !largest.is_finite() {
            return None;
        }
        let smallest =
            largest.min(OUTLIER * nine_in_ten(&steps)).max(largest / MOST_OUTLYING) / LARGEST_FACTOR;
        for exponent in [0.25, 0.5, 0.75, 1.0] {
            let factor = |&step: &f64| {
                let factor = (largest / step).powf(exponent).min(largest / smallest);
                allowed(factor, powers_of_two)
            };
            let factors: Vec<f64> = steps.iter().map(factor).collect();
            let of_channels: Vec<f64> = factors.iter().map(|factor| largest / factor).collect();
            let errors = readers.iter().map(|reader| reader.weight_error(&factors));
            let cost = cost(&of_channels) + errors.sum::<f64>();
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, factors, largest));
            }
        }
    }
    let ones = vec![1.0; ranges.len()];
    let without = cost(&vec![whole; ranges.len()])
        + readers.iter().map(|reader| reader.weight_error(&ones)).sum::<f64>();
    let (least, factors, largest) = best?;
    let range = [-(largest * (255.0 - above)) as f32, (largest * above) as f32];
    (without > least * worth).then_some((factors, range))
}

/// The step that nine in ten channels need no more than.
fn nine_in_ten(steps: &[f64]) -> f64 {
    let mut sorted = steps.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get((sorted.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The factor itself, or the power of two at or below it.
fn allowed(factor: f64, powers_of_two: bool) -> f64 {
    if powers_of_two { factor.log2().floor().exp2() } else { factor }
}

/// The steps that channels of these ranges need with `above` steps above the zero point and `255 - above` below.
fn steps(ranges: &[[f32; 2]], above: f64) -> Vec<f64> {
    let side = |extreme: f32, room: f64| if extreme == 0.0 { 0.0 } else { f64::from(extreme.abs()) / room };
    ranges.iter().map(|&[low, high]| side(high, above).max(side(low, 255.0 - above))).collect()
}

/// How much a squared error of each channel weighs in what reads it: the sum of its squared weights.
fn importance(channels: usize, readers: &[Reader]) -> Vec<f64> {
    let mut importance = vec![if readers.is_empty() { 1.0 } else { 0.0 }; channels];
    for reader in readers {
        reader.each_weight(|_, channel, weight| importance[channel] += weight * weight);
    }
    importance
}

impl Reader {
    /// Calls `see` with the output channel, the input channel and the weight of each tap.
    fn each_weight(&self, mut see: impl FnMut(usize, usize, f64)) {
        let Weights::Float(weights) = &self.conv.weights else { return };
        let outputs = self.conv.bias.len();
        let inner = self.variances.len() / self.conv.groups;
        let taps = weights.len() / outputs;
        for (output, weights) in weights.chunks_exact(taps).enumerate() {
            let first = output * self.conv.groups / outputs * inner;
            for (tap, &weight) in weights.iter().enumerate() {
                see(output, first + tap % inner, f64::from(weight));
            }
        }
    }

    /// Twelve times the variance of the outputs' error from rounded weights, where inputs carry these factors.
    fn weight_error(&self, factors: &[f64]) -> f64 {
        let mut largest = vec![0.0_f64; self.conv.bias.len()];
        self.each_weight(|output, channel, weight| {
            largest[output] = largest[output].max((weight / factors[channel]).abs());
        });
        let mut error = 0.0;
        self.each_weight(|output, channel, weight| {
            let step = largest[output].max(f64::MIN_POSITIVE) / 127.0;
            let steps = weight / factors[channel] / step;
            let off = (steps - steps.round()) * step * factors[channel];
            error += off * off * self.variances[channel];
        });
        12.0 * ADAPTIVE_ROUNDING * error
    }
}

impl Group {
    /// The factors under given scales.
    pub fn factors(&self, of: impl Fn(TensorId) -> Quantization) -> Vec<f64> {
        let Some((input, scales)) = &self.convolution else { return self.factors.clone() };
        let own = of(self.members[0]);
        let limited = |(&factor, scale): (&f64, &f64)| {
            // The convolution's multiplier must stay in bounds; with a factor of 1 it does.
            let most = LARGEST_RATIO * f64::from(own.scale) / (f64::from(of(*input).scale) * scale);
            allowed(factor.min(most).max(1.0), self.powers_of_two)
        };
        self.factors.iter().zip(scales).map(limited).collect()
    }

    /// The range of a member whose channels have these ranges.
    pub fn member_range(&self, ranges: &[[f32; 2]]) -> [f32; 2] {
        ranges.iter().zip(&self.factors).fold([0.0; 2], |[low, high], (range, factor)| {
            [low.min(range[0] * *factor as f32), high.max(range[1] * *factor as f32)]
        })
    }
}

/// A convolution whose input channels stand for a factor less, and whose output channels for a factor more.
pub(super) fn scaled(conv: &Conv2d, input: Option<&[f64]>, output: Option<&[f64]>) -> Conv2d {
    let mut scaled = conv.clone();
    let (Weights::Float(weights), Bias::Float(bias)) = (&mut scaled.weights, &mut scaled.bias) else {
        return scaled;
    };
    let channels = bias.len();
    let taps = weights.len() / channels;
    let inner = input.map_or(1, |factors| factors.len() / conv.groups);
    for (channel, (weights, bias)) in weights.chunks_exact_mut(taps).zip(bias).enumerate() {
        let output = output.map_or(1.0, |factors| factors[channel]);
        let first = channel * conv.groups / channels * inner;
        for (tap, weight) in weights.iter_mut().enumerate() {
            let input = input.map_or(1.0, |factors| factors[first + tap % inner]);
            *weight = (f64::from(*weight) * output / input) as f32;
        }
        *bias = (f64::from(*bias) * output) as f32;
    }
    scaled
}

/// A norm whose channels stand for a factor more.
pub(super) fn scaled_norm(norm: &Norm, factors: Option<&[f64]>) -> Norm {
    let mut scaled = norm.clone();
    for (channel, factor) in factors.into_iter().flatten().enumerate() {
        scaled.gamma[channel] = (f64::from(scaled.gamma[channel]) * factor) as f32;
        scaled.beta[channel] = (f64::from(scaled.beta[channel]) * factor) as f32;
    }
    scaled
}
