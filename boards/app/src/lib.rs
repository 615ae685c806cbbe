//! What the firmware images share, whatever the board: running a model over inputs, counting instructions, and measuring the stack.
//!
//! A board gives a [`Counter`], a port that reads and writes bytes or another [`FrameSource`]; the images for QEMU also [`Files`] for inputs
//! and outputs, and the bounds of the stack. Everything else is here.
#![no_std]

mod batch;
mod calls;
mod counter;
mod frame;
mod profile;
mod report;
mod serial;
mod serve;
mod stack;
mod update;

pub use batch::{BatchError, Files, Memory, run_batch};
pub use calls::Calls;
#[cfg(feature = "dwt")]
pub use counter::CycleCounter;
pub use counter::{Counter, NoCounter, Unit};
pub use frame::{FrameError, FrameSource, Row, run_frame};
pub use profile::profile;
pub use report::Report;
pub use serial::{SerialRows, row_and_model_buffer, row_buffer};
pub use serve::{NoLed, classify, serve};
pub use stack::PaintedStack;
pub use update::{FlashSlots, ModelSlots, NoSlots};
