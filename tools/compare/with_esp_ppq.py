"""ESP-PPQ, Espressif's quantizer: int8, scales that are powers of two, its default settings for the ESP32-P4."""

import importlib.metadata
import pathlib

import numpy as np
import torch
from esp_ppq.api import espdl_quantize_onnx
from esp_ppq.executor import TorchExecutor

VERSION = importlib.metadata.version("esp-ppq")


class Runner:
    """A quantized graph, simulated as ESP-PPQ does it."""

    def __init__(self, graph, feed):
        self.executor, self.feed = TorchExecutor(graph=graph, device="cpu"), feed

    def run(self, samples):
        with torch.no_grad():
            return np.stack([self.executor.forward(self.feed(sample))[0].numpy().reshape(-1) for sample in samples])


def quantize(model, samples, feed, folder):
    """Quantizes `model`; `feed` brings an input into the network's own order. A Runner of the result."""
    tensors = [torch.from_numpy(feed(sample)) for sample in samples]
    graph = espdl_quantize_onnx(
        onnx_import_file=str(model),
        espdl_export_file=str(pathlib.Path(folder) / "model.espdl"),
        calib_dataloader=tensors,
        calib_steps=len(tensors),
        input_shape=list(tensors[0].shape),
        target="esp32p4",
        num_of_bits=8,
        device="cpu",
        error_report=False,
        verbose=0,
    )
    return Runner(graph, lambda sample: torch.from_numpy(feed(sample)))
