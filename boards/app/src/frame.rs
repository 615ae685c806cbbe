//! Frames that arrive a row at a time, from wherever.

use core::fmt;

use ocelli::{Engine, Output, PixelFormat, RunError};

use crate::Counter;

/// A row of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    /// The model's int8 values.
    Values(&'a [i8]),
    /// A camera's pixels.
    Pixels(&'a [u8], PixelFormat),
}

/// Gives frames, a row at a time: a camera, a serial line, pictures in flash.
pub trait FrameSource {
    /// Why there is no row.
    type Error;

    /// Waits for a row and gives its number with it: `expected`, or 0 where a frame begins anew.
    ///
    /// # Errors
    /// If there will be no row.
    fn next_row(&mut self, expected: usize) -> Result<(usize, Row<'_>), Self::Error>;

    /// Called after the engine took a row, and before the next is asked for; `next` is its number.
    ///
    /// # Errors
    /// If there will be no row.
    fn taken(&mut self, next: usize) -> Result<(), Self::Error> {
        let _ = next;
        Ok(())
    }

    /// Called where the engine refused a row; `expected` stays the number of the next one.
    ///
    /// # Errors
    /// If the source can do nothing about it.
    fn refused(&mut self, expected: usize, error: RunError) -> Result<(), FrameError<Self::Error>> {
        let _ = expected;
        Err(FrameError::Run(error))
    }
}

/// Why a frame was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrameError<E> {
    /// The source has no row.
    Source(E),
    /// The engine refused a row, or the frame.
    Run(RunError),
}

impl<E: fmt::Display> fmt::Display for FrameError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(formatter),
            Self::Run(error) => error.fmt(formatter),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for FrameError<E> {}

/// Runs the model on the next frame, and gives with its output what that took by `counter`, without waiting for rows.
///
/// # Errors
/// If the source has no more rows, or the engine and the source do not come to terms about one.
pub fn run_frame<'e, 'm: 'a, 'a, S: FrameSource, const OPERATORS: u64>(
    engine: &'e mut Engine<'m, 'a, OPERATORS>,
    source: &mut S,
    counter: &impl Counter,
) -> Result<(Output<'e>, u64), FrameError<S::Error>> {
    let rows = usize::from(engine.model().input().height);
    let mut took = 0u64;
    let mut expected = 0;
    while expected < rows {
        let (number, row) = source.next_row(expected).map_err(FrameError::Source)?;
        if number != expected {
            engine.restart();
            expected = 0;
        }
        let start = counter.count();
        let pushed = match row {
            Row::Values(values) => engine.push_row(values),
            Row::Pixels(pixels, format) => engine.push_pixels(pixels, format),
        };
        let count = counter.count().wrapping_sub(start);
        took = if expected == 0 { count } else { took.wrapping_add(count) };
        match pushed {
            Ok(()) => {
                expected = expected.wrapping_add(1);
                if expected < rows {
                    source.taken(expected).map_err(FrameError::Source)?;
                }
            }
            Err(error) => source.refused(expected, error)?,
        }
    }
    let start = counter.count();
    let output = engine.finish().map_err(FrameError::Run)?;
    Ok((output, took.wrapping_add(counter.count().wrapping_sub(start))))
}
