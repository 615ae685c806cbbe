"""The TFLite interpreter with its reference kernels, which the golden files are made with."""

import importlib.metadata

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

REFERENCE = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')} BUILTIN_REF"


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
