"""The TFLite interpreter with its reference kernels, which the golden files are made with."""

import importlib.metadata

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import golden_file

REFERENCE = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')} BUILTIN_REF"
SAMPLES = 4


def load(path):
    """An interpreter of `path` on the reference resolver: no delegate (XNNPACK) takes part in it."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter, samples):
    """Runs every sample (a list of input arrays); returns for each output the stack of its values over the samples."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    collected = [[] for _ in outputs]
    for sample in samples:
        for detail, values in zip(inputs, sample, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
        for values, detail in zip(collected, outputs, strict=True):
            values.append(interpreter.get_tensor(detail["index"]))
    return [np.stack(values) for values in collected]


def draw(detail, bounds, rng, sample):
    """Random values for one input; the last two samples of an integer input hold its extremes throughout."""
    shape, dtype = detail["shape"], detail["dtype"]
    if dtype == np.float32:
        return rng.uniform(*bounds, shape).astype(np.float32)
    limits = np.iinfo(dtype)
    if sample >= SAMPLES - 2:
        return np.full(shape, limits.min if sample == SAMPLES - 2 else limits.max, dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def write_case(path, rng, ranges, fixed=None):
    """Runs the model and writes its golden file beside it, inputs included.

    `ranges` has an interval for each input (used for float32); `fixed` gives inputs, by tensor index, that are the same in
    every sample.
    """
    interpreter = load(path)
    inputs, fixed = interpreter.get_input_details(), fixed or {}
    count = 1 if all(detail["index"] in fixed for detail in inputs) else SAMPLES
    samples = [
        [
            fixed[detail["index"]] if detail["index"] in fixed else draw(detail, bounds, rng, sample)
            for detail, bounds in zip(inputs, ranges, strict=True)
        ]
        for sample in range(count)
    ]
    outputs = run(interpreter, samples)
    tensors = [
        golden_file.tensor("input", detail["name"], np.stack([sample[index] for sample in samples]), detail["quantization"])
        for index, detail in enumerate(inputs)
    ] + [
        golden_file.tensor("output", detail["name"], stack, detail["quantization"])
        for detail, stack in zip(interpreter.get_output_details(), outputs, strict=True)
    ]
    operators = [detail["op_name"] for detail in interpreter._get_ops_details()]
    golden_file.write(path.with_suffix(".golden"), path, count, REFERENCE, "included", tensors, operators=operators)
