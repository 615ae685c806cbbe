//! Models and inputs for the tests of the firmware on every QEMU machine.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ocelli::{Engine, Feed, Model, operator, test_bytes};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::import::{self, Imported};
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::{Optimize, PlanOptions, plan_for};
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::quantize::{Options, constant_channels, quantize};
use ocelli_compiler::quantized::QuantizedGraph;
use ocelli_compiler::simplify::simplify;
use ocelli_format::{Metadata, Target};
use ocelli_machines::Machine;

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

/// An int8 network, to be packed for any target.
#[derive(Debug)]
pub struct Network {
    /// For messages.
    pub name: String,
    graph: QuantizedGraph,
}

impl Network {
    /// Packs it for a target.
    ///
    /// # Errors
    /// Why it cannot be packed.
    pub fn packed(&self, target: Target) -> Result<PackedModel, String> {
        // Fed by rows, in the smallest arena: what is hardest to run.
        let options = PlanOptions { feed: Feed::Rows, optimize: Optimize::Memory, arena_limit: None };
        let (lowered, plan) = plan_for(&self.graph, target, &options);
        let file = pack(&lowered.graph, &plan, Metadata::default()).map_err(|error| error.to_string())?;
        Ok(PackedModel::new(&format!("{} for {}", self.name, target.name()), &file))
    }
}

/// The target of packed models whose kernels are fast on a machine.
///
/// # Panics
/// If its name is none of a target.
pub fn fast_on(machine: &Machine) -> Target {
    let mut targets = Target::ALL.into_iter();
    targets.find(|target| target.name() == machine.kernels).expect("the table names targets")
}

/// An int8 TFLite network as it is, without the channels that never change.
///
/// # Errors
/// Why it cannot be imported.
pub fn import_int8(path: &Path) -> Result<Network, String> {
    let mut graph = imported(&load(path)?.graph).map_err(|error| error.to_string())?;
    constant_channels::fold(&mut graph);
    packable(path, graph)
}

/// A float network, quantized on 16 samples of arbitrary numbers from -4 to 4.
///
/// # Errors
/// Why it cannot be imported or quantized.
pub fn quantize_float(path: &Path) -> Result<Network, String> {
    let network = load(path)?;
    let &[input] = network.graph.inputs.as_slice() else { return Err("it has not one input".to_owned()) };
    let shape = network.graph.tensor(input).shape;
    let samples = test_bytes(1).take(16 * shape.len()).map(|byte| f32::from(byte) / 32.0);
    let mut file = tempfile::Builder::new().suffix(".f32").tempfile().map_err(|error| error.to_string())?;
    let bytes: Vec<u8> = samples.flat_map(f32::to_le_bytes).collect();
    file.write_all(&bytes).map_err(|error| error.to_string())?;
    let data = Dataset::open(&[file.path().to_owned()], shape, &DataOptions::default())
        .map_err(|error| error.to_string())?;
    let quantized = quantize(&network.graph, &data, &Options::default(), &|_, _, _| {})
        .map_err(|error| error.to_string())?;
    packable(path, quantized.graph)
}

/// This repository's networks, quantized.
///
/// # Panics
/// If one is not there or cannot be quantized.
pub fn own_networks() -> &'static [Network] {
    static MODELS: OnceLock<Vec<Network>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let files = [
            "digits/mobilenet_v2_digits",
            "digits/mobilevit_digits",
            "cifar10/mobilenet_v2_cifar10",
            "cifar10/mobilevit_cifar10",
        ];
        let quantized = |file: &str| {
            let path = root().join(format!("models/{file}.onnx"));
            quantize_float(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        files.into_iter().map(quantized).collect()
    })
}

/// Reads and simplifies a network, as the command does.
fn load(path: &Path) -> Result<Imported, String> {
    let mut network = import::load(path).map_err(|error| error.to_string())?;
    simplify(&mut network.graph);
    Ok(network)
}

/// The network, if it can be packed at all.
fn packable(path: &Path, graph: QuantizedGraph) -> Result<Network, String> {
    let network = Network { name: name(path), graph };
    network.packed(Target::Portable)?;
    Ok(network)
}

/// The golden cases of one operator each, under both rules of requantization: int8 TFLite files as they are, and float ONNX files quantized.
/// Cases that are refused, because they have two inputs for example, are left out.
///
/// # Panics
/// If the files are not there, or few cases are left.
pub fn single_operators() -> &'static [Network] {
    static MODELS: OnceLock<Vec<Network>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let int8 = cases("tflite_ops", "tflite").into_iter().filter(|path| !name(path).ends_with("_float"));
        let mut models: Vec<_> = int8.filter_map(|path| import_int8(&path).ok()).collect();
        assert!(models.len() > 180, "only {} int8 cases", models.len());
        let before = models.len();
        models.extend(cases("onnx", "onnx").into_iter().filter_map(|path| quantize_float(&path).ok()));
        assert!(models.len() - before > 180, "only {} float cases", models.len() - before);
        models
    })
}

/// The packed model of all operators of attention, whose numbers are arbitrary.
///
/// # Panics
/// If the file is not there.
pub fn attention_sample() -> PackedModel {
    let path = root().join("crates/ocelli-format/tests/golden/v2_attention.ocelli");
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    PackedModel::new(&name(&path), &file)
}

fn cases(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/golden").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
