//! Counting the instructions of each step of a model.

use core::cell::Cell;
use core::ops::Range;

use ocelli::{Engine, Model, Step, operator};

use crate::{BatchError, Counter, Files, Memory};

/// Runs the packed `model` on the first input and gives `print` the index of each step and its instructions; those of `print` do not count.
/// A step that makes its output in parts is given once for each.
///
/// # Errors
/// If the model is refused, does not fit, or there is no input.
pub fn profile<F: Files>(
    model: &[u8],
    memory: Memory<'_>,
    counter: &impl Counter,
    files: &mut F,
    mut print: impl FnMut(usize, u64),
) -> Result<(), BatchError<F::Error>> {
    let model = Model::open(model).map_err(BatchError::Model)?;
    let mut engine = Engine::<{ operator::ALL }>::new(model, memory.free).map_err(BatchError::Engine)?;
    let start = Cell::new(0);
    let mut observe = |step: usize, _: &Step<'_>, _: Range<usize>, _: &[i8]| {
        let end = counter.instructions();
        print(step, end - start.get());
        start.set(counter.instructions());
    };
    while let Some(row) = engine.input_row() {
        if !files.read_input(row).map_err(BatchError::Files)? {
            return Err(BatchError::NoInput);
        }
        start.set(counter.instructions());
        engine.push_observed(&mut observe).map_err(BatchError::Run)?;
    }
    start.set(counter.instructions());
    let output = engine.finish_observed(&mut observe);
    files.write_output(&output.map_err(BatchError::Run)?).map_err(BatchError::Files)
}
