//! Measuring what inferences take.

pub use ocelli_serial::Unit;

/// Counts cycles, instructions or time.
pub trait Counter {
    /// What is counted.
    const UNIT: Unit;

    /// The count since some fixed moment.
    fn count(&self) -> u64;
}
