//! Why a model does not start, or an inference does not run.

use core::fmt;

use ocelli_format::{Operator, Target};

use crate::Problem;

/// Why [`Engine::new`](crate::Engine::new) refused a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EngineError {
    /// The arena is too small.
    Arena {
        /// Bytes that the model needs.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The model was packed for kernels of a target that this engine was built without.
    Target {
        /// The model's.
        found: Target,
    },
    /// The engine was built without an operator that the model uses.
    Operator {
        /// Index of the step.
        step: usize,
        /// The operator.
        operator: Operator,
    },
    /// A step's tensors and parameters do not fit together.
    Step {
        /// Its index.
        step: usize,
        /// What does not fit.
        problem: Problem,
    },
}

impl fmt::Display for EngineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena { needed, given } => {
                write!(formatter, "the model needs an arena of {needed} bytes, {given} were given")
            }
            Self::Target { found } => write!(
                formatter,
                "the model was packed for kernels of target `{}` that this engine was built without: build it with the model's own operators or \
                 `operator::ALL`, or quantize it again with `--target portable`",
                found.name()
            ),
            Self::Operator { step, operator } => write!(
                formatter,
                "step {step} is a {}, which this engine was built without; build it with the model's own operators or `operator::ALL`",
                operator.name()
            ),
            Self::Step { step, problem } => write!(formatter, "step {step}: {problem}; pack the model again"),
        }
    }
}

impl core::error::Error for EngineError {}

/// Why an inference did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RunError {
    /// The input has not the model's length.
    InputLength {
        /// Values that the model takes.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A row of the input has not the model's length.
    RowLength {
        /// Values, or bytes of pixels, a row.
        expected: usize,
        /// Those given.
        found: usize,
    },
    /// A row came after the last of the frame.
    TooManyRows {
        /// Rows of a frame.
        expected: usize,
    },
    /// The output was asked for before all rows came.
    MissingRows {
        /// Rows of a frame.
        expected: usize,
        /// Rows that came.
        found: usize,
    },
    /// The model does not say what its input is made of pixels, or takes pixels of other channels.
    NoPreprocessing,
    /// A step could not run. This does not happen with a model that [`Engine::new`](crate::Engine::new) took.
    Step {
        /// Its index.
        step: usize,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputLength { expected, found } => {
                write!(formatter, "the model takes {expected} input values, {found} were given")
            }
            Self::RowLength { expected, found } => {
                write!(formatter, "a row of the input has {expected} values, {found} were given")
            }
            Self::TooManyRows { expected } => {
                write!(formatter, "a frame has {expected} rows, which all came; `finish` it before the next")
            }
            Self::MissingRows { expected, found } => {
                write!(formatter, "a frame has {expected} rows, {found} came; `push_row` the others")
            }
            Self::NoPreprocessing => write!(
                formatter,
                "the model does not say how to make its input of such pixels; give it int8 rows, or quantize it with calibration images"
            ),
            Self::Step { step } => write!(formatter, "step {step} could not run"),
        }
    }
}

impl core::error::Error for RunError {}
