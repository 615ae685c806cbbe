//! Networks of MLPerf Tiny on their own data, where the folder of shared test material is beside the repository; on fewer samples than
//! `examples/accuracy.rs`, which gives the whole table.

use std::path::{Path, PathBuf};

use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::evaluate::{Accuracy, evaluate};
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::import;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Options, quantize};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

/// The shared folder; `None`, and says so, where it or the model is absent.
fn shared(model: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found = folder.join(model).exists();
    if !found {
        eprintln!("skipped: no {}", folder.join(model).display());
    }
    found.then_some(folder)
}

struct Data {
    calibration: &'static str,
    data: &'static str,
    labels: Option<&'static str>,
    preprocessing: &'static str,
    tile: Option<[usize; 2]>,
}

/// Quantizes a network; its accuracies and the error of its output in decibels.
fn check(model: &str, data: &Data) -> Option<(Accuracy, f64)> {
    let folder = shared(model)?;
    let mut graph = import::load(&folder.join(model)).unwrap().graph;
    simplify(&mut graph);
    let shape = graph.tensor(graph.inputs[0]).shape;
    let mut options = DataOptions {
        preprocessing: data.preprocessing.parse().unwrap(),
        tile: data.tile,
        ..DataOptions::default()
    };
    let calibration = Dataset::open(&[folder.join(data.calibration)], shape, &options).unwrap();
    options.labels = data.labels.map(|labels| folder.join(labels));
    let samples = Dataset::open(&[folder.join(data.data)], shape, &options).unwrap();
    let quantized =
        quantize(&graph, &calibration, &Options { samples: 100, ..Options::default() }, &|_, _, _| {})
            .unwrap();
    let packed = pack(&quantized.graph, &plan(&quantized.graph), Metadata::default()).unwrap();
    let found = evaluate(&packed, &FloatModel::new(&graph).unwrap(), &samples, &|_, _| {}).unwrap();
    Some((found.accuracy.unwrap(), found.sqnr_db))
}

/// int8 costs at most half a percent point.
fn assert_kept(accuracy: Accuracy) {
    assert!(accuracy.int8_percent >= accuracy.float_percent - 0.5, "{accuracy:?}");
}

#[test]
fn visual_wake_words() {
    let data = Data {
        calibration: "data/vww/coco128_calib.png",
        data: "data/vww/vww01_open.png",
        labels: Some("data/vww/vww01_open_labels.u8"),
        preprocessing: "unit",
        tile: Some([96, 96]),
    };
    let Some((accuracy, sqnr)) = check("models/mlperf-tiny/vww_96_float.nchw.onnx", &data) else { return };
    assert!((accuracy.float_percent - 86.74).abs() < 0.01, "the reference's accuracy: {accuracy:?}");
    assert_kept(accuracy);
    assert!(sqnr > 17.0, "{sqnr} dB");
}

#[test]
fn keyword_spotting() {
    let data = Data {
        calibration: "data/kws01/kws01.npz",
        data: "data/kws01/kws01.npz",
        labels: None,
        preprocessing: "0.5847029089927673,-48.53034144639969",
        tile: None,
    };
    let Some((accuracy, sqnr)) = check("models/mlperf-tiny/kws_ref_model_float.nchw.onnx", &data) else {
        return;
    };
    assert_kept(accuracy);
    assert!(sqnr > 30.5, "{sqnr} dB");
}
