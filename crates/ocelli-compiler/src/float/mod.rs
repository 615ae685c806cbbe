//! The float reference: a [`Graph`](crate::graph::Graph) run in single precision, and ONNX files run as they are.
//!
//! A graph is written back as ONNX and run by `rten`, so that this crate has no second implementation of any operator.

mod activation;
mod attention;
#[cfg(test)]
mod attention_tests;
mod model;
mod operators;
mod protobuf;
mod reference;

pub use model::FloatModel;
pub use operators::to_onnx;
pub use reference::OnnxReference;

use crate::graph::GraphError;

/// Why a network cannot be run in float.
#[derive(Debug, thiserror::Error)]
pub enum FloatError {
    /// The shapes of a node's inputs do not fit its operator.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The engine refused the network.
    #[error("cannot load {name} into the float engine: {reason}")]
    Load {
        /// The network or file.
        name: String,
        /// The engine's message.
        reason: String,
    },
    /// The engine stopped.
    #[error("the float engine stopped in {name}: {reason}")]
    Run {
        /// The network or file.
        name: String,
        /// The engine's message.
        reason: String,
    },
    /// The input has another size than the network's.
    #[error("{name} takes an input of {expected} values, not {found}")]
    InputSize {
        /// The network or file.
        name: String,
        /// Elements that the network takes.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The number of inputs is wrong.
    #[error("{name} takes {expected} inputs, not {found}")]
    InputCount {
        /// The network or file.
        name: String,
        /// Inputs that the network takes.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
}
