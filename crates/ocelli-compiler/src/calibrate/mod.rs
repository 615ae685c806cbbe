//! What a network sees: calibration inputs, and the ranges that its tensors take over them.

pub mod data;
mod divergence;
pub(crate) mod places;
pub mod ranges;
pub mod unseen;
