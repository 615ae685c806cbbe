//! Int8 TFLite networks give the bytes of the TFLite interpreter's reference kernels.

mod golden_file;

use std::path::{Path, PathBuf};

use golden_file::{Golden, generated};
use ocelli::{Engine, Model, TensorInfo, operator};
use ocelli_compiler::graph::{Constant, Node, Operator};
use ocelli_compiler::import::{self, Edge, Imported};
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::constant_channels;
use ocelli_compiler::quantize::imported::imported;
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

/// Cases that are refused: TFLite subtracts with a rounding of its own, which no operator here has.
const REFUSED: &[&str] = &["sub", "edge_sub_many"];

/// An int8 network, packed, with the order of its elements in the file.
struct Packed {
    file: AlignedBytes,
    input: Edge,
    output: Edge,
}

fn load(path: &Path) -> Result<Packed, String> {
    let mut network = import::load(path).map_err(|error| error.to_string())?;
    simplify(&mut network.graph);
    packed(network)
}

fn packed(mut network: Imported) -> Result<Packed, String> {
    let mut graph = imported(&network.graph).map_err(|error| error.to_string())?;
    constant_channels::fold(&mut graph);
    let file = pack(&graph, &plan(&graph), Metadata::default()).map_err(|error| error.to_string())?;
    Ok(Packed {
        file: AlignedBytes::new(&file),
        input: network.inputs.swap_remove(0),
        output: network.outputs.swap_remove(0),
    })
}

/// The network with every input but the first made a constant of this sample's values: networks here have one input, but the operators of
/// two take any.
fn with_constants(path: &Path, others: &[Vec<i8>]) -> Result<Packed, String> {
    let mut network = import::load(path).map_err(|error| error.to_string())?;
    let inputs = network.graph.inputs.split_off(1);
    for ((output, edge), values) in inputs.into_iter().zip(&network.inputs[1..]).zip(others) {
        let operator = Operator::Constant(Constant::Int8(edge.from_file(values)));
        let name = network.graph.tensor(output).name.clone();
        network.graph.nodes.insert(0, Node { name, operator, inputs: Vec::new(), output });
    }
    packed(network)
}

/// Runs inputs in the file's order and type, and gives outputs likewise. `uint8` bytes differ from int8 by 128.
fn run(network: &Packed, inputs: &[Vec<i8>]) -> Vec<Vec<i8>> {
    let model = Model::open(network.file.bytes()).expect("it opens");
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).expect("it starts");
    assert_eq!(engine.self_test(), Ok(Some(true)));
    inputs
        .iter()
        .map(|input| {
            let output = engine.run(&network.input.from_file(input)).expect("it runs");
            network.output.to_file(output.values())
        })
        .collect()
}

fn flip(values: &[u8], dtype: &str) -> Vec<i8> {
    values.iter().map(|&value| if dtype == "uint8" { (value ^ 0x80) as i8 } else { value as i8 }).collect()
}

/// The int8 values of a tensor that the file may have as floats.
fn in_int8(values: &[u8], dtype: &str, info: &TensorInfo) -> Vec<i8> {
    if dtype != "float32" {
        return flip(values, dtype);
    }
    values.as_chunks().0.iter().map(|&bytes| info.quantize(f32::from_le_bytes(bytes))).collect()
}

/// How many output bytes of a case differ, and how many there are.
fn differing(path: &Path, golden: &Golden) -> Result<(usize, usize), String> {
    let inputs = golden.all("input");
    let (expected, dtype) = golden.samples("output");
    let alone = if inputs.len() == 1 { Some(load(path)?) } else { None };
    let (mut wrong, mut total) = (0, 0);
    for (sample, expected) in expected.into_iter().enumerate() {
        let others: Vec<Vec<i8>> =
            inputs.iter().skip(1).map(|(samples, dtype)| flip(samples[sample], dtype)).collect();
        let merged;
        let network = match &alone {
            Some(network) => network,
            None => {
                merged = with_constants(path, &others)?;
                &merged
            }
        };
        let model = Model::open(network.file.bytes()).expect("it opens");
        let (samples, input_dtype) = &inputs[0];
        let input = in_int8(samples[sample], input_dtype, model.input());
        let output = run(network, &[input]).remove(0);
        let expected = in_int8(expected, dtype, model.output());
        assert_eq!(output.len(), expected.len());
        wrong += output.iter().zip(&expected).filter(|(output, expected)| output != expected).count();
        total += expected.len();
    }
    Ok((wrong, total))
}

#[test]
fn single_operators_equal_the_interpreter() {
    let folder = golden_file::folder().join("tflite_ops");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of golden files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tflite"))
        .collect();
    paths.sort();
    let mut failures = Vec::new();
    let mut equal = 0;
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name.ends_with("_float") {
            continue;
        }
        if REFUSED.contains(&name.as_str()) {
            let inputs = Golden::open(&path.with_extension("golden")).all("input").len();
            let zeros = vec![Vec::new(); inputs - 1];
            assert!(with_constants(&path, &zeros).is_err(), "{name} is not refused any more");
            continue;
        }
        let golden = Golden::open(&path.with_extension("golden"));
        match differing(&path, &golden) {
            Ok((0, _)) => equal += 1,
            Ok((wrong, total)) => failures.push(format!("{name}: {wrong} of {total} bytes differ")),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{equal} cases are equal, these not:\n{}", failures.join("\n"));
    assert!(equal > 200, "only {equal} cases were there");
}

#[test]
fn half_of_vww_never_changes() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models/mlperf-tiny/vww_96_int8.tflite");
    if !path.is_file() {
        eprintln!("skipped: {} is not there", path.display());
        return;
    }
    let network = load(&path).unwrap_or_else(|error| panic!("{error}"));
    // 7,489,664 in the file; tests/golden holds that the outputs stay the same.
    assert_eq!(Model::open(network.file.bytes()).expect("it opens").macs(), 3_733_073);
}

#[test]
fn shared_networks_equal_the_interpreter() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !shared.is_dir() {
        eprintln!("skipped: {} is not there", shared.display());
        return;
    }
    // Debug builds are slow: a sample of the inputs here, all of them in release builds.
    let step = if cfg!(debug_assertions) { 37 } else { 1 };
    let mut failures = Vec::new();
    for (folder, name) in [
        ("mlperf-tiny", "vww_96_int8"),
        ("mlperf-tiny", "kws_ref_model"),
        ("mlperf-tiny", "pretrainedResnet_quant"),
        ("mlperf-tiny", "ad01_int8"),
        ("cifar10", "mobilenet_v2_0.35_96_cifar10_int8_ptq"),
        ("imagenet", "mobilenet_v1_0.25_224_int8_ptq"),
        ("imagenet", "mobilenet_v2_1.0_224_int8_ptq_coral"),
        ("imagenet", "mobilenet_v2_1.0_224_int8_pytorch_tflm"),
    ] {
        let path = shared.join("models").join(folder).join(format!("{name}.tflite"));
        let golden = Golden::open(&golden_file::folder().join("tflite").join(format!("{name}.golden")));
        let network = match load(&path) {
            Ok(network) => network,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        let length = network.input.dims.iter().product();
        let inputs = shared_inputs(&shared, &golden, length);
        assert_eq!(inputs.len(), golden.count(), "{name}");
        let chosen: Vec<usize> =
            (0..inputs.len()).step_by(if inputs.len() > 100 { step } else { 1 }).collect();
        let inputs: Vec<Vec<i8>> = chosen.iter().map(|&index| inputs[index].clone()).collect();
        let (expected, dtype) = golden.samples("output");
        let outputs = run(&network, &inputs);
        let wrong = outputs
            .iter()
            .zip(&chosen)
            .filter(|(output, index)| **output != flip(expected[**index], dtype))
            .count();
        println!("{name}: {} of {} outputs equal", outputs.len() - wrong, outputs.len());
        if wrong > 0 {
            failures.push(format!("{name}: {wrong} of {} outputs differ", outputs.len()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The inputs that a golden file names, one for each sample.
fn shared_inputs(shared: &Path, golden: &Golden, length: usize) -> Vec<Vec<i8>> {
    let source = golden.header["input_source"].as_str().expect("a source");
    let pixels = |files: &[&str]| -> Vec<Vec<i8>> {
        let bytes = files.iter().flat_map(|file| {
            image::open(shared.join("data").join(file)).expect("an image").into_rgb8().into_raw()
        });
        let bytes: Vec<i8> = bytes.map(|pixel| (pixel ^ 0x80) as i8).collect();
        bytes.chunks_exact(length).map(<[i8]>::to_vec).collect()
    };
    if source == "xorshift32" {
        // The networks with uint8 outputs have uint8 inputs, too: the same bytes, read unsigned.
        let (_, dtype) = golden.samples("output");
        let bytes =
            |sample| generated(sample, length).into_iter().map(i8::cast_unsigned).collect::<Vec<u8>>();
        (0..golden.count() as u32).map(|sample| flip(&bytes(sample), dtype)).collect()
    } else if source.contains("kws01") {
        let bytes = std::fs::read(shared.join(source)).expect("the keywords");
        bytes.chunks_exact(length).map(|chunk| chunk.iter().map(|&byte| byte as i8).collect()).collect()
    } else if source.contains("cifar10") {
        pixels(&["cifar10/test_00.png", "cifar10/test_01.png", "cifar10/test_02.png"])
    } else {
        assert!(source.contains("vww01_open"), "{source}");
        pixels(&["vww/vww01_open.png", "vww/coco128_calib.png"])
    }
}
