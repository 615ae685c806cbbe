"""TFLite's converter: the calibration and quantization that `tf.lite.TFLiteConverter` applies to its float network."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib.metadata

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator

VERSION = importlib.metadata.version("tensorflow")


class Runner:
    """A network, float or int8, whose inputs and logits are real numbers here."""

    def __init__(self, content):
        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.input, self.output = self.interpreter.get_input_details()[0], self.logits()

    def logits(self):
        """The output, or what a softmax at the end is taken of."""
        output = self.interpreter.get_output_details()[0]
        for step in self.interpreter._get_ops_details():
            if step["op_name"] == "SOFTMAX":
                return next(one for one in self.interpreter.get_tensor_details() if one["index"] == step["inputs"][0])
        return output

    def run(self, samples):
        outputs = []
        for sample in samples:
            sample = sample.reshape(self.input["shape"])
            if self.input["dtype"] == np.int8:
                scale, zero_point = self.input["quantization"]
                sample = np.clip(np.round(sample / scale) + zero_point, -128, 127).astype(np.int8)
            self.interpreter.set_tensor(self.input["index"], sample)
            self.interpreter.invoke()
            output = self.interpreter.get_tensor(self.output["index"]).reshape(-1)
            if self.output["dtype"] == np.int8:
                scale, zero_point = self.output["quantization"]
                output = (output.astype(np.float32) - zero_point) * scale
            outputs.append(output)
        return np.stack(outputs)


def quantize(model, samples):
    """Quantizes the float .tflite `model` with `samples` of real numbers; a Runner of the result."""
    content = model.read_bytes()
    shape = Runner(content).input["shape"]
    calibrated = Calibrator(content).calibrate(lambda: ([sample.reshape(shape)] for sample in samples))
    return Runner(bytes(mlir_quantize(calibrated, fully_quantize=True)))
