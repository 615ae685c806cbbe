"""Writes ONNX cases and their golden files: onnxruntime on the CPU with every graph optimization off."""

import pathlib

import numpy as np
import onnx
import onnxruntime

import golden_file

REFERENCE = f"onnxruntime {onnxruntime.__version__} CPUExecutionProvider, optimizations off"
OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "onnx"
SAMPLES = 2


def session(path):
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def write_golden(path, rng, low=-2.0, high=2.0):
    """Runs the model at `path` on random inputs (a symbolic dimension counts as 1) and writes its golden file."""
    runner = session(path)
    entries = runner.get_inputs()
    shapes = [[size if isinstance(size, int) else 1 for size in entry.shape] for entry in entries]
    inputs = [rng.uniform(low, high, (SAMPLES, *shape)).astype(np.float32) for shape in shapes]
    names = [entry.name for entry in entries]
    runs = [runner.run(None, {name: values[sample] for name, values in zip(names, inputs)}) for sample in range(SAMPLES)]
    tensors = [golden_file.tensor("input", name, values) for name, values in zip(names, inputs, strict=True)]
    for index, entry in enumerate(runner.get_outputs()):
        tensors.append(golden_file.tensor("output", entry.name, np.stack([run[index] for run in runs])))
    model = onnx.load(str(path))
    golden_file.write(
        path.with_suffix(".golden"),
        path,
        SAMPLES,
        REFERENCE,
        "included",
        tensors,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        opset=max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        operators=sorted({node.op_type for node in model.graph.node}),
    )
