//! Packed models on the engine: every operator, the golden file of the format, memory, and hostile files.

mod attention;
mod attention_sample;
mod golden;
mod hostile;
mod memory;
mod network;
mod operators;
mod packed_sample;
mod sample;
