"""ONNX Runtime's static quantization: QDQ, int8 activations, int8 weights with a scale a channel."""

import logging
import pathlib

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

METHODS = {"min-max": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
VERSION = onnxruntime.__version__


class Runner:
    """A network on the CPU, an input at a time."""

    def __init__(self, path):
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.shape = [size if isinstance(size, int) else 1 for size in self.input.shape]

    def feed(self, sample):
        """An input of height x width x channels in the network's own order."""
        if len(self.shape) == 4 and self.shape[1] == sample.shape[2]:
            sample = sample.transpose(2, 0, 1)
        return {self.input.name: np.ascontiguousarray(sample.reshape(self.shape))}

    def run(self, samples):
        return np.stack([self.session.run(None, self.feed(sample))[0].reshape(-1) for sample in samples])


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def quantize(model, samples, method, folder):
    """Quantizes `model` with `samples` of real numbers; a Runner of the result."""
    logging.getLogger().setLevel(logging.ERROR)
    folder = pathlib.Path(folder)
    prepared, quantized = folder / "prepared.onnx", folder / "quantized.onnx"
    runner = Runner(model)
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(quantized),
        Reader(runner.feed(sample) for sample in samples),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=METHODS[method],
    )
    return Runner(quantized)
