//! The networks that are measured and demonstrated, and making them int8 with the command `ocelli`.

use std::path::Path;
use std::process::Command;

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

/// This project's own network, with its data in the repository.
pub const OWN: Network = Network {
    name: "mobilenet_v2",
    numerics: "q32",
    file: "models/digits/mobilenet_v2_digits.onnx",
    calibration: Some("models/digits/pictures/calibration"),
    data: &["--preprocess", "symmetric", "--labels", "models/digits/labels.txt"],
};

/// Every network.
pub const NETWORKS: &[Network] = &[
    OWN,
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

    /// Name of its packed model.
    pub fn packed_name(&self) -> String {
        format!("{}-{}.ocelli", self.name, self.numerics)
    }

    /// The command that makes the packed model.
    pub fn quantize(&self, cli: &Cli, packed: &Path) -> Command {
        let mut command = cli.command(&["quantize", self.file]);
        if let Some(calibration) = self.calibration {
            command.args(["--calibrate", calibration]);
        }
        command.args(self.data).arg("--output").arg(packed);
        command
    }
}
