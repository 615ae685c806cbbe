//! The image that runs any packed model: it reads `model` and `inputs`, writes `outputs`, and prints what that took, as one line of JSON.
#![no_std]
#![no_main]

use ocelli_app::{BatchError, Report, run_batch};
use ocelli_qemu::counter::InstructionCounter;
use ocelli_qemu::files::{self, FileError, InputsAndOutputs};
use ocelli_qemu::memory::{self, Regions};
use semihosting::println;

#[ocelli_qemu::entry]
fn main() -> ! {
    ocelli_qemu::console::exit(run().map(|report| println!("{report}")))
}

fn run() -> Result<Report, BatchError<FileError>> {
    let (Some(Regions { model, memory }), Some(counter)) = (memory::take(), InstructionCounter::start())
    else {
        unreachable!("both are taken only here");
    };
    let model = files::read(c"model", model).map_err(BatchError::Files)?;
    let mut files = InputsAndOutputs::open().map_err(BatchError::Files)?;
    // SAFETY: `memory` holds the stack's lower bound, and nothing else uses what is below the stack pointer.
    unsafe { run_batch(model, memory, &counter, &mut files) }
}
