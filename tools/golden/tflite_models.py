"""Golden outputs of the shared quantized TFLite models, from the interpreter's reference kernels.

    python tools/golden/tflite_models.py ../shared [--only NAME ...]

The folder holds `models/` and `data/`. Outputs only are stored: the inputs are read from the data again, or made by the
generator that `tests/golden/README.md` defines.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image

import golden_file
import reference

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tflite"


def strip(path, side):
    """Images of a vertical strip, as int8 = pixel - 128, shape [n, side, side, 3]."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, side, side, 3)
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def vww(data):
    return np.concatenate([strip(data / "vww" / name, 96) for name in ("vww01_open.png", "coco128_calib.png")])


def cifar10(data):
    return np.concatenate([strip(data / "cifar10" / f"test_0{index}.png", 32) for index in range(3)])


def kws(data):
    return np.fromfile(data / "kws01" / "kws01_x_i8_500x49x10.bin", np.int8).reshape(500, 49, 10, 1)


# Model, the text that names its inputs in the golden file, and their reader or the number of generated samples.
MODELS = [
    ("mlperf-tiny/kws_ref_model.tflite", "data/kws01/kws01_x_i8_500x49x10.bin", kws),
    ("mlperf-tiny/ad01_int8.tflite", "xorshift32", 16),
    ("mlperf-tiny/vww_96_int8.tflite", "data/vww/vww01_open.png then data/vww/coco128_calib.png, pixel - 128", vww),
    ("cifar10/mobilenet_v2_0.35_96_cifar10_int8_ptq.tflite", "xorshift32", 16),
    ("imagenet/mobilenet_v1_0.25_224_int8_ptq.tflite", "xorshift32", 8),
    ("imagenet/mobilenet_v2_1.0_224_int8_ptq_coral.tflite", "xorshift32", 8),
    ("imagenet/mobilenet_v2_1.0_224_int8_pytorch_tflm.tflite", "xorshift32", 8),
    ("imagenet/mobilenet_v1_0.25_128_uint8_qat_coral.tflite", "xorshift32", 8),
    ("mlperf-tiny/pretrainedResnet_quant.tflite", "data/cifar10/test_00.png to test_02.png, pixel - 128", cifar10),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[], help="parts of model names; all models without it")
    options = parser.parse_args()
    for name, input_source, inputs in MODELS:
        if options.only and not any(part in name for part in options.only):
            continue
        path = options.shared / "models" / name
        interpreter = reference.load(path)
        (detail,) = interpreter.get_input_details()
        if isinstance(inputs, int):
            values = np.stack(
                [golden_file.xorshift_tensor(sample, detail["shape"][1:], detail["dtype"]) for sample in range(inputs)]
            )
        else:
            values = inputs(options.shared / "data")
        outputs = reference.run(interpreter, [[values[index : index + 1]] for index in range(len(values))])
        tensors = [
            golden_file.tensor("output", each["name"], stack[:, 0], each["quantization"])
            for each, stack in zip(interpreter.get_output_details(), outputs, strict=True)
        ]
        golden = OUT / (path.stem + ".golden")
        golden_file.write(golden, path, len(values), reference.REFERENCE, input_source, tensors)


if __name__ == "__main__":
    main()
