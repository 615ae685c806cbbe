//! Whole networks: what the importer makes of a file computes what the file computes.

mod import_common;

use std::path::Path;

use import_common::{assert_close, noise, repository, shared_models};
use ocelli_compiler::float::{FloatModel, OnnxReference};
use ocelli_compiler::graph::Operator;
use ocelli_compiler::import::{self, ImportOptions, Imported};
use ocelli_compiler::simplify::simplify;
use rayon::prelude::*;
use rten_onnx::onnx::{DataLocation, ModelProto, StringStringEntryProto};

fn load(path: &Path) -> Imported {
    import::load(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a network as imported, from and to the file's own order of axes.
fn run(imported: &Imported, input: &[f32]) -> Vec<f32> {
    let model = FloatModel::new(&imported.graph).unwrap_or_else(|error| panic!("{error}"));
    let output = model.run(&imported.inputs[0].from_file(input)).unwrap();
    imported.outputs[0].to_file(&output)
}

fn compare_with_file(path: &Path) {
    let imported = load(path);
    assert!(!imported.int8, "{}", path.display());
    let mut simplified = imported.clone();
    simplify(&mut simplified.graph);
    let reference = OnnxReference::open(path).unwrap();
    for seed in 0..2 {
        let input = noise(seed, reference.input_dims().iter().product());
        let expected = reference.run(&input).unwrap();
        assert_close(&run(&imported, &input), &expected, 1e-4, &path.display().to_string());
        assert_close(&run(&simplified, &input), &expected, 1e-4, &format!("{} simplified", path.display()));
    }
}

#[test]
fn the_demo_network_computes_what_its_file_does() {
    let path = repository().join("models/digits/mobilenet_v2_digits.onnx");
    compare_with_file(&path);
    let graph = load(&path).graph;
    assert_eq!(
        graph.nodes.len(),
        22 + 15 + 3 + 1 + 1,
        "one node a convolution, clip, addition, mean and linear layer"
    );
}

#[test]
fn a_float_model_runs_on_several_threads_at_once() {
    let imported = load(&repository().join("models/digits/mobilenet_v2_digits.onnx"));
    let model = FloatModel::new(&imported.graph).unwrap();
    let inputs: Vec<Vec<f32>> = (0..24).map(|seed| noise(seed, 32 * 32)).collect();
    let alone: Vec<Vec<f32>> = inputs.iter().map(|input| model.run(input).unwrap()).collect();
    let together: Vec<Vec<f32>> = inputs.par_iter().map(|input| model.run(input).unwrap()).collect();
    assert_eq!(alone, together);
    let all = model.run_all(&inputs[0]).unwrap();
    assert_eq!(all.len(), imported.graph.tensors.len());
    for (tensor, values) in imported.graph.tensors.iter().zip(&all) {
        assert_eq!(values.as_ref().map(Vec::len), Some(tensor.shape.len()), "{}", tensor.name);
    }
    assert_eq!(all[imported.graph.outputs[0].0].as_ref(), Some(&alone[0]));
}

#[test]
fn an_open_input_shape_may_be_given() {
    let path = repository().join("tests/golden/bad/dynamic_size.onnx");
    let message = import::load(&path).unwrap_err().to_string();
    assert!(message.contains("--input-shape"), "{message}");
    let given = |shape: &[usize]| ImportOptions { input_shape: Some(shape.to_vec()) };
    let imported = import::load_with(&path, &given(&[1, 3, 12, 10])).unwrap();
    let shape = imported.graph.tensor(imported.graph.inputs[0]).shape;
    assert_eq!((shape.height, shape.width, shape.channels), (12, 10, 3));
    let message = import::load_with(&path, &given(&[1, 4, 12, 10])).unwrap_err().to_string();
    assert!(message.contains("does not fit"), "{message}");
}

#[test]
fn weights_in_a_file_beside_the_model_are_read() {
    let inside = repository().join("tests/golden/onnx/conv_1x1.onnx");
    let mut proto = ModelProto::parse_buf(&std::fs::read(&inside).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut data = vec![7; 12];
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        let raw = tensor.raw_data.take().unwrap().into_inner();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.data_location = Some(DataLocation::EXTERNAL);
        tensor.external_data = vec![
            entry("location", "weights.bin".to_owned()),
            entry("offset", data.len().to_string()),
            entry("length", raw.len().to_string()),
        ];
        data.extend(raw);
    }
    let outside = folder.path().join("network.onnx");
    std::fs::write(&outside, proto.write_buf().unwrap()).unwrap();
    std::fs::write(folder.path().join("weights.bin"), &data).unwrap();
    let imported = load(&outside);
    let input = noise(3, imported.inputs[0].dims.iter().product());
    assert_eq!(run(&imported, &input), run(&load(&inside), &input));
    std::fs::write(folder.path().join("weights.bin"), &data[..20]).unwrap();
    let message = import::load(&outside).unwrap_err().to_string();
    assert!(message.contains("weights.bin") && message.contains("20 bytes"), "{message}");
}

#[test]
fn shared_onnx_networks_compute_what_their_files_do() {
    for path in shared_models("onnx") {
        compare_with_file(&path);
    }
}

#[test]
fn shared_tflite_networks_import() {
    for path in shared_models("tflite") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Attention is not imported yet: everything that is missing must be named at once.
        if name.starts_with("mobilevit") {
            let message = import::load(&path).unwrap_err().to_string();
            assert!(message.contains("BATCH_MATMUL"), "{message}");
            continue;
        }
        // Its uint8 weights span more than 8 signed bits around their zero points.
        if name.contains("uint8_qat") {
            let error = import::load(&path).unwrap_err();
            assert!(error.problems.len() > 1 && error.to_string().contains("zero point 157"), "{error}");
            continue;
        }
        let imported = load(&path);
        let int8 = ["int8", "_quant", "kws_ref_model.tflite"].iter().any(|part| name.contains(part));
        assert_eq!(imported.int8, int8, "{name}");
        let output = FloatModel::new(&imported.graph).unwrap();
        let input = noise(0, imported.inputs[0].dims.iter().product());
        let found = output.run(&imported.inputs[0].from_file(&input)).unwrap();
        assert!(found.iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn constants_and_normalization_fold_into_convolutions() {
    let nodes = |name: &str| {
        let path = repository().join("tests/golden/onnx").join(format!("{name}.onnx"));
        let mut graph = load(&path).graph;
        simplify(&mut graph);
        graph.nodes.iter().map(|node| node.operator.clone()).collect::<Vec<_>>()
    };
    // Before a convolution with a border the offset must stay: the border does not have it.
    for (name, expected) in
        [("conv_batch_normalization", 1), ("batch_normalization_conv", 2), ("torch_bn_linear_opset17", 1)]
    {
        let convolutions = nodes(name).iter().filter(|node| matches!(node, Operator::Conv2d(_))).count();
        assert_eq!(convolutions, expected, "{name}");
    }
}

#[test]
fn networks_of_every_layout_simplify_to_the_same_nodes() {
    let count = |path: &Path| {
        let mut graph = load(path).graph;
        simplify(&mut graph);
        graph.nodes.iter().filter(|node| !matches!(node.operator, Operator::Reshape)).count()
    };
    let models: Vec<_> = shared_models("onnx").into_iter().chain(shared_models("tflite")).collect();
    for family in [
        "pretrainedResnet",
        "vww_96_float",
        "mobilenet_v2_0.35_96_cifar10_float",
        "mobilenet_v1_0.25_224_float",
    ] {
        let layouts = [".nchw.onnx", ".nhwc.onnx", ".tflite"].map(|end| format!("{family}{end}"));
        let counts: Vec<usize> = models
            .iter()
            .filter(|path| layouts.iter().any(|name| path.file_name().is_some_and(|own| *own == **name)))
            .map(|path| count(path))
            .collect();
        assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{family}: {counts:?}");
    }
}
