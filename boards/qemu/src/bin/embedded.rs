//! A user's image: one model compiled in, an arena of exactly its size, and only the operators that it uses.
//!
//! It runs the first tensor in `inputs`, or zeros, and prints the class. Nothing here can panic, and nothing formats text.
#![no_std]
#![no_main]

use ocelli::{Engine, IncludedModel};
use ocelli_qemu::memory::Arena;
use ocelli_qemu::{console, files};

const MODEL: IncludedModel = ocelli::include_model!(env!("OCELLI_MODEL"));
static ARENA: Arena<{ MODEL.arena_bytes() }> = Arena::new();

#[ocelli_qemu::entry]
fn main() -> ! {
    match classify() {
        Some(class) => console::exit_with_class(class),
        None => console::fail_with(c"error: the model does not run\n"),
    }
}

fn classify() -> Option<usize> {
    let mut engine = Engine::<{ MODEL.operators() }>::new(MODEL.open().ok()?, ARENA.take()?).ok()?;
    let mut input = files::FirstInput::open();
    while let Some(row) = engine.input_row() {
        input.read(row);
        engine.push().ok()?;
    }
    let output = engine.finish().ok()?;
    output.top_k::<1>().first().map(|class| class.index)
}
