//! Running a model over many inputs.

use core::fmt;

use ocelli::{Engine, EngineError, Model, ModelError, RunError};

use crate::{PaintedStack, Report};

/// Counts instructions.
pub trait Counter {
    /// Instructions since some fixed moment.
    fn instructions(&self) -> u64;
}

/// Where inputs come from and outputs go to.
pub trait Files {
    /// Why a file could not be read or written.
    type Error;

    /// Fills `input` with the next input; `false` if there is none left.
    ///
    /// # Errors
    /// If the inputs cannot be read, or end within this one.
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
    /// Arena and one input; aligned to 16 bytes.
    pub free: &'a mut [u8],
    /// Lowest address of the stack.
    pub stack_bottom: *mut u32,
}

/// Why a batch did not run.
#[derive(Debug)]
pub enum BatchError<E> {
    /// The packed model is refused.
    Model(ModelError),
    /// The engine refuses the arena.
    Engine(EngineError),
    /// The engine refuses an input.
    Run(RunError),
    /// Inputs or outputs failed.
    Files(E),
    /// Arena and input do not fit.
    Memory {
        /// Bytes that the model needs.
        needed: usize,
        /// Bytes that there are.
        available: usize,
    },
    /// The stack overflowed.
    Stack,
    /// There is not one input.
    NoInput,
}

impl<E: fmt::Display> fmt::Display for BatchError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "the model is refused: {error}"),
            Self::Engine(error) => write!(f, "the engine does not start: {error}"),
            Self::Run(error) => write!(f, "the input is refused: {error}"),
            Self::Files(error) => error.fmt(f),
            Self::Memory { needed, available } => {
                write!(
                    f,
                    "the model needs {needed} bytes for its arena and input, and this machine has {available}"
                )
            }
            Self::Stack => write!(f, "the stack overflowed"),
            Self::NoInput => write!(f, "there is no input"),
        }
    }
}

/// An engine with every operator.
type AnyEngine<'a> = Engine<'a, { ocelli::operators::ALL }>;

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
    let (arena_bytes, input_bytes) = (model.arena_bytes(), model.input().len());
    let (arena, input) = divide(memory.free, arena_bytes, input_bytes)?;
    let mut engine = AnyEngine::new(model, arena).map_err(BatchError::Engine)?;

    let mut report: Option<Report> = None;
    while files.read_input(input).map_err(BatchError::Files)? {
        let stack = match report {
            // SAFETY: the caller vouches for the stack.
            None => Some(unsafe { PaintedStack::paint(memory.stack_bottom) }),
            Some(_) => None,
        };
        let start = counter.instructions();
        let output = infer(&mut engine, input).map_err(BatchError::Run)?;
        let instructions = counter.instructions() - start;
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
        files.write_output(output).map_err(BatchError::Files)?;
    }
    report.ok_or(BatchError::NoInput)
}

/// One inference, in a frame of its own, so that the stack it uses lies below the painter's caller.
#[inline(never)]
fn infer<'a>(engine: &'a mut AnyEngine<'_>, input: &[i8]) -> Result<&'a [i8], RunError> {
    engine.run(input)
}

/// The arena, and after it a buffer for the input.
fn divide<E>(
    free: &mut [u8],
    arena_bytes: usize,
    input_bytes: usize,
) -> Result<(&mut [u8], &mut [i8]), BatchError<E>> {
    let too_small =
        BatchError::Memory { needed: arena_bytes.saturating_add(input_bytes), available: free.len() };
    let Some((arena, rest)) = free.split_at_mut_checked(arena_bytes) else { return Err(too_small) };
    let Some(input) = rest.get_mut(..input_bytes) else { return Err(too_small) };
    // SAFETY: `i8` and `u8` have the same size and alignment, and every bit pattern is valid for both.
    let input = unsafe { core::slice::from_raw_parts_mut(input.as_mut_ptr().cast::<i8>(), input.len()) };
    Ok((arena, input))
}
