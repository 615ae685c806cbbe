//! Counting the instructions of each step of a model.

use core::cell::Cell;
use core::ops::Range;

use ocelli::{Engine, Model, Step, operator};

use crate::{BatchError, Counter, Files, Memory};

/// Runs the packed `model` on the first input and gives `print` the index of each step, its instructions, and which reading of the counter
/// (from 0) ended it, right after the one that started it; the instructions of `print` do not count. A step that makes its output in parts is
/// given once for each.
///
/// # Errors
/// If the model is refused, does not fit, or there is no input.
pub fn profile<F: Files>(
    model: &[u8],
    memory: Memory<'_>,
    counter: &impl Counter,
    files: &mut F,
    mut print: impl FnMut(usize, u64, u32),
) -> Result<(), BatchError<F::Error>> {
    let model = Model::open(model).map_err(BatchError::Model)?;
    let mut engine = Engine::<{ operator::ALL }>::new(model, memory.free).map_err(BatchError::Engine)?;
    let (readings, start) = (Cell::new(0u32), Cell::new(0));
    let read = || {
        readings.set(readings.get().wrapping_add(1));
        counter.count()
    };
    let mut observe = |step: usize, _: &Step<'_>, _: Range<usize>, _: &[i8]| {
        let reading = readings.get();
        let end = read();
        print(step, end - start.get(), reading);
        start.set(read());
    };
    while let Some(row) = engine.input_row() {
        if !files.read_input(row).map_err(BatchError::Files)? {
            return Err(BatchError::NoInput);
        }
        start.set(read());
        engine.push_observed(&mut observe).map_err(BatchError::Run)?;
    }
    start.set(read());
    let output = engine.finish_observed(&mut observe);
    files.write_output(&output.map_err(BatchError::Run)?).map_err(BatchError::Files)
}
