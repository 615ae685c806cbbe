"""Golden outputs of the shared float models on generated inputs: ONNX from onnxruntime, TFLite from the reference kernels.

    python tools/golden/float_models.py ../shared [--only PART ...]

They land in `tests/golden/float_models`, named after the whole file name. Outputs only: `tests/golden/README.md` defines the inputs.
"""

import argparse
import pathlib

import numpy as np
import onnxruntime

import golden_file
import onnx_reference
import reference

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "float_models"
MODELS = """
    mlperf-tiny/vww_96_float.tflite mlperf-tiny/vww_96_float.nchw.onnx mlperf-tiny/vww_96_float.nhwc.onnx
    mlperf-tiny/kws_ref_model_float.tflite mlperf-tiny/kws_ref_model_float.nchw.onnx
    mlperf-tiny/pretrainedResnet.tflite mlperf-tiny/pretrainedResnet.nchw.onnx mlperf-tiny/pretrainedResnet.nhwc.onnx
    mlperf-tiny/ad01_fp32.tflite mlperf-tiny/ad01_fp32.nchw.onnx
    cifar10/mobilenet_v2_0.35_96_cifar10_float.tflite cifar10/mobilenet_v2_0.35_96_cifar10_float.nchw.onnx
    cifar10/mobilenet_v2_0.35_96_cifar10_float.nhwc.onnx
    imagenet/mobilenet_v1_0.25_224_float.tflite imagenet/mobilenet_v1_0.25_224_float.nchw.onnx
    imagenet/mobilenet_v1_0.25_224_float.nhwc.onnx
    imagenet/mobilenet_v2_1.0_224_dequantised.nchw.onnx imagenet/mobilenet_v3_small_1.0_224_dequantised.nchw.onnx
""".split()


def tflite(path, count):
    interpreter = reference.load(path)
    (detail,) = interpreter.get_input_details()
    samples = [[golden_file.xorshift_tensor(index, detail["shape"], np.float32)] for index in range(count)]
    details = interpreter.get_output_details()
    return reference.REFERENCE, [(each["name"], stack) for each, stack in zip(details, reference.run(interpreter, samples))]


def onnx(path, count):
    session = onnx_reference.session(path)
    (entry,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    runs = [session.run(None, {entry.name: golden_file.xorshift_tensor(index, shape, np.float32)}) for index in range(count)]
    names = [output.name for output in session.get_outputs()]
    return onnx_reference.REFERENCE, [(name, np.stack([run[i] for run in runs])) for i, name in enumerate(names)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[], help="parts of model names; all models without it")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    for name in MODELS:
        if options.only and not any(part in name for part in options.only):
            continue
        path = options.shared / "models" / name
        count = 2 if "224" in name else 4
        program, outputs = (tflite if path.suffix == ".tflite" else onnx)(path, count)
        tensors = [golden_file.tensor("output", output, values[:, 0]) for output, values in outputs]
        golden_file.write(OUT / (path.name + ".golden"), path, count, program, "xorshift32", tensors)


if __name__ == "__main__":
    main()
