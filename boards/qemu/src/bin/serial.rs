//! The image that takes rows over the serial port, as `ocelli send` sends them, for any packed model: it reads `model` when it starts.
#![no_std]
#![no_main]

use core::fmt;

use ocelli::{Engine, EngineError, Model, ModelError, operator};
use ocelli_app::{SerialRows, row_buffer, run_frame};
use ocelli_qemu::counter::InstructionCounter;
use ocelli_qemu::files::{self, FileError};
use ocelli_qemu::memory;
use ocelli_qemu::uart::Uart;

/// Pixels of a row, at most.
const WIDEST: usize = 1024;

#[ocelli_qemu::entry]
fn main() -> ! {
    ocelli_qemu::console::exit(serve())
}

/// What ends the image.
enum Failure {
    Taken,
    File(FileError),
    Model(ModelError),
    Engine(EngineError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("memory and counter are taken"),
            Self::File(error) => error.fmt(f),
            Self::Model(error) => write!(f, "the model is refused: {error}"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

/// Serves rows until QEMU ends.
fn serve() -> Result<(), Failure> {
    let regions = memory::take().ok_or(Failure::Taken)?;
    let counter = InstructionCounter::start().ok_or(Failure::Taken)?;
    let model = files::read(c"model", regions.model).map_err(Failure::File)?;
    let model = Model::open(model).map_err(Failure::Model)?;
    let mut engine = Engine::<{ operator::ALL }>::new(model, regions.memory.free).map_err(Failure::Engine)?;
    let mut rows = SerialRows::<_, { row_buffer(WIDEST) }>::new(Uart::start(), &model);
    loop {
        let Ok(()) = match run_frame(&mut engine, &mut rows, &counter) {
            Ok((output, count)) => rows.answer(&output, &counter, count),
            Err(_) => rows.fail(),
        };
    }
}
