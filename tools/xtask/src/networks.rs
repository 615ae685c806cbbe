//! The networks that are measured and demonstrated, and making them int8 with the command `ocelli`.

use std::path::Path;
use std::process::Command;

use ocelli_machines::Machine;

use crate::cli::Cli;

/// A network and how it becomes int8.
#[derive(Debug)]
pub struct Network {
    /// Short name.
    pub name: &'static str,
    /// `tflite` for an int8 network taken as it is, `q32` for a float one quantized here.
    pub numerics: &'static str,
    /// Its file, relative to the repository.
    pub file: &'static str,
    /// Calibration data, relative to the repository; of an int8 network none.
    calibration: Option<&'static str>,
    /// How `ocelli` reads the data.
    pub data: &'static [&'static str],
}

/// Labelled data to measure a network's accuracy on.
#[derive(Debug)]
pub struct Evaluation {
    /// Pictures, relative to the repository.
    pub data: &'static [&'static str],
    /// File of their classes; none where the folders are.
    pub classes: Option<&'static str>,
}

/// A network of this repository, with what to measure it on.
#[derive(Debug)]
pub struct Own {
    /// The network.
    pub network: Network,
    /// Pictures that chose nothing.
    pub evaluation: Evaluation,
}

const HELD_OUT: Evaluation = Evaluation { data: &["models/digits/pictures/held-out"], classes: None };

const CIFAR10_TEST: Evaluation = Evaluation {
    data: &[
        "../shared/data/cifar10/test_00.png",
        "../shared/data/cifar10/test_01.png",
        "../shared/data/cifar10/test_02.png",
    ],
    classes: Some("../shared/data/cifar10/test_labels.u8"),
};

const fn digits(name: &'static str, file: &'static str) -> Own {
    let network = float(
        name,
        file,
        "models/digits/pictures/calibration",
        &["--preprocess", "symmetric", "--labels", "models/digits/labels.txt"],
    );
    Own { network, evaluation: HELD_OUT }
}

const fn cifar10(name: &'static str, file: &'static str) -> Own {
    let network = float(
        name,
        file,
        "../shared/data/cifar10/train_first500_lossless.png",
        // (pixel - 128) / 64
        &["--tile", "32,32", "--preprocess", "0.015625,-2"],
    );
    Own { network, evaluation: CIFAR10_TEST }
}

/// The networks for handwritten digits, whose data is in the repository.
pub const DIGITS: &[Own] = &[
    digits("digits_mobilenet_v2", "models/digits/mobilenet_v2_digits.onnx"),
    digits("digits_mobilevit", "models/digits/mobilevit_digits.onnx"),
];

/// The networks for CIFAR-10, whose data may be beside the repository.
pub const CIFAR10: &[Own] = &[
    cifar10("mobilenet_v2", "models/cifar10/mobilenet_v2_cifar10.onnx"),
    cifar10("mobilevit", "models/cifar10/mobilevit_cifar10.onnx"),
];

/// Every network, this repository's first.
pub fn networks() -> impl Iterator<Item = &'static Network> {
    DIGITS.iter().chain(CIFAR10).map(|own| &own.network).chain(OTHERS)
}

/// Networks beside the repository.
const OTHERS: &[Network] = &[
    int8("vww", "../shared/models/mlperf-tiny/vww_96_int8.tflite"),
    float(
        "vww",
        "../shared/models/mlperf-tiny/vww_96_float.tflite",
        "../shared/data/vww/coco128_calib.png",
        &["--tile", "96,96"],
    ),
    int8("kws", "../shared/models/mlperf-tiny/kws_ref_model.tflite"),
    float(
        "kws",
        "../shared/models/mlperf-tiny/kws_ref_model_float.tflite",
        "../shared/data/kws01/kws01.npz",
        // int8 data, whose scale is 0.5847029089927673 and zero point 83.
        &["--preprocess", "0.5847029089927673,-48.53034144639969"],
    ),
    int8("ic", "../shared/models/mlperf-tiny/pretrainedResnet_quant.tflite"),
    float(
        "ic",
        "../shared/models/mlperf-tiny/pretrainedResnet.tflite",
        "../shared/data/cifar10/train_first500_lossless.png",
        &["--tile", "32,32", "--preprocess", "raw"],
    ),
    float(
        "mobilenet_v2_0.35_96",
        "../shared/models/cifar10/mobilenet_v2_0.35_96_cifar10_float.nchw.onnx",
        "../shared/data/cifar10/train_first500_lossless.png",
        &["--tile", "32,32", "--preprocess", "symmetric"],
    ),
    int8("ad", "../shared/models/mlperf-tiny/ad01_int8.tflite"),
];

const fn int8(name: &'static str, file: &'static str) -> Network {
    Network { name, numerics: "tflite", file, calibration: None, data: &[] }
}

const fn float(
    name: &'static str,
    file: &'static str,
    calibration: &'static str,
    data: &'static [&'static str],
) -> Network {
    Network { name, numerics: "q32", file, calibration: Some(calibration), data }
}

impl Network {
    /// The first of its files that is not here; those in `../shared` may not be.
    pub fn missing_file(&self) -> Option<&'static str> {
        [Some(self.file), self.calibration].into_iter().flatten().find(|file| !Path::new(file).exists())
    }

    /// Name of its packed model for a machine.
    pub fn packed_name(&self, machine: &Machine) -> String {
        format!("{}-{}-{}.ocelli", self.name, self.numerics, machine.kernels)
    }

    /// The command that makes the packed model for a machine.
    pub fn quantize(&self, cli: &Cli, packed: &Path, machine: &Machine) -> Command {
        let mut command = cli.command(&["quantize", self.file, "--target", machine.kernels]);
        if let Some(calibration) = self.calibration {
            command.args(["--calibrate", calibration]);
        }
        command.args(self.data).arg("--output").arg(packed);
        command
    }
}

impl Own {
    /// The first of its files and data that is not here.
    pub fn missing_file(&self) -> Option<&'static str> {
        let data = self.evaluation.data.iter().copied().chain(self.evaluation.classes);
        self.network.missing_file().or_else(|| data.into_iter().find(|file| !Path::new(file).exists()))
    }

    /// The command that compares the packed model with the float network.
    pub fn evaluate(&self, cli: &Cli, packed: &Path) -> Command {
        let mut command = cli.command(&["eval"]);
        command.arg(packed).args(["--float", self.network.file, "--data"]).args(self.evaluation.data);
        if let Some(classes) = self.evaluation.classes {
            command.args(["--classes", classes]);
        }
        command.args(self.network.data);
        command
    }
}
