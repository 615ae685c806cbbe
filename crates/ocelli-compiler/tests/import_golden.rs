//! Single operators and small networks against onnxruntime's and TFLite's outputs.

mod import_common;

use std::path::Path;

use import_common::golden::{self, Golden};
use import_common::{noise, shared_models};
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::{Activation, Operator, TensorId};
use ocelli_compiler::import::{self, Imported};
use ocelli_compiler::simplify::simplify;

/// The inputs of a sample as the graph takes them.
fn inputs(imported: &Imported, golden: &Golden, sample: usize) -> Vec<Vec<f32>> {
    let edges = imported.inputs.iter().zip(&imported.graph.inputs).zip(&golden.inputs);
    edges
        .map(|((edge, &id), tensor)| {
            let mut values = edge.from_file(&tensor.samples[sample]);
            // Whoever feeds a quantized input rounds and saturates.
            if let Some(own) = imported.graph.tensor(id).quantization {
                let zero = f32::from(own.zero_point);
                let rounded = |value: f32| (value / own.scale + zero).round().clamp(-128.0, 127.0);
                values.iter_mut().for_each(|value| *value = own.scale * (rounded(*value) - zero));
            }
            values
        })
        .collect()
}

/// Whether int8 would cut off a value that the float engine keeps, before the output (whose clips are nodes of their own).
fn saturates_inside(imported: &Imported, model: &FloatModel, golden: &Golden, sample: usize) -> bool {
    let inputs = inputs(imported, golden, sample);
    let graph = &imported.graph;
    let clipped = |id: TensorId| {
        let clip =
            |node: usize| matches!(graph.nodes[node].operator, Operator::Activation(Activation::Clip { .. }));
        graph.consumers(id).into_iter().any(clip)
    };
    let Ok(all) = model.run_all(&inputs[0]) else { return false };
    all.iter().enumerate().any(|(index, values)| {
        let id = TensorId(index);
        let (Some(values), Some(own)) = (values, graph.tensor(id).quantization) else { return false };
        let steps = |value: f32| value / own.scale + f32::from(own.zero_point);
        let cut = values.iter().any(|&value| !(-130.0..129.0).contains(&steps(value)));
        cut && !clipped(id) && !graph.outputs.contains(&id)
    })
}

/// The first output for one sample's inputs, both as real values in the file's own order.
fn run(imported: &Imported, model: &FloatModel, golden: &Golden, sample: usize) -> Vec<f32> {
    let inputs = inputs(imported, golden, sample);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    imported.outputs[0].to_file(&model.run_inputs(&inputs).unwrap())
}

/// What differs, if anything.
fn check(path: &Path) -> Result<(), String> {
    let golden = golden::read(path);
    let mut imported =
        import::load(&path.with_file_name(&golden.model)).map_err(|error| error.to_string())?;
    compare(&imported, &golden)?;
    let done = simplify(&mut imported.graph);
    compare(&imported, &golden).map_err(|error| format!("after {done:?}: {error}"))
}

fn compare(imported: &Imported, golden: &Golden) -> Result<(), String> {
    let model = FloatModel::new(&imported.graph).map_err(|error| error.to_string())?;
    let output = &golden.outputs[0];
    for sample in 0..golden.count {
        let expected = &output.samples[sample];
        let mut found = run(imported, &model, golden, sample);
        if found.len() != expected.len() {
            return Err(format!("{} elements, expected {}", found.len(), expected.len()));
        }
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let mut tolerance = 1e-5 + 1e-4 * largest;
        if let Some(output) = imported.graph.tensor(imported.graph.outputs[0]).quantization {
            if saturates_inside(imported, &model, golden, sample) {
                continue;
            }
            // The float engine keeps what int8 rounds between operators.
            tolerance = 5.0 * output.scale;
            let real = |steps: f32| output.scale * (steps - f32::from(output.zero_point));
            found.iter_mut().for_each(|value| *value = value.clamp(real(-128.0), real(127.0)));
        }
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            if found.is_nan() || (found - expected).abs() > tolerance {
                return Err(format!("sample {sample}, element {index} is {found}, expected {expected}"));
            }
        }
    }
    Ok(())
}

fn check_folder(folder: &str) {
    let failed: Vec<String> = golden::files(folder)
        .iter()
        .filter_map(|path| Some(format!("{}: {}", path.file_stem()?.display(), check(path).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn onnx_cases_equal_onnxruntime() {
    check_folder("onnx");
}

#[test]
fn tflite_cases_equal_the_tflite_interpreter() {
    check_folder("tflite_ops");
}

#[test]
fn shared_float_networks_equal_onnxruntime_and_the_tflite_interpreter() {
    let models: Vec<_> = shared_models("onnx").into_iter().chain(shared_models("tflite")).collect();
    for path in golden::files("float_models") {
        let golden = golden::read(&path);
        let Some(file) =
            models.iter().find(|file| file.file_name().is_some_and(|name| *name == *golden.model))
        else {
            eprintln!("skipped: {} is not there", golden.model);
            continue;
        };
        let imported = import::load(file).unwrap_or_else(|error| panic!("{error}"));
        assert!(!imported.int8, "{}", file.display());
        let model = FloatModel::new(&imported.graph).unwrap();
        for (sample, expected) in golden.outputs[0].samples.iter().enumerate() {
            let input = noise(sample as u32, imported.inputs[0].dims.iter().product());
            let output = model.run(&imported.inputs[0].from_file(&input)).unwrap();
            let found = imported.outputs[0].to_file(&output);
            import_common::assert_close(&found, expected, 1e-4, &golden.model);
        }
    }
}
