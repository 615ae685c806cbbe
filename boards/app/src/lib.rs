//! What the firmware images share, whatever the board: running a model over inputs, counting instructions, and measuring the stack.
//!
//! A board gives a [`Counter`], a [`Files`] for inputs and outputs, and the bounds of its stack; everything else is here.
#![no_std]

mod batch;
mod profile;
mod report;
mod stack;

pub use batch::{BatchError, Counter, Files, Memory, run_batch};
pub use profile::profile;
pub use report::Report;
pub use stack::PaintedStack;
