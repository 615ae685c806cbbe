//! int8 neural vision on microcontrollers: `no_std`, no heap, the same bytes on host and board.
//!
//! ```
//! use ocelli::{Aligned, Engine, Model, operator};
//!
//! fn classify(model: &[u8], image: &[i8], arena: &mut [u8]) -> Result<usize, Box<dyn core::error::Error>> {
//!     let model = Model::open(model)?;
//!     let mut engine = Engine::<{ operator::ALL }>::new(model, arena)?;
//!     let output = engine.run(image)?;
//!     Ok(output.top_k::<1>()[0].index)
//! }
//! assert!(classify(&Aligned([0; 128]).0, &[], &mut []).is_err());
//! ```
//!
//! A firmware image names its model with [`include_model!`] and links only the operators that the model uses:
//!
//! ```
//! use ocelli::{Engine, IncludedModel, include_model};
//!
//! const MODEL: IncludedModel = include_model!("../../ocelli-format/tests/golden/v2.ocelli");
//!
//! let mut arena = [0; MODEL.arena_bytes()];
//! let mut engine = Engine::<{ MODEL.operators() }>::new(MODEL.open()?, &mut arena)?;
//! assert_eq!(engine.self_test()?, Some(true));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod engine;
mod error;
mod memory;
mod output;
mod pixels;
mod problem;
mod stage;
mod steps;

pub use engine::Engine;
pub use error::{EngineError, RunError};
pub use ocelli_format::{
    ALIGNMENT, Aligned, Feed, IncludedModel, Model, ModelError, Numerics, Operator, Preprocessing, SelfTest,
    Step, Target, TensorInfo, include_model, operator, test_bytes,
};
pub use output::{Class, Output};
pub use pixels::PixelFormat;
pub use problem::Problem;
pub use steps::rows_at_once;
