//! What a batch of inferences took.

use core::fmt;

/// What a batch of inferences took. Displayed as one line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Inputs that were run.
    pub inferences: u32,
    /// Instructions of the first inference.
    pub instructions: u64,
    /// Fewest instructions of an inference.
    pub instructions_min: u64,
    /// Most instructions of an inference.
    pub instructions_max: u64,
    /// Stack that the first inference used, in bytes.
    pub stack_bytes: usize,
    /// Size of the arena, in bytes.
    pub arena_bytes: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inferences, instructions, instructions_min, instructions_max, stack_bytes, arena_bytes } =
            self;
        write!(
            f,
            "{{\"inferences\":{inferences},\"instructions\":{instructions},\"instructions_min\":{instructions_min},"
        )?;
        write!(
            f,
            "\"instructions_max\":{instructions_max},\"stack_bytes\":{stack_bytes},\"arena_bytes\":{arena_bytes}}}"
        )
    }
}
