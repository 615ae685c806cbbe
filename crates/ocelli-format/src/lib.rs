//! The packed model: one little-endian file that is used in place from flash. `docs/format.md` specifies it.
//!
//! [`Model::open`] checks the whole file once; [`Model`] is then a view without copies. The `alloc` feature adds `ModelWriter`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod checksum;
mod error;
mod header;
mod macs;
mod model;
pub mod operator;
mod reach;
mod step;
mod tensor;
#[cfg(feature = "alloc")]
mod write;

pub use error::ModelError;
pub use header::{ALIGNMENT, Feed, Header, MAGIC, Numerics, Span, Target, VERSION};
pub use model::{Aligned, IncludedModel, Model, Preprocessing, SelfTest};
pub use operator::Operator;
pub use reach::Reach;
pub use step::{Step, Steps};
pub use tensor::TensorInfo;
#[cfg(feature = "alloc")]
pub use write::{Execution, Metadata, ModelWriter, PreprocessingTables, seal};

/// The bytes that self-tests and tests feed a model: a xorshift32 stream that starts from `seed` (0 counts as 1), the top byte of each
/// state.
pub fn test_bytes(seed: u32) -> impl Iterator<Item = i8> {
    let mut state = seed.max(1);
    core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8 as i8
    })
}
