//! The image that runs any packed model: it reads `model` and `inputs`, writes `outputs`, and prints what that took, as one line of JSON.
//! Where there is a file `profile`, it runs the first input alone and prints for each step its index, its
//! instructions and the reading of the counter that ended it instead.
#![no_std]
#![no_main]

use ocelli_app::{BatchError, profile, run_batch};
use ocelli_qemu::counter::InstructionCounter;
use ocelli_qemu::files::{self, FileError, InputsAndOutputs};
use ocelli_qemu::memory::{self, Regions};
use semihosting::println;

#[ocelli_qemu::entry]
fn main() -> ! {
    ocelli_qemu::console::exit(run())
}

fn run() -> Result<(), BatchError<FileError>> {
    let (Some(Regions { model, memory }), Some(counter)) = (memory::take(), InstructionCounter::start())
    else {
        unreachable!("both are taken only here");
    };
    let model = files::read(c"model", model).map_err(BatchError::Files)?;
    let mut files = InputsAndOutputs::open().map_err(BatchError::Files)?;
    if files::exists(c"profile") {
        return profile(model, memory, &counter, &mut files, |step, instructions, reading| {
            println!("{step} {instructions} {reading}");
        });
    }
    // SAFETY: `memory` holds the stack's lower bound, and nothing else uses what is below the stack pointer.
    let report = unsafe { run_batch(model, memory, &counter, &mut files) }?;
    println!("{report}");
    Ok(())
}
