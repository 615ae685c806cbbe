//! Where stages begin and end.

use std::ops::Range;

use super::lives::{Ends, Flow, lives, lives_between};
use super::place::{Effort, place};
use super::schedule::Stage;
use super::steps::Network;

/// Each step a stage of its own that makes all its rows at once.
pub(super) fn whole_maps(network: &Network) -> Vec<Stage> {
    (0..network.steps.len()).map(|step| Stage { steps: step..step + 1, streamed: false }).collect()
}

/// What a stage needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The bytes of rows that live at the same time.
    Peak,
    /// The bytes that its rows take where they are laid out by themselves.
    LaidOut,
}

/// The division of the steps into stages whose largest stage needs the least memory: what a stage needs depends on no other, since what is
/// read across an end of stages is whole. Of several, one of few stages that need little on average: its buffers find places more easily.
/// It is empty where all need `limit` bytes or more.
pub(super) fn least(network: &Network, flow: &Flow, need: Need, limit: usize) -> Vec<Stage> {
    let count = network.steps.len();
    // What the best division of the first steps needs, the sum over its stages and steps of what the stages need, and the last stage of it.
    let mut best: Vec<((usize, usize), Option<Stage>)> = vec![((usize::MAX, 0), None); count + 1];
    best[0] = ((0, 0), None);
    let whole = lives(network, &whole_maps(network), flow).map_or(usize::MAX, |lives| lives.peak().0);
    for start in 0..count {
        let (before, sum) = best[start].0;
        if before == usize::MAX {
            continue;
        }
        for (end, best) in best.iter_mut().enumerate().skip(start + 1) {
            let (ends, idle_bytes) = part(network, start..end, flow);
            let mut least_peak = usize::MAX;
            for streamed in [false, true] {
                if !streamed && end != start + 1 {
                    continue;
                }
                let stage = Stage { steps: start..end, streamed };
                let of_stage = lives_between(network, std::slice::from_ref(&stage), &ends, &flow.ways);
                let Some(of_stage) = of_stage else { continue };
                let peak = of_stage.peak().0 + idle_bytes;
                least_peak = least_peak.min(peak);
                if peak.max(before) > best.0.0 || peak.max(before) >= limit {
                    continue;
                }
                let bytes = match need {
                    Need::Peak => peak,
                    Need::LaidOut => place(&of_stage.buffers, Effort::Least).1 + idle_bytes,
                };
                let sum = bytes.saturating_mul(end - start + 1).saturating_add(sum);
                let needs = (bytes.max(before), sum);
                if needs < best.0 && needs.0 < limit {
                    *best = (needs, Some(stage));
                }
            }
            // Longer stages from here need no less.
            if least_peak != usize::MAX && least_peak >= whole.min(limit) && least_peak > best.0.0.min(whole)
            {
                break;
            }
        }
    }
    let mut stages = Vec::new();
    let mut end = count;
    while let Some(stage) = best[end].1.clone() {
        end = stage.steps.start;
        stages.push(stage);
    }
    stages.reverse();
    stages
}

/// What a few steps find and leave, and the bytes of tensors that lie there meanwhile and that none of them reads.
fn part(network: &Network, steps: Range<usize>, flow: &Flow) -> (Ends, usize) {
    let count = network.tensors.len();
    let (mut before, mut here, mut reads, mut later) =
        (vec![false; count], vec![false; count], vec![false; count], vec![false; count]);
    let arrivals = flow.by_rows && steps.start == 0;
    before[network.input] = !arrivals;
    here[network.input] = arrivals;
    later[network.storage(network.output)] = true;
    for (index, step) in network.steps.iter().enumerate() {
        if index < steps.start {
            before[step.output] = true;
        } else if index < steps.end {
            here[step.output] = true;
        }
        for &(input, _) in &step.inputs {
            let storage = network.storage(input);
            if steps.contains(&index) {
                reads[storage] = true;
            } else if index >= steps.end {
                later[storage] = true;
            }
        }
    }
    let tensors = |is: &dyn Fn(usize) -> bool| (0..count).filter(|&tensor| is(tensor)).collect::<Vec<_>>();
    let bytes = |tensor: usize| network.tensors[tensor].height * network.tensors[tensor].row;
    let idle = tensors(&|tensor| before[tensor] && later[tensor] && !reads[tensor]);
    let ends = Ends {
        given: tensors(&|tensor| before[tensor] && reads[tensor]),
        kept: tensors(&|tensor| later[tensor] && (here[tensor] || (before[tensor] && reads[tensor]))),
        arrivals,
    };
    (ends, idle.into_iter().map(bytes).sum())
}
