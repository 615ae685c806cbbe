//! Reading network files.

use std::path::Path;

use anyhow::{Result, bail};
use ocelli_compiler::import::{self, ImportOptions, Imported};

/// Reads a network.
pub fn load(path: &Path, input_shape: &[usize]) -> Result<Imported> {
    if std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(&ocelli_format::MAGIC)) {
        bail!("{} is a packed model; give the ONNX or TFLite network that it was made of", path.display());
    }
    let options = ImportOptions { input_shape: (!input_shape.is_empty()).then(|| input_shape.to_vec()) };
    Ok(import::load_with(path, &options)?)
}
