//! The repository's own model, from float file to packed model.

use std::path::{Path, PathBuf};

use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::evaluate::evaluate;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::Graph;
use ocelli_compiler::import;
use ocelli_compiler::pack::{PackError, pack};
use ocelli_compiler::plan::{Plan, plan};
use ocelli_compiler::quantize::{Options, Quantized, quantize};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

fn graph() -> Graph {
    let mut graph = import::load(&digits().join("mobilenet_v2_digits.onnx")).unwrap().graph;
    simplify(&mut graph);
    graph
}

fn pictures(graph: &Graph, folder: &str) -> Dataset {
    let options = DataOptions { preprocessing: "symmetric".parse().unwrap(), ..DataOptions::default() };
    let shape = graph.tensor(graph.inputs[0]).shape;
    Dataset::open(&[digits().join("pictures").join(folder)], shape, &options).unwrap()
}

fn packed(quantized: &Quantized) -> Vec<u8> {
    pack(&quantized.graph, &plan(&quantized.graph), Metadata::default()).unwrap()
}

fn quantized(graph: &Graph, options: &Options) -> Quantized {
    quantize(graph, &pictures(graph, "calibration"), options, &|_, _, _| {}).unwrap()
}

#[test]
fn the_int8_network_is_as_good_as_the_float_one() {
    let graph = graph();
    let float = FloatModel::new(&graph).unwrap();
    let data = pictures(&graph, "held-out");
    let mut min_max_sqnr = 0.0;
    for ranges in [RangeMethod::MinMax, RangeMethod::Mse, RangeMethod::Percentile(99.99)] {
        let quantized = quantized(&graph, &Options { ranges, samples: 100, ..Options::default() });
        let found = evaluate(&packed(&quantized), &float, &data, &|_, _| {}).unwrap();
        let accuracy = found.accuracy.unwrap();
        assert_eq!(found.samples, 360);
        assert!(accuracy.float_percent > 99.7, "{accuracy:?}");
        assert!(accuracy.int8_percent >= accuracy.float_percent - 0.5, "{ranges:?}: {accuracy:?}");
        assert!(found.sqnr_db > 30.0, "{ranges:?}: {found:?}");
        if ranges == RangeMethod::MinMax {
            min_max_sqnr = found.sqnr_db;
        }
    }
    let options =
        Options { bias_correction: false, ranges: RangeMethod::MinMax, samples: 100, ..Options::default() };
    let plain = evaluate(&packed(&quantized(&graph, &options)), &float, &data, &|_, _| {}).unwrap();
    assert!(plain.sqnr_db < min_max_sqnr, "bias correction gained nothing: {} dB", plain.sqnr_db);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let graph = graph();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let quantized = quantized(&graph, &Options { samples: 50, ..Options::default() });
            (packed(&quantized), quantized.report)
        })
    };
    let first = run(1);
    assert_eq!(first, run(3));
}

#[test]
fn the_report_names_every_layer() {
    let quantized = quantized(&graph(), &Options { samples: 20, ..Options::default() });
    let macs: u64 = quantized.report.iter().map(|layer| layer.macs).sum();
    assert_eq!(macs, 1_368_832, "the model card's figure");
    for layer in &quantized.report {
        assert!(layer.sqnr_db > 25.0 && layer.saturation_percent < 1.0, "{layer:?}");
    }
    assert_eq!(quantized.report.iter().filter(|layer| layer.operation == "Add").count(), 3);
}

#[test]
fn an_arena_beyond_the_format_is_refused() {
    let quantized = quantized(&graph(), &Options { samples: 10, ..Options::default() });
    let mut layout = plan(&quantized.graph);
    let bytes = (1 << 32) + layout.arena_bytes;
    layout.arena_bytes = bytes;
    let pack = |layout: &Plan| pack(&quantized.graph, layout, Metadata::default());
    let error = pack(&layout).unwrap_err();
    assert!(matches!(error, PackError::Arena { bytes: found } if found == bytes), "{error}");
    layout.arena_bytes = 16;
    assert!(matches!(pack(&layout), Err(PackError::Model(_))), "tensors outside the arena");
}
