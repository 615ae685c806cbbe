//! Reads networks from ONNX and TFLite files into a [`Graph`].
//!
//! Every question of layout is settled here: whatever the file's order of axes, the graph's tensors are `height x width x channels`.

mod builder;
mod constant;
mod edge;
mod elementwise;
mod error;
mod formula;
mod layout;
mod maps;
mod missed;
mod norm;
mod onnx;
mod parts;
mod tflite;
mod tokens;

use std::path::Path;

pub use edge::Edge;
pub use error::{ImportError, Problem};

use crate::graph::Graph;

/// A file above this is refused: no microcontroller's network is as large, and offsets in both formats are 32-bit.
const MAX_FILE_BYTES: u64 = 1 << 31;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Protobuf, by its structure or the extension `.onnx`.
    Onnx,
    /// Flatbuffer with the identifier `TFL3`.
    TfLite,
}

/// What the user may say about a file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The input's dimensions in the file's order, batch included, where the file leaves some open.
    pub input_shape: Option<Vec<usize>>,
}

/// A network read from a file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network.
    pub graph: Graph,
    /// The format of the file.
    pub format: Format,
    /// Whether the network is int8 already, with the file's own scales; else it is float.
    pub int8: bool,
    /// The inputs as the file has them, in the order of [`Graph::inputs`].
    pub inputs: Vec<Edge>,
    /// The outputs as the file has them, in the order of [`Graph::outputs`].
    pub outputs: Vec<Edge>,
    /// Patterns that were not recognised, in a sentence each: why, and what it costs.
    pub notes: Vec<String>,
}

/// What a format's reader makes.
struct Parsed {
    graph: Graph,
    inputs: Vec<Edge>,
    outputs: Vec<Edge>,
    notes: Vec<String>,
}

/// Reads a network file.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds anything that Ocelli does not compute: all problems at once.
pub fn load(path: &Path) -> Result<Imported, ImportError> {
    load_with(path, &ImportOptions::default())
}

/// A file's bytes, if it is not oversized.
fn read(path: &Path) -> Result<Vec<u8>, ImportError> {
    let fail = |problem: Problem| ImportError { path: path.to_owned(), problems: vec![problem] };
    let unreadable = |error: std::io::Error| {
        fail(Problem::of_file(
            format!("the file cannot be read ({error})"),
            "check the path and its permissions",
        ))
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        return Err(fail(Problem::of_file(
            format!("the file has {size} bytes, more than {MAX_FILE_BYTES}"),
            "use a network that fits a microcontroller",
        )));
    }
    std::fs::read(path).map_err(unreadable)
}

/// [`load`] with what the user says about the file.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let bytes = read(path)?;
    let named_tflite = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"));
    if named_tflite && !bytes.is_empty() && !tflite::is_tflite(&bytes) {
        let problem = Problem::of_file(
            "the file does not have TFLite's identifier TFL3 at byte 4",
            "copy or convert the file again",
        );
        return Err(ImportError { path: path.to_owned(), problems: vec![problem] });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut imported = from_bytes(&bytes, folder, options)
        .map_err(|problems| ImportError { path: path.to_owned(), problems })?;
    if imported.graph.name.is_empty() {
        imported.graph.name =
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    }
    Ok(imported)
}

/// Checks that an ONNX file is whole before another library reads it.
pub(crate) fn check_onnx(path: &Path) -> Result<(), ImportError> {
    read(path).and_then(|bytes| {
        onnx::check_structure(&bytes)
            .map_err(|problem| ImportError { path: path.to_owned(), problems: vec![problem] })
    })
}

/// [`load_with`] from memory; `folder` is where an ONNX model's external data lies.
///
/// # Errors
/// All problems at once.
pub fn from_bytes(bytes: &[u8], folder: &Path, options: &ImportOptions) -> Result<Imported, Vec<Problem>> {
    if bytes.is_empty() {
        return Err(vec![Problem::of_file("the file is empty", "export the network again")]);
    }
    let format = if tflite::is_tflite(bytes) { Format::TfLite } else { Format::Onnx };
    let parsed = match format {
        Format::Onnx => onnx::parse(bytes, folder, options)?,
        Format::TfLite => tflite::parse(bytes, options)?,
    };
    // ONNX keeps weights real even where it states scales.
    let int8 =
        format == Format::TfLite && parsed.graph.tensors.iter().any(|tensor| tensor.quantization.is_some());
    let Parsed { graph, inputs, outputs, notes } = parsed;
    Ok(Imported { graph, format, int8, inputs, outputs, notes })
}
