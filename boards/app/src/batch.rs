//! Running a model over many inputs.

use core::fmt;

use ocelli::{Engine, EngineError, Model, ModelError, Output, RunError, operator};

use crate::{Counter, PaintedStack, Report};

/// Where inputs come from and outputs go to.
pub trait Files {
    /// Why a file could not be read or written.
    type Error;

    /// Fills `input` with the next values of the inputs; `false` if there are none left.
    ///
    /// # Errors
    /// If the inputs cannot be read, or end within these values.
    fn read_input(&mut self, input: &mut [i8]) -> Result<bool, Self::Error>;

    /// Appends an output.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write_output(&mut self, output: &[i8]) -> Result<(), Self::Error>;
}

/// The memory that a batch works in.
#[derive(Debug)]
pub struct Memory<'a> {
    /// For the arena; aligned to 16 bytes.
    pub free: &'a mut [u8],
    /// Lowest address of the stack.
    pub stack_bottom: *mut u32,
}

/// Why a batch did not run.
#[derive(Debug)]
pub enum BatchError<E> {
    /// The packed model is refused.
    Model(ModelError),
    /// The engine refuses the model, or its arena does not fit.
    Engine(EngineError),
    /// An inference failed.
    Run(RunError),
    /// Inputs or outputs failed.
    Files(E),
    /// The stack overflowed.
    Stack,
    /// There is not one input.
    NoInput,
    /// The inputs end within one.
    Cut,
}

impl<E: fmt::Display> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "the model is refused: {error}"),
            Self::Engine(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Files(error) => error.fmt(f),
            Self::Stack => write!(f, "the stack overflowed"),
            Self::Cut => write!(f, "the inputs are not a whole number of inputs"),
            Self::NoInput => write!(f, "there is no input"),
        }
    }
}

/// An engine with every operator.
type AnyEngine<'m, 'a> = Engine<'m, 'a, { operator::ALL }>;

/// Opens the packed `model`, runs it on every input and writes every output.
///
/// # Errors
/// If the model is refused, does not fit, or the files fail.
///
/// # Safety
/// `memory.stack_bottom` must be as [`PaintedStack::paint`] requires.
pub unsafe fn run_batch<F: Files>(
    model: &[u8],
    memory: Memory<'_>,
    counter: &impl Counter,
    files: &mut F,
) -> Result<Report, BatchError<F::Error>> {
    let model = Model::open(model).map_err(BatchError::Model)?;
    let arena_bytes = model.arena_bytes();
    let mut engine = AnyEngine::new(model, memory.free).map_err(BatchError::Engine)?;

    let mut report: Option<Report> = None;
    while read_row(&mut engine, files)? {
        let stack = match report {
            // SAFETY: the caller vouches for the stack.
            None => Some(unsafe { PaintedStack::paint(memory.stack_bottom) }),
            Some(_) => None,
        };
        let mut instructions = 0;
        loop {
            let start = counter.count();
            push(&mut engine).map_err(BatchError::Run)?;
            instructions += counter.count() - start;
            if engine.input_row().is_none() {
                break;
            }
            if !read_row(&mut engine, files)? {
                return Err(BatchError::Cut);
            }
        }
        let start = counter.count();
        let output = finish(&mut engine).map_err(BatchError::Run)?;
        instructions += counter.count() - start;
        let report = report.get_or_insert(Report {
            inferences: 0,
            instructions,
            instructions_min: instructions,
            instructions_max: instructions,
            stack_bytes: 0,
            arena_bytes,
        });
        if let Some(stack) = stack {
            report.stack_bytes = stack.used_bytes().ok_or(BatchError::Stack)?;
        }
        report.inferences += 1;
        report.instructions_min = report.instructions_min.min(instructions);
        report.instructions_max = report.instructions_max.max(instructions);
        files.write_output(&output).map_err(BatchError::Files)?;
    }
    report.ok_or(BatchError::NoInput)
}

/// Reads the next row of an input; `false` if there is none left.
fn read_row<'m: 'a, 'a, F: Files>(
    engine: &mut AnyEngine<'m, 'a>,
    files: &mut F,
) -> Result<bool, BatchError<F::Error>> {
    files.read_input(engine.input_row().unwrap_or_default()).map_err(BatchError::Files)
}

/// Takes a row, in a frame of its own, so that the stack it uses lies below the painter's caller.
#[inline(never)]
fn push<'m: 'a, 'a>(engine: &mut AnyEngine<'m, 'a>) -> Result<(), RunError> {
    engine.push()
}

/// The rest of an inference, in a frame of its own.
#[inline(never)]
fn finish<'e, 'm: 'a, 'a>(engine: &'e mut AnyEngine<'m, 'a>) -> Result<Output<'e>, RunError> {
    engine.finish()
}
