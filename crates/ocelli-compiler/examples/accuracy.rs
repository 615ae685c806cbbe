//! Quantizes float networks and compares them with their int8 versions: `accuracy FOLDER [NAME] [min-max|mse|kl|PERCENT] [medium|high] [no-correction] [nearest]`.
//!
//! `FOLDER` has `models/` and `data/` of MLPerf Tiny, CIFAR-10 and the like; what is not there is looked up in this repository's `models`. The
//! networks for digits need nothing else. Prints a table for README (`cargo xtask figures accuracy`).

use std::path::{Path, PathBuf};
use std::time::Instant;

use ocelli_compiler::calibrate::data::{DataOptions, Dataset, Element, Preprocessing};
use ocelli_compiler::calibrate::ranges::RangeMethod;
use ocelli_compiler::evaluate::evaluate;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::import;
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Effort, Options, constant_channels, quantize};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

/// A network and its data.
struct Case {
    name: &'static str,
    title: &'static str,
    model: &'static str,
    calibration: &'static [&'static str],
    data: &'static [&'static str],
    labels: Option<&'static str>,
    preprocessing: &'static str,
    tile: Option<[usize; 2]>,
    /// Whether names of pictures begin with their classes, and a third of them are for calibration.
    numbered: bool,
}

const CIFAR10: &[&str] =
    &["data/cifar10/test_00.png", "data/cifar10/test_01.png", "data/cifar10/test_02.png"];

const DIGITS: Case = Case {
    name: "digits",
    title: "`models/digits`, MobileNetV2",
    model: "digits/mobilenet_v2_digits.onnx",
    calibration: &["digits/pictures/calibration"],
    data: &["digits/pictures/held-out"],
    labels: None,
    preprocessing: "symmetric",
    tile: None,
    numbered: false,
};

const CIFAR10_MOBILENET_V2: Case = Case {
    name: "cifar10_mobilenet_v2",
    title: "`models/cifar10`, MobileNetV2",
    model: "cifar10/mobilenet_v2_cifar10.onnx",
    calibration: &["data/cifar10/train_first500_lossless.png"],
    data: CIFAR10,
    labels: Some("data/cifar10/test_labels.u8"),
    preprocessing: "0.015625,-2",
    tile: Some([32, 32]),
    numbered: false,
};

const CASES: &[Case] = &[
    DIGITS,
    Case {
        name: "digits_mobilevit",
        title: "`models/digits`, MobileViT",
        model: "digits/mobilevit_digits.onnx",
        ..DIGITS
    },
    CIFAR10_MOBILENET_V2,
    Case {
        name: "cifar10_mobilevit",
        title: "`models/cifar10`, MobileViT",
        model: "cifar10/mobilevit_cifar10.onnx",
        ..CIFAR10_MOBILENET_V2
    },
    Case {
        name: "vww",
        title: "MLPerf Tiny VWW",
        model: "models/mlperf-tiny/vww_96_float.nchw.onnx",
        calibration: &["data/vww/coco128_calib.png"],
        data: &["data/vww/vww01_open.png"],
        labels: Some("data/vww/vww01_open_labels.u8"),
        preprocessing: "unit",
        tile: Some([96, 96]),
        numbered: false,
    },
    Case {
        name: "ic",
        title: "MLPerf Tiny IC (ResNet8)",
        model: "models/mlperf-tiny/pretrainedResnet.nchw.onnx",
        calibration: &["data/cifar10/train_first500_lossless.png"],
        data: CIFAR10,
        labels: Some("data/cifar10/test_labels.u8"),
        preprocessing: "raw",
        tile: Some([32, 32]),
        numbered: false,
    },
    Case {
        name: "kws",
        title: "MLPerf Tiny KWS (DS-CNN)",
        model: "models/mlperf-tiny/kws_ref_model_float.nchw.onnx",
        calibration: &["data/kws01/kws01.npz"],
        data: &["data/kws01/kws01.npz"],
        labels: None,
        preprocessing: "0.5847029089927673,-48.530341446399689",
        tile: None,
        numbered: false,
    },
    Case {
        name: "mobilenet_v2_cifar10",
        title: "MobileNetV2 0.35 at 96, CIFAR-10",
        model: "models/cifar10/mobilenet_v2_0.35_96_cifar10_float.nchw.onnx",
        calibration: &["data/cifar10/train_first500_lossless.png"],
        data: CIFAR10,
        labels: Some("data/cifar10/test_labels.u8"),
        preprocessing: "symmetric",
        tile: Some([32, 32]),
        numbered: false,
    },
    Case {
        name: "mobilenet_v1_imagenet",
        title: "MobileNetV1 0.25 at 224, ImageNet sample",
        model: "models/imagenet/mobilenet_v1_0.25_224_float.nchw.onnx",
        calibration: &["data/imagenet-sample"],
        data: &["data/imagenet-sample"],
        labels: None,
        preprocessing: "symmetric",
        tile: None,
        numbered: true,
    },
    Case {
        name: "mobilenet_v2_imagenet",
        title: "MobileNetV2 1.0 at 224, ImageNet sample",
        model: "models/imagenet/mobilenet_v2_1.0_224_dequantised.nchw.onnx",
        calibration: &["data/imagenet-sample"],
        data: &["data/imagenet-sample"],
        labels: None,
        preprocessing: "symmetric",
        tile: None,
        numbered: true,
    },
    Case {
        name: "mobilenet_v3_imagenet",
        title: "MobileNetV3-small at 224, ImageNet sample",
        model: "models/imagenet/mobilenet_v3_small_1.0_224_dequantised.nchw.onnx",
        calibration: &["data/imagenet-sample"],
        data: &["data/imagenet-sample"],
        labels: None,
        preprocessing: "raw",
        tile: None,
        numbered: true,
    },
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(arguments.first().ok_or("give the folder of models and data")?);
    let wanted = |word: &str| arguments.iter().any(|argument| argument == word);
    let one = CASES.iter().any(|case| wanted(case.name));
    let mut options = Options {
        bias_correction: !wanted("no-correction"),
        adaptive_rounding: !wanted("nearest"),
        ..Options::default()
    };
    for argument in &arguments[1..] {
        match argument.as_str() {
            "min-max" => options.ranges = RangeMethod::MinMax,
            "kl" => options.ranges = RangeMethod::KullbackLeibler,
            "medium" => options.effort = Effort::Medium,
            "high" => options.effort = Effort::High,
            "mse" => options.ranges = RangeMethod::Mse,
            other => {
                if let Ok(percent) = other.parse() {
                    options.ranges = RangeMethod::Percentile(percent);
                }
            }
        }
    }
    println!(
        "| network | pictures | float top-1 | int8 top-1 | difference | agreement | SQNR of the logits |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for case in CASES {
        if one != wanted(case.name) {
            continue;
        }
        if let Err(error) = run(case, &folder, &options, wanted("layers")) {
            println!("| {} | {error} |", case.name);
        }
    }
    Ok(())
}

fn run(case: &Case, folder: &Path, options: &Options, layers: bool) -> Result<(), Failure> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let path =
        |name: &str| Some(folder.join(name)).filter(|path| path.exists()).unwrap_or_else(|| own.join(name));
    let paths = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(|name| path(name)).collect() };
    let mut graph = import::load(&path(case.model))?.graph;
    simplify(&mut graph);
    let shape = graph.tensor(graph.inputs[0]).shape;
    let preprocessing: Preprocessing = case.preprocessing.parse()?;
    let mut data_options =
        DataOptions { preprocessing, tile: case.tile, raw: Some(Element::I8), ..DataOptions::default() };
    let labels = tempfile::Builder::new().suffix(".csv").tempfile()?;
    let (mut calibration, mut data) = (paths(case.calibration), paths(case.data));
    if case.numbered {
        // The V2 network has a class 0 of its own for the background.
        let first = graph.tensor(graph.outputs[0]).shape.channels.saturating_sub(1000);
        [calibration, data] = numbered(&data[0], labels.path(), first)?;
        data_options.labels = Some(labels.path().to_owned());
    }
    let calibration =
        Dataset::open(&calibration, shape, &DataOptions { labels: None, ..data_options.clone() })?;
    if let Some(labels) = case.labels {
        data_options.labels = Some(path(labels));
    }
    let data = Dataset::open(&data, shape, &data_options)?;

    let start = Instant::now();
    let quantized = quantize(&graph, &calibration, options, &|_, _, _| {})?;
    let packed = pack(&quantized.graph, &plan(&quantized.graph), Metadata::default())?;
    let quantize_seconds = start.elapsed().as_secs_f64();
    if layers {
        for layer in &quantized.report {
            println!(
                "{:60} {:22} {:>10} {:>9} MACs {:>7} bytes {:6.1} dB {:6.3} %",
                layer.name,
                layer.operation,
                layer.shape.to_string(),
                layer.macs,
                layer.weight_bytes,
                layer.sqnr_db,
                layer.saturation_percent
            );
        }
    }
    let start = Instant::now();
    let found = evaluate(&packed, &FloatModel::new(&graph)?, &data, &|_, _| {})?;
    let seconds = start.elapsed().as_secs_f64();
    let accuracy = match found.accuracy {
        Some(accuracy) => format!(
            "{:.2} % | {:.2} % | {:+.2} ± {:.2}",
            accuracy.float_percent,
            accuracy.int8_percent,
            accuracy.int8_percent - accuracy.float_percent,
            accuracy.standard_error
        ),
        None => "| | ".to_owned(),
    };
    println!(
        "| {} | {} | {accuracy} | {:.1} % | {:.1} dB |",
        case.title, found.samples, found.agreement_percent, found.sqnr_db
    );
    let mut folded = quantized.graph;
    constant_channels::fold(&mut folded);
    let macs: u64 = folded.nodes.iter().map(|node| folded.macs(node)).sum();
    eprintln!(
        "{}: quantized in {quantize_seconds:.1} s, evaluated in {seconds:.1} s; {macs} MACs without constant channels",
        case.name
    );
    Ok(())
}

/// Pictures for calibration and for the rest; the classes of the rest, counted from `first`, go to `labels`.
fn numbered(folder: &Path, labels: &Path, first: usize) -> Result<[Vec<PathBuf>; 2], Failure> {
    let mut pictures: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    pictures.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    pictures.sort();
    let mut parts = [Vec::new(), Vec::new()];
    let mut lines = String::new();
    for (index, path) in pictures.into_iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if index % 3 == 0 {
            parts[0].push(path);
            continue;
        }
        let class: usize = name.split('_').next().unwrap_or_default().parse()?;
        lines.push_str(&format!("{name},{}\n", class + first));
        parts[1].push(path);
    }
    std::fs::write(labels, lines)?;
    Ok(parts)
}
