//! Whether a step reads what it writes over.

use core::ops::Range;

use ocelli_format::{Model, Operator, Reach, Step, TensorInfo};

use crate::Problem;
use crate::memory::{self, disjoint, overlap, place};

/// Checks that whatever rows a step makes at a time, neither they nor its scratch lie where rows lie that they are made from. Where rows flow,
/// output and input may overlap otherwise: what is written over was of use to earlier rows.
///
/// `whole` says that its operator makes all rows at once, `in_place` that its output may lie where its first input lies.
pub(super) fn check(model: &Model<'_>, step: &Step<'_>, whole: bool, in_place: bool) -> Result<(), Problem> {
    let output = memory::output(model, step)?;
    let height = usize::from(output.height);
    let streamed = output.counter != TensorInfo::COMPLETE;
    if whole && (streamed || !output.is_whole()) {
        return Err(Problem::Whole);
    }
    // Rows that are made together are checked one by one here, and together when they are made.
    let at_once = if streamed { 1 } else { height };
    let scatters = step.operator == Operator::Fold;
    let mut scratch = None;
    for index in 0..step.inputs.len() {
        let input = memory::input(model, step, index)?;
        if step.reach(index, input, output) == Reach::Scratch {
            if input.constant != 0 || overlap(input, output) {
                return Err(Problem::ScratchPlace);
            }
            scratch = Some(input);
        }
    }
    for index in 0..step.inputs.len() {
        let input = memory::input(model, step, index)?;
        if input.constant != 0 || step.reach(index, input, output) == Reach::Scratch {
            continue;
        }
        if !streamed && !input.is_whole() {
            return Err(Problem::Rings);
        }
        let meets = |written: &TensorInfo| overlap(input, written);
        let same_place = in_place && index == 0 && is_same_place(input, output, streamed);
        if (same_place || !meets(output)) && !scratch.is_some_and(meets) {
            continue;
        }
        let reach = step.reach(index, input, output);
        for start in 0..height {
            let rows = start..start.saturating_add(at_once).min(height);
            let needed = reach.rows(rows.clone(), input.height.into());
            let written = match (same_place, scatters) {
                (true, _) => 0..0,
                (false, true) => 0..height,
                (false, false) => rows,
            };
            let clear = needed.clone().all(|row| {
                let row = row_range(input, row);
                let output_is_clear = written.clone().all(|other| disjoint(&row, &row_range(output, other)));
                output_is_clear
                    && scratch.and_then(|tensor| tensor.range()).is_none_or(|range| disjoint(&row, &range))
            });
            if !clear {
                return Err(Problem::WritesOver);
            }
            if !streamed {
                break;
            }
        }
    }
    Ok(())
}

/// Whether each row of the output lies where the input's row lies, or the whole output where the whole input lies.
fn is_same_place(input: &TensorInfo, output: &TensorInfo, streamed: bool) -> bool {
    let same_rows = input.slots == output.slots && input.row_len() == output.row_len();
    input.offset == output.offset && (same_rows || !streamed)
}

fn row_range(tensor: &TensorInfo, row: usize) -> Range<usize> {
    place(tensor, &(row..row.saturating_add(1))).unwrap_or_default()
}
