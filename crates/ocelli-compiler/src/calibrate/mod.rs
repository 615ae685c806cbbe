//! What a network sees: calibration inputs, and the ranges that its tensors take over them.

pub mod data;
pub mod ranges;
