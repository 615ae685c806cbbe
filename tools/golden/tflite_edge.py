"""Small quantized TFLite models written field by field: scales, zero points and layouts that no converter would choose.

    python tools/golden/tflite_edge.py [--only PART ...]

They land as `edge_<case>.tflite` + `.golden` in `tests/golden/tflite_ops`. Ties of the rounding, zero points and weights at their
limits, whole tables of the nonlinear functions, absent biases, old operator codes, requantization, float inputs and outputs.
"""

import argparse
import pathlib
import zlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import reference

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tflite_ops"
f32 = np.float32
TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}
ACTIVATION = schema.ActivationFunctionType
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
ALL_BYTES = np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16, 1)


class Builder:
    """Collects tensors and operators; `inputs` are filled with random values unless a value is given."""

    def __init__(self, name):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, b"ocelli golden case"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs = [self.graph]
        self.fixed, self.old_codes = {}, False

    def tensor(self, shape, scale=None, zero_point=0, dtype=np.int8, data=None, axis=0, signature=None):
        entry = schema.TensorT()
        entry.name = f"t{len(self.graph.tensors)}".encode()
        entry.shape, entry.type = list(shape), TYPES[np.dtype(dtype)]
        if signature is not None:
            entry.shapeSignature = list(signature)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, f32))
            entry.quantization = schema.QuantizationParametersT()
            entry.quantization.scale = [float(each) for each in scales]
            entry.quantization.zeroPoint = [int(zero_point)] * len(scales)
            entry.quantization.quantizedDimension = axis if len(scales) > 1 else 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            entry.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(entry)
        return len(self.graph.tensors) - 1

    def input(self, shape, scale=None, zero_point=0, dtype=np.int8, values=None, signature=None):
        index = self.tensor(shape, scale, zero_point, dtype, signature=signature)
        self.graph.inputs.append(index)
        if values is not None:
            self.fixed[index] = values
        return index

    def operator(self, name, inputs, output, options=None, options_type=None, version=1):
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.builtinCode = min(number, 127), 0 if self.old_codes else number
        code.version = version
        entry = schema.OperatorT()
        entry.opcodeIndex, entry.inputs, entry.outputs = len(self.model.operatorCodes), list(inputs), [output]
        if options is not None:
            entry.builtinOptions = options
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, options_type or type(options).__name__[:-1])
        self.model.operatorCodes.append(code)
        self.graph.operators.append(entry)
        return output

    def finish(self, path, *outputs):
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))

    def weights(self, shape, limit=127):
        return self.rng.integers(-limit, limit + 1, shape).astype(np.int8)


def options(name, **fields):
    entry = getattr(schema, name + "OptionsT")()
    for key, value in fields.items():
        assert hasattr(entry, key), (name, key)
        setattr(entry, key, value)
    return entry


def conv_options(name="Conv2D", stride=(1, 1), padding=SAME, activation=ACTIVATION.NONE, **fields):
    return options(
        name,
        strideH=stride[0],
        strideW=stride[1],
        dilationHFactor=1,
        dilationWFactor=1,
        padding=padding,
        fusedActivationFunction=activation,
        **fields,
    )


def conv(b, shape, kernel, out, x_scale, x_zero, w_scale, y_scale, y_zero, limit=127, lowest=None, **settings):
    """A convolution; weights at `limit` and `lowest` (or -`limit`) in every output channel. Returns its output tensor."""
    x = b.input(shape, x_scale, x_zero)
    values = b.weights((out, *kernel, shape[3]), limit)
    values[:, 0, 0, 0], values[:, -1, -1, -1] = limit, -limit if lowest is None else lowest
    w = b.tensor(values.shape, w_scale, 0, data=values)
    bias_scale = np.atleast_1d(np.asarray(w_scale, f32)) * f32(x_scale)
    bias = b.tensor((out,), bias_scale, 0, np.int32, b.rng.integers(-2000, 2000, out))
    entry = conv_options(**settings)
    stride, same = (entry.strideH, entry.strideW), entry.padding == SAME
    size = [-(-n // s) if same else (n - k) // s + 1 for n, k, s in zip(shape[1:3], kernel, stride)]
    y = b.tensor((1, *size, out), y_scale, y_zero)
    return b.operator("CONV_2D", [x, w, bias], y, entry, version=3)


def unary(name, out, shape=(1, 16, 16, 1), **fields):
    """An operator of one input, fed with every int8 value."""

    def build(b, x_scale, x_zero, y_scale=None, y_zero=None):
        x = b.input(shape, x_scale, x_zero, values=ALL_BYTES.reshape(shape))
        scale, zero = out if out else (y_scale, y_zero)
        y = b.tensor(shape, scale, zero)
        return b.operator(name, [x], y, options(*fields["entry"][:1], **fields["entry"][1]) if fields else None)

    return build


def binary(b, name, shapes, scales, zeros, activation=ACTIVATION.NONE):
    inputs = [b.input(shape, scale, zero) for shape, scale, zero in zip(shapes, scales, zeros)]
    shape = np.broadcast_shapes(*shapes)
    y = b.tensor(shape, scales[2], zeros[2])
    return b.operator(name, inputs, y, options(name.capitalize(), fusedActivationFunction=activation), version=2)


def softmax(b, classes, scale, beta=1.0):
    shape = (24, classes)
    x = b.input(shape, scale, 3)
    return b.operator("SOFTMAX", [x], b.tensor(shape, 1 / 256, -128), options("Softmax", beta=beta), version=2)


def mean(b, shape, axes, x, y, keep=False):
    source = b.input(shape, *x)
    where = b.tensor((len(axes),), dtype=np.int32, data=np.array(axes, np.int32))
    reduced = [axis % len(shape) for axis in axes]
    left = [1 if axis in reduced else size for axis, size in enumerate(shape) if keep or axis not in reduced]
    return b.operator("MEAN", [source, where], b.tensor(left, *y), options("Reducer", keepDims=keep), version=2)


def pool(b, name, shape, kernel, stride, padding, scale, zero, activation=ACTIVATION.NONE):
    x = b.input(shape, scale, zero)
    entry = options(
        "Pool2D",
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        strideH=stride[0],
        strideW=stride[1],
        padding=padding,
        fusedActivationFunction=activation,
    )
    size = [-(-n // s) if padding == SAME else (n - k) // s + 1 for n, k, s in zip(shape[1:3], kernel, stride)]
    return b.operator(name, [x], b.tensor((1, *size, shape[3]), scale, zero), entry, version=2)


def fully_connected(b, shape, units, x_scale, w_scale, y_scale, y_zero, limit, bias=True):
    x = b.input(shape, x_scale, -7)
    size = int(np.prod(shape[1:]))
    w = b.tensor((units, size), w_scale, 0, data=b.weights((units, size), limit))
    data = b.rng.integers(-50, 50, units)
    bias = b.tensor((units,), f32(x_scale) * np.atleast_1d(np.asarray(w_scale, f32)), 0, np.int32, data) if bias else -1
    return b.operator(
        "FULLY_CONNECTED", [x, w, bias], b.tensor((1, units), y_scale, y_zero), options("FullyConnected"), version=4
    )


def fully_connected_tie(b):
    """The float32 product of the scales is exactly half the output scale; their float64 product is not."""
    x_scale, w_scale = inexact_product()
    return fully_connected(b, (1, 12), 20, x_scale, w_scale, float(x_scale * w_scale) * 2, 5, 2)


def fully_connected_powers_of_two(b):
    """Every odd sum is a tie; fully connected layers round it away from zero."""
    return fully_connected(b, (1, 12), 24, 1.0, 2.0 ** -np.arange(1.0, 25.0).clip(1, 7), 1.0, 2, 3)


def conv_tie(b):
    """As `fully_connected_tie`, but a convolution multiplies its scales in float64: no tie here."""
    x_scale, w_scale = inexact_product()
    return conv(b, (1, 4, 5, 3), (1, 1), 8, x_scale, 2, w_scale, float(x_scale * w_scale) * 2, -4, limit=2)


def mul_tie(b):
    x_scale, y_scale = inexact_product()
    scales = (x_scale, y_scale, float(x_scale * y_scale) * 2**9)
    return binary(b, "MUL", [(1, 6, 7, 5)] * 2, scales, (3, -9, 1))


def inexact_product():
    """Two float32 scales whose float32 product lies above their exact product."""
    x_scale, w_scale = f32(0.0235), f32(0.0091)
    while float(x_scale * w_scale) <= float(x_scale) * float(w_scale):
        w_scale = np.nextafter(w_scale, f32(1))
    return x_scale, w_scale


def conv_many_ties(b):
    """Multipliers that are powers of two: every odd sum is a tie, for right shifts of 1 to 6, and left shifts."""
    scales = 2.0 ** np.array([-1, -2, -3, -4, -5, -6, 0, 1])
    return conv(b, (1, 5, 5, 2), (1, 1), 8, 1.0, -3, scales, 1.0, 2, limit=2)


def requantize(x, y, x_type=np.int8, y_type=np.int8):
    def build(b):
        values = np.arange(256).astype(np.uint8).view(x_type).reshape(1, 16, 16, 1)
        source = b.input((1, 16, 16, 1), *x, dtype=x_type, values=values)
        return b.operator("QUANTIZE", [source], b.tensor((1, 16, 16, 1), *y, dtype=y_type), options("Quantize"), version=2)

    return build


def float_io(b):
    """QUANTIZE, a convolution and DEQUANTIZE: int8 inside, float32 outside."""
    x = b.input((1, 5, 6, 3), dtype=np.float32)
    inside = b.operator("QUANTIZE", [x], b.tensor((1, 5, 6, 3), 0.0117, 14), options("Quantize"))
    w = b.tensor((4, 3, 3, 3), [0.01, 0.02, 0.003, 0.007], 0, data=b.weights((4, 3, 3, 3)))
    bias = b.tensor((4,), f32(0.0117) * np.array([0.01, 0.02, 0.003, 0.007], f32), 0, np.int32, b.rng.integers(-900, 900, 4))
    y = b.operator("CONV_2D", [inside, w, bias], b.tensor((1, 5, 6, 4), 0.031, -20), conv_options(), version=3)
    return b.operator("DEQUANTIZE", [y], b.tensor((1, 5, 6, 4), dtype=np.float32), options("Dequantize"), version=2)


def old_operator_codes(b):
    b.old_codes = True
    return binary(b, "ADD", [(1, 4, 5, 3)] * 2, (0.02, 0.03, 0.04), (1, -5, 9))


def dynamic_batch(b):
    """`shape_signature` with a batch of -1, as Keras leaves it; the shape says 1."""
    x = b.input((1, 5, 6, 4), 0.02, 3, signature=(-1, 5, 6, 4))
    w = b.tensor((5, 1, 1, 4), 0.01, 0, data=b.weights((5, 1, 1, 4)))
    bias = b.tensor((5,), 0.0002, 0, np.int32, b.rng.integers(-900, 900, 5))
    y = b.tensor((1, 5, 6, 5), 0.05, 0, signature=(-1, 5, 6, 5))
    return b.operator("CONV_2D", [x, w, bias], y, conv_options(), version=3)


def reshape_minus_one(b):
    x = b.input((1, 3, 4, 5), 0.02, 3)
    shape = b.tensor((2,), dtype=np.int32, data=np.array([1, -1], np.int32))
    return b.operator("RESHAPE", [x, shape], b.tensor((1, 60), 0.02, 3), options("Reshape", newShape=[1, -1]))


def reshape_option_only(b):
    """The new shape in the options, without the second input, as old files have it."""
    x = b.input((1, 3, 4, 5), 0.02, 3)
    return b.operator("RESHAPE", [x], b.tensor((1, 4, 15), 0.02, 3), options("Reshape", newShape=[1, 4, 15]))


def squeeze(b):
    pooled = mean(b, (1, 4, 3, 6), (1, 2), (0.03, -9), (0.02, 4), keep=True)
    return b.operator("SQUEEZE", [pooled], b.tensor((1, 6), 0.02, 4), options("Squeeze", squeezeDims=[1, 2]))


def depthwise(b, x_zero, y_zero, multiplier, activation, bias=True):
    channels = 5
    x = b.input((1, 6, 5, channels), 0.021, x_zero)
    out = channels * multiplier
    scales = np.exp(b.rng.uniform(-7, -3, out)).astype(f32)
    values = b.weights((1, 3, 3, out))
    values[0, 0, 0], values[0, 2, 2] = 127, -127
    inputs = [x, b.tensor(values.shape, scales, 0, data=values, axis=3)]
    if bias:
        inputs.append(b.tensor((out,), f32(0.021) * scales, 0, np.int32, b.rng.integers(-3000, 3000, out)))
    y = b.tensor((1, 3, 3, out), 0.02, y_zero)
    entry = conv_options("DepthwiseConv2D", (2, 2), activation=activation, depthMultiplier=multiplier)
    return b.operator("DEPTHWISE_CONV_2D", inputs, y, entry, version=3)


MAP = (1, 6, 7, 5)
logistic = unary("LOGISTIC", (1 / 256, -128))
tanh = unary("TANH", (1 / 128, 0))
hard_swish = unary("HARD_SWISH", None)
gelu = unary("GELU", None, entry=("Gelu", {"approximate": False}))
gelu_tanh = unary("GELU", None, entry=("Gelu", {"approximate": True}))
leaky = {alpha: unary("LEAKY_RELU", None, entry=("LeakyRelu", {"alpha": alpha})) for alpha in (0.01, 0.2, 0.5, 1.7)}
relu, relu6, relu_n1 = (unary(name, None) for name in ("RELU", "RELU6", "RELU_N1_TO_1"))

CASES = {
    "fully_connected_tie": fully_connected_tie,
    "fully_connected_powers_of_two": fully_connected_powers_of_two,
    "fully_connected_no_bias": lambda b: fully_connected(b, (1, 40), 9, 0.02, 0.01, 0.13, -128, 127, bias=False),
    "fully_connected_per_channel": lambda b: fully_connected(b, (1, 40), 3, 0.02, [0.01, 0.002, 0.03], 0.2, 9, 127),
    "fully_connected_map_input": lambda b: fully_connected(b, (1, 2, 3, 5), 6, 0.02, 0.01, 0.1, 9, 127),
    "conv_tie": conv_tie,
    "conv_many_ties": conv_many_ties,
    "conv_zero_point_low": lambda b: conv(b, (1, 5, 6, 3), (3, 3), 7, 0.02, -128, 0.01, 0.19, 127),
    "conv_zero_point_high": lambda b: conv(b, (1, 5, 6, 3), (3, 3), 7, 0.02, 127, 0.01, 0.19, -128),
    "conv_weight_minus_128": lambda b: conv(b, (1, 5, 6, 3), (3, 3), 7, 0.02, 11, 0.01, 0.19, -5, lowest=-128),
    "conv_multiplier_above_one": lambda b: conv(b, (1, 5, 6, 2), (1, 1), 6, 0.5, -8, 0.5, 0.07, 4, limit=3),
    "conv_multiplier_tiny": lambda b: conv(b, (1, 5, 6, 12), (3, 3), 4, 0.02, -8, 1e-6, 0.5, -60),
    "conv_relu_n1_to_1": lambda b: conv(
        b, (1, 5, 6, 3), (3, 3), 7, 0.02, -8, 0.002, 0.0079, 3, activation=ACTIVATION.RELU_N1_TO_1
    ),
    "conv_relu6_narrow": lambda b: conv(
        b, (1, 5, 6, 3), (3, 3), 7, 0.02, -8, 0.01, 0.1, -100, activation=ACTIVATION.RELU6, stride=(2, 2)
    ),
    "depthwise_relu6": lambda b: depthwise(b, -128, -128, 1, ACTIVATION.RELU6),
    "depthwise_multiplier3": lambda b: depthwise(b, 127, 20, 3, ACTIVATION.NONE),
    "depthwise_no_bias": lambda b: depthwise(b, 5, -11, 1, ACTIVATION.RELU, bias=False),
    "add_many": lambda b: binary(b, "ADD", [(1, 16, 16, 2)] * 2, (0.0213, 0.0458, 0.0611), (-128, 127, 3)),
    "add_equal_scales": lambda b: binary(b, "ADD", [MAP] * 2, (0.05, 0.05, 0.1), (0, 0, 0)),
    "add_ratio_large": lambda b: binary(b, "ADD", [MAP] * 2, (0.0001, 3.0, 3.0), (7, -7, 0)),
    "add_relu6": lambda b: binary(b, "ADD", [MAP] * 2, (0.03, 0.04, 0.05), (9, -90, -100), ACTIVATION.RELU6),
    "add_broadcast_channels": lambda b: binary(b, "ADD", [MAP, (1, 1, 1, 5)], (0.03, 0.04, 0.05), (9, -90, 1)),
    "add_broadcast_first": lambda b: binary(b, "ADD", [(1, 1, 1, 5), MAP], (0.03, 0.04, 0.05), (9, -90, 1)),
    "sub_many": lambda b: binary(b, "SUB", [MAP] * 2, (0.0213, 0.0458, 0.0611), (-128, 127, 3)),
    "mul_tie": mul_tie,
    "mul_many": lambda b: binary(b, "MUL", [(1, 16, 16, 2)] * 2, (0.0213, 0.0458, 0.15), (-128, 40, 3)),
    "mul_broadcast_first": lambda b: binary(b, "MUL", [(1, 1, 1, 5), MAP], (0.03, 0.04, 0.05), (9, -90, 1)),
    "mul_relu": lambda b: binary(b, "MUL", [MAP] * 2, (0.03, 0.04, 0.05), (9, -9, -50), ACTIVATION.RELU),
    "mean_5x5": lambda b: mean(b, (1, 5, 5, 30), (1, 2), (0.03, -128), (0.011, -128)),
    "mean_6x10_negative_axes": lambda b: mean(b, (1, 6, 10, 20), (-2, -3), (0.03, 127), (0.004, 90), keep=True),
    "mean_2x2_equal_scales": lambda b: mean(b, (1, 2, 2, 60), (1, 2), (0.05, 4), (0.05, 4)),
    "mean_4x4_other_scale": lambda b: mean(b, (1, 4, 4, 60), (2, 1), (0.05, 4), (0.02, -30)),
    "mean_channels": lambda b: mean(b, (1, 4, 5, 7), (3,), (0.05, 4), (0.02, -30), keep=True),
    "average_pool_relu6": lambda b: pool(
        b, "AVERAGE_POOL_2D", (1, 7, 6, 4), (3, 3), (2, 2), SAME, 0.06, -70, ACTIVATION.RELU6
    ),
    "average_pool_negative": lambda b: pool(b, "AVERAGE_POOL_2D", (1, 9, 9, 8), (2, 2), (1, 1), VALID, 0.06, 127),
    "average_pool_5x5": lambda b: pool(b, "AVERAGE_POOL_2D", (1, 5, 5, 40), (5, 5), (1, 1), VALID, 0.06, -128),
    "max_pool_relu": lambda b: pool(b, "MAX_POOL_2D", (1, 7, 6, 4), (3, 2), (2, 3), SAME, 0.06, 10, ACTIVATION.RELU),
    "softmax_10": lambda b: softmax(b, 10, 0.06),
    "softmax_10_wide": lambda b: softmax(b, 10, 0.4),
    "softmax_10_narrow": lambda b: softmax(b, 10, 0.004),
    "softmax_3_scale_1": lambda b: softmax(b, 3, 1.0),
    "softmax_2": lambda b: softmax(b, 2, 0.021),
    "softmax_65": lambda b: softmax(b, 65, 0.03),
    "softmax_beta": lambda b: softmax(b, 12, 0.02, beta=2.5),
    "logistic_a": lambda b: logistic(b, 0.047, 0),
    "logistic_b": lambda b: logistic(b, 0.11, 60),
    "logistic_c": lambda b: logistic(b, 0.003, -128),
    "tanh_a": lambda b: tanh(b, 0.023, 0),
    "tanh_b": lambda b: tanh(b, 0.07, -100),
    "hard_swish_a": lambda b: hard_swish(b, 0.03, 0, 0.017, -108),
    "hard_swish_b": lambda b: hard_swish(b, 0.05, -120, 0.05, -121),
    "hard_swish_c": lambda b: hard_swish(b, 0.4, 30, 0.2, -128),
    "hard_swish_d": lambda b: hard_swish(b, 0.011, 5, 0.0071, -90),
    "gelu_a": lambda b: gelu(b, 0.03, 0, 0.017, -118),
    "gelu_b": lambda b: gelu(b, 0.06, 50, 0.05, -120),
    "gelu_tanh_a": lambda b: gelu_tanh(b, 0.03, 0, 0.017, -118),
    "gelu_tanh_b": lambda b: gelu_tanh(b, 0.06, 50, 0.05, -120),
    "leaky_relu_half": lambda b: leaky[0.5](b, 0.04, 3, 0.04, -20),
    "leaky_relu_small": lambda b: leaky[0.01](b, 0.04, 90, 0.003, -90),
    "leaky_relu_above_one": lambda b: leaky[1.7](b, 0.04, 0, 0.07, 20),
    "leaky_relu_fifth": lambda b: leaky[0.2](b, 0.0413, -3, 0.0207, 1),
    "relu_requantized": lambda b: relu(b, 0.04, -10, 0.02, -128),
    "relu6_requantized": lambda b: relu6(b, 0.06, -30, 0.0235, -128),
    "relu_n1_to_1_requantized": lambda b: relu_n1(b, 0.013, 4, 0.0079, -1),
    "quantize_half": requantize((0.02, 3), (0.04, -7)),
    "quantize_quarter": requantize((0.02, -128), (0.08, 0)),
    "quantize_double": requantize((0.02, 0), (0.01, 5)),
    "quantize_any": requantize((0.0213, -128), (0.0377, 127)),
    "quantize_uint8_to_int8": requantize((0.0213, 128), (0.0213, 0), np.uint8, np.int8),
    "quantize_int8_to_uint8": requantize((0.0213, 0), (0.0377, 100), np.int8, np.uint8),
    "float_io": float_io,
    "old_operator_codes": old_operator_codes,
    "dynamic_batch": dynamic_batch,
    "reshape_minus_one": reshape_minus_one,
    "reshape_option_only": reshape_option_only,
    "squeeze": squeeze,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of case names; all cases without it")
    only = parser.parse_args().only
    for name, build in CASES.items():
        if only and not any(part in name for part in only):
            continue
        builder = Builder(name)
        path = OUT / f"edge_{name}.tflite"
        builder.finish(path, build(builder))
        reference.write_case(path, builder.rng, [(-1.5, 1.5)] * len(builder.graph.inputs), builder.fixed)


if __name__ == "__main__":
    main()
