//! Reading network files.

use std::path::{Path, PathBuf};

use ocelli_compiler::graph::TensorId;
use ocelli_compiler::import::{self, ImportError, ImportOptions, Imported, Problem};
use ocelli_compiler::simplify::simplify;

use crate::files;

/// A network, simplified.
pub struct Network {
    /// What the file holds.
    pub imported: Imported,
    /// What was simplified, a line each.
    pub simplified: Vec<String>,
}

impl Network {
    /// The one input and the one output that a packed model has.
    pub fn ends(&self) -> Result<[TensorId; 2], Problem> {
        let graph = &self.imported.graph;
        match (graph.inputs.as_slice(), graph.outputs.as_slice()) {
            (&[input], &[output]) => Ok([input, output]),
            (inputs, outputs) => Err(Problem::of_file(
                format!(
                    "the network has {} inputs and {} outputs, a packed model has one of each",
                    inputs.len(),
                    outputs.len()
                ),
                "export the network with one input and one output",
            )),
        }
    }
}

/// Why a network cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is a packed model.
    #[error("{} is a packed model; give the ONNX or TFLite network that it was made of", .0.display())]
    Packed(PathBuf),
    /// The importer refuses it.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Reads and simplifies a network.
pub fn load(path: &Path, input_shape: &[usize]) -> Result<Network, Error> {
    if files::is_packed(path).unwrap_or(false) {
        return Err(Error::Packed(path.to_owned()));
    }
    let options = ImportOptions { input_shape: (!input_shape.is_empty()).then(|| input_shape.to_vec()) };
    let mut imported = import::load_with(path, &options)?;
    let simplified = simplify(&mut imported.graph);
    Ok(Network { imported, simplified })
}
