//! Classifies pictures that come row by row over the serial port of the Nucleo-H743ZI: `ocelli send picture.png --port ...`.
#![no_std]
#![no_main]

mod board;

use ocelli::{Aligned, IncludedModel};
use ocelli_app::{classify, row_buffer};
use ocelli_rtt as _;
use panic_probe as _;
use static_cell::ConstStaticCell;

const MODEL: IncludedModel = ocelli::include_model!(env!("OCELLI_MODEL"));
static ARENA: ConstStaticCell<Aligned<[u8; MODEL.arena_bytes()]>> =
    ConstStaticCell::new(Aligned([0; MODEL.arena_bytes()]));
/// Pixels of a row, at most.
const WIDEST: usize = 256;

#[cortex_m_rt::entry]
fn main() -> ! {
    let (port, mut led, counter) = board::start();
    let why = match (MODEL.open(), ARENA.try_take()) {
        (Ok(model), Some(arena)) => classify::<{ MODEL.operators() }, { row_buffer(WIDEST) }>(
            model,
            &mut arena.0,
            port,
            &mut led,
            &counter,
        ),
        _ => "the model is refused",
    };
    defmt::error!("stopped: {=str}", why);
    loop {
        cortex_m::asm::wfi();
    }
}
