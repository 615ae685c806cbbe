//! Every operator and small network of `tests/golden/onnx`, quantized on noise: the int8 network follows the float one.

use std::path::{Path, PathBuf};

use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::evaluate::evaluate;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::import;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Options, QuantizeError, quantize};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

/// A raw file of `samples` inputs in -2..2, by a small generator.
fn noise_file(folder: &Path, length: usize, samples: usize) -> PathBuf {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / f32::from(1u16 << 10).powi(2) / 4.0 - 2.0
    };
    let bytes: Vec<u8> = (0..length * samples).flat_map(|_| next().to_le_bytes()).collect();
    let path = folder.join("noise.f32");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn networks() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/onnx");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    found.sort();
    found
}

#[test]
fn every_operator_survives_quantization() {
    let folder = tempfile::tempdir().unwrap();
    let mut quantized_networks = 0;
    let mut poor = Vec::new();
    for path in networks() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut graph = import::load(&path).unwrap().graph;
        simplify(&mut graph);
        let shape = graph.tensor(graph.inputs[0]).shape;
        let noise = noise_file(folder.path(), shape.len(), 24);
        let data = Dataset::open(&[noise], shape, &DataOptions::default()).unwrap();
        let quantized = match quantize(&graph, &data, &Options::default(), &|_, _, _| {}) {
            Ok(quantized) => quantized,
            Err(QuantizeError::Ends { .. }) => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        let packed = pack(&quantized.graph, &plan(&quantized.graph), Metadata::default());
        let packed = packed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = evaluate(&packed, &FloatModel::new(&graph).unwrap(), &data, &|_, _| {}).unwrap();
        quantized_networks += 1;
        if found.sqnr_db.is_nan() || found.sqnr_db < 24.0 {
            poor.push(format!("{name}: {:.1} dB", found.sqnr_db));
        }
    }
    assert!(quantized_networks > 100, "only {quantized_networks} networks");
    assert!(poor.is_empty(), "{}", poor.join("\n"));
}
