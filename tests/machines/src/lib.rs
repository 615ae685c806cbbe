//! Models and inputs for the tests of the firmware on every QEMU machine.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use ocelli::{Engine, Model, operator, test_bytes};
use ocelli_compiler::import;
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::imported::imported;
use ocelli_format::{Metadata, Target};

/// A packed model with its name.
#[derive(Debug)]
pub struct PackedModel {
    /// For messages.
    pub name: String,
    file: AlignedBytes,
}

impl PackedModel {
    /// Takes a packed file.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), file: AlignedBytes::new(bytes) }
    }

    /// The packed file.
    pub fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// A view of it.
    ///
    /// # Panics
    /// If it does not open.
    pub fn model(&self) -> Model<'_> {
        Model::open(self.bytes()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// `count` inputs of arbitrary bytes, concatenated.
    pub fn inputs(&self, count: u32) -> Vec<u8> {
        let length = self.model().input().len();
        (0..count).flat_map(|seed| test_bytes(seed + 1).take(length).map(i8::cast_unsigned)).collect()
    }

    /// The outputs on the host, concatenated.
    ///
    /// # Panics
    /// If the engine refuses the model.
    pub fn run_on_host(&self, inputs: &[u8]) -> Vec<u8> {
        let model = self.model();
        let mut arena = vec![0; model.arena_bytes()];
        let mut engine =
            Engine::<{ operator::ALL }>::new(model, &mut arena).expect("the packer has started it");
        let mut outputs = Vec::new();
        for input in inputs.chunks_exact(model.input().len()) {
            let input: Vec<i8> = input.iter().map(|value| value.cast_signed()).collect();
            let output = engine.run(&input).expect("the engine took the model");
            outputs.extend(output.iter().map(|value| value.cast_unsigned()));
        }
        outputs
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// An int8 TFLite network, packed as it is.
///
/// # Errors
/// Why it cannot be imported.
pub fn import_int8(path: &Path) -> Result<PackedModel, String> {
    let network = import::load(path).map_err(|error| error.to_string())?;
    let graph = imported(&network.graph).map_err(|error| error.to_string())?;
    let file = pack(&graph, &plan(&graph), Target::Portable, Metadata::default())
        .map_err(|error| error.to_string())?;
    Ok(PackedModel::new(&path.file_stem().unwrap_or_default().to_string_lossy(), &file))
}

/// The golden cases of one operator each, int8, but for those that are refused because they have two inputs.
///
/// # Panics
/// If the folder is not there, or few cases are left.
pub fn single_operators() -> Vec<PackedModel> {
    let folder = root().join("tests/golden/tflite_ops");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tflite"))
        .filter(|path| !path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_float")))
        .collect();
    paths.sort();
    let models: Vec<_> = paths.iter().filter_map(|path| import_int8(path).ok()).collect();
    assert!(models.len() > 180, "only {} of {} cases can be imported", models.len(), paths.len());
    models
}
