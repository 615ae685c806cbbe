//! Whole networks: what the importer makes of a file computes what the file computes.

mod import_common;

use std::path::Path;

use import_common::{assert_close, noise, repository, shared_models};
use ocelli_compiler::float::{FloatModel, OnnxReference};
use ocelli_compiler::import::{self, Imported};

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
    let reference = OnnxReference::open(path).unwrap();
    for seed in 0..2 {
        let input = noise(seed, reference.input_dims().iter().product());
        assert_close(
            &run(&imported, &input),
            &reference.run(&input).unwrap(),
            1e-4,
            &path.display().to_string(),
        );
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
