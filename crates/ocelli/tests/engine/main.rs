//! Packed models on the engine: every operator, the golden file of the format, memory, and hostile files.

mod golden;
mod hostile;
mod memory;
mod network;
mod operators;
mod sample;
