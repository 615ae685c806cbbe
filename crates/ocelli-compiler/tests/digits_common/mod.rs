//! The repository's own MobileNetV2 and its pictures.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::evaluate::{Evaluation, evaluate};
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::Graph;
use ocelli_compiler::import;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Options, quantize};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

/// The float network.
pub fn graph() -> Graph {
    let mut graph = import::load(&digits().join("mobilenet_v2_digits.onnx")).unwrap().graph;
    simplify(&mut graph);
    graph
}

/// Pictures of `calibration` or `held-out`.
pub fn pictures(graph: &Graph, folder: &str) -> Dataset {
    let options = DataOptions { preprocessing: "symmetric".parse().unwrap(), ..DataOptions::default() };
    let shape = graph.tensor(graph.inputs[0]).shape;
    Dataset::open(&[digits().join("pictures").join(folder)], shape, &options).unwrap()
}

/// A network quantized, on the pictures held out.
pub fn evaluated(graph: &Graph, options: &Options) -> Evaluation {
    let quantized = quantize(graph, &pictures(graph, "calibration"), options, &|_, _, _| {}).unwrap();
    let packed = pack(&quantized.graph, &plan(&quantized.graph), Metadata::default()).unwrap();
    let float = FloatModel::new(graph).unwrap();
    evaluate(&packed, &float, &pictures(graph, "held-out"), &|_, _| {}).unwrap()
}
