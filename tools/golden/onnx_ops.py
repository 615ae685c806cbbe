"""Small ONNX models written node by node, for the attributes and forms that exporters seldom choose.

    python tools/golden/onnx_ops.py [--only PART ...]

They land as `<case>.onnx` + `.golden` in `tests/golden/onnx`.
"""

import argparse
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnx_reference

MAP = (1, 4, 7, 6)


class Case:
    """A graph under construction; every method returns the name of a tensor."""

    def __init__(self, name, opset):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants, self.inputs, self.count = [], [], [], 0
        self.output_shape = None  # where shape inference cannot find it

    def fresh(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    def input(self, shape=MAP):
        name = f"input_{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return name

    def constant(self, values, dtype=np.float32):
        name = self.fresh("constant")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name

    def weights(self, *shape, scale=0.4):
        return self.constant(self.rng.standard_normal(shape) * scale)

    def constant_node(self, values, dtype=np.float32):
        """A Constant node in place of an initializer."""
        return self.node("Constant", value=numpy_helper.from_array(np.asarray(values, dtype), "value"))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [self.fresh(op.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{op}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def model(self, *results):
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.output_shape) for name in results]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, outputs, self.constants)
        # IR version 8 goes with every opset used here.
        opset = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="ocelli-golden", ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        del inferred.graph.value_info[:]
        onnx.checker.check_model(inferred)
        return inferred


def conv(shape=MAP, out=5, kernel=(3, 3), bias=True, group=1, **attributes):
    def build(c):
        x = c.input(shape)
        w = c.weights(out, shape[1] // group, *kernel)
        extra = [c.weights(out)] if bias else []
        return c.node("Conv", x, w, *extra, group=group, **attributes)

    return build


def unary(op, shape=MAP, **attributes):
    return lambda c: c.node(op, c.input(shape), **attributes)


def gemm(trans_a=0, trans_b=0, alpha=1.0, beta=1.0, c_shape=(6,), constant_first=False):
    def build(c):
        x = c.input((9, 1) if trans_a else (1, 9))
        w = c.weights(6, 9) if trans_b else c.weights(9, 6)
        extra = [c.weights(*c_shape)] if c_shape is not None else []
        return c.node("Gemm", x, w, *extra, transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)

    return build


def matmul_add(c):
    return c.node("Add", c.node("MatMul", c.input((1, 9)), c.weights(9, 6)), c.weights(6))


def matmul_add_bias_first(c):
    return c.node("Add", c.weights(6), c.node("MatMul", c.input((1, 9)), c.weights(9, 6)))


def matmul_map(c):
    """A MatMul over the channels of an NHWC map is a 1x1 convolution."""
    return c.node("MatMul", c.input((1, 3, 4, 5)), c.weights(5, 6))


def binary_constant(op, shape, first=False):
    def build(c):
        x, k = c.input(), c.weights(*shape, scale=1.0)
        return c.node(op, k, x) if first else c.node(op, x, k)

    return build


def binary(op, a=MAP, b=MAP):
    return lambda c: c.node(op, c.input(a), c.input(b))


def batch_normalization(c):
    channels = MAP[1]
    statistics = [c.constant(c.rng.uniform(0.5, 1.5, channels)), c.weights(channels)]
    statistics += [c.weights(channels), c.constant(c.rng.uniform(0.3, 2.0, channels))]
    return c.node("BatchNormalization", c.input(), *statistics, epsilon=1e-3)


def conv_batch_normalization(c):
    y = c.node("Conv", c.input(), c.weights(5, 4, 3, 3), pads=[1, 1, 1, 1])
    statistics = [c.constant(c.rng.uniform(0.5, 1.5, 5)), c.weights(5), c.weights(5), c.constant(c.rng.uniform(0.3, 2.0, 5))]
    return c.node("Relu", c.node("BatchNormalization", y, *statistics))


def batch_normalization_conv(c):
    """Normalization before a padded convolution: it cannot be folded into the weights at the borders."""
    statistics = [c.constant(c.rng.uniform(0.5, 1.5, 4)), c.weights(4), c.weights(4), c.constant(c.rng.uniform(0.3, 2.0, 4))]
    y = c.node("BatchNormalization", c.input(), *statistics)
    return c.node("Conv", y, c.weights(5, 4, 3, 3), pads=[1, 1, 1, 1])


def conv_scale_shift(c):
    """Mul and Add by constants a channel after a convolution."""
    y = c.node("Conv", c.input(), c.weights(5, 4, 1, 1), c.weights(5))
    return c.node("Add", c.node("Mul", y, c.weights(5, 1, 1)), c.weights(1, 5, 1, 1))


def clip(low, high, as_nodes=False):
    def build(c):
        make = c.constant_node if as_nodes else c.constant
        bounds = [make(each) if each is not None else "" for each in (low, high)]
        return c.node("Clip", c.input(), *bounds)

    return build


def pad(pads, mode="constant", value=None):
    def build(c):
        extra = [c.constant(value)] if value is not None else []
        return c.node("Pad", c.input(), c.constant(pads, np.int64), *extra, mode=mode)

    return build


def pad_axes(c):
    return c.node("Pad", c.input(), c.constant([1, 2, 0, 1], np.int64), "", c.constant([2, 3], np.int64))


def pad_conv(c):
    """An explicit asymmetric Pad before a strided convolution."""
    y = c.node("Pad", c.input(), c.constant([0, 0, 0, 0, 0, 0, 1, 1], np.int64), c.constant(0.0))
    return c.node("Conv", y, c.weights(5, 4, 3, 3), c.weights(5), strides=[2, 2])


def reshape(target, allow_zero=None):
    def build(c):
        attributes = {} if allow_zero is None else {"allowzero": allow_zero}
        return c.node("Reshape", c.input(), c.constant(target, np.int64), **attributes)

    return build


def reshape_from_shape(c):
    """PyTorch's `x.view(x.size(0), -1)` as old exporters write it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    x, c.output_shape = c.input(), (1, 3)
    batch = c.node("Gather", c.node("Shape", x), c.constant_node(0, np.int64), axis=0)
    parts = c.node("Concat", c.node("Unsqueeze", batch, axes=[0]), c.constant([-1], np.int64), axis=0)
    return c.node("Gemm", c.node("Reshape", x, parts), c.weights(3, 168, scale=0.1), c.weights(3), transB=1)


def squeeze(axes_as_input):
    def build(c):
        y = c.node("GlobalAveragePool", c.input())
        axes = [2, 3]
        return c.node("Squeeze", y, c.constant(axes, np.int64)) if axes_as_input else c.node("Squeeze", y, axes=axes)

    return build


def unsqueeze(c):
    y = c.node("Unsqueeze", c.input((1, 6)), c.constant([2, 3], np.int64))
    return c.node("Conv", y, c.weights(4, 6, 1, 1), c.weights(4))


def reduce_mean(axes, keep, axes_as_input=False):
    def build(c):
        if axes_as_input:
            return c.node("ReduceMean", c.input(), c.constant(axes, np.int64), keepdims=keep)
        return c.node("ReduceMean", c.input(), axes=axes, keepdims=keep)

    return build


def concat(axis, *shapes):
    return lambda c: c.node("Concat", *[c.input(shape) for shape in shapes], axis=axis)


def concat_constant(c):
    return c.node("Concat", c.input(), c.weights(1, 2, 7, 6), axis=1)


def prelu(*shape):
    return lambda c: c.node("PRelu", c.input(), c.constant(c.rng.uniform(-0.2, 0.6, shape)))


def hard_swish_chain(divide):
    def build(c):
        x = c.input()
        gate = c.node("Clip", c.node("Add", x, c.constant(3.0)), c.constant(0.0), c.constant(6.0))
        product = c.node("Mul", x, gate)
        return c.node("Div", product, c.constant(6.0)) if divide else c.node("Mul", product, c.constant(1 / 6))

    return build


def hard_sigmoid_chain(c):
    x = c.input()
    gate = c.node("Clip", c.node("Add", x, c.constant(3.0)), c.constant(0.0), c.constant(6.0))
    return c.node("Div", gate, c.constant(6.0))


def silu(c):
    x = c.input()
    return c.node("Mul", x, c.node("Sigmoid", x))


def gelu_erf(order):
    """0.5 * x * (1 + erf(x / sqrt 2)) in the orders in which exporters multiply."""

    def build(c):
        x = c.input()
        one = c.node("Add", c.node("Erf", c.node("Div", x, c.constant(2**0.5))), c.constant(1.0))
        if order == "half last":
            return c.node("Mul", c.node("Mul", x, one), c.constant(0.5))
        return c.node("Mul", c.node("Mul", x, c.constant(0.5)), one)

    return build


def gelu_tanh_chain(c):
    x = c.input()
    cube = c.node("Mul", c.node("Pow", x, c.constant(3.0)), c.constant(0.044715))
    inner = c.node("Mul", c.node("Add", x, cube), c.constant((2 / np.pi) ** 0.5))
    one = c.node("Add", c.node("Tanh", inner), c.constant(1.0))
    return c.node("Mul", c.node("Mul", x, c.constant(0.5)), one)


def squeeze_excite(gate, pooling):
    def build(c):
        x = c.input((1, 8, 5, 6))
        y = c.node("GlobalAveragePool", x) if pooling == "pool" else c.node("ReduceMean", x, axes=[2, 3], keepdims=1)
        y = c.node("Relu", c.node("Conv", y, c.weights(4, 8, 1, 1), c.weights(4)))
        y = c.node(gate, c.node("Conv", y, c.weights(8, 4, 1, 1, scale=2.0), c.weights(8)))
        return c.node("Mul", x, y)

    return build


def squeeze_excite_gemm(c):
    """The gate made by Gemm on the flattened means, reshaped back."""
    x = c.input((1, 8, 5, 6))
    y = c.node("Flatten", c.node("GlobalAveragePool", x))
    y = c.node("Relu", c.node("Gemm", y, c.weights(4, 8), c.weights(4), transB=1))
    y = c.node("Sigmoid", c.node("Gemm", y, c.weights(8, 4), c.weights(8), transB=1))
    return c.node("Mul", x, c.node("Reshape", y, c.constant([1, 8, 1, 1], np.int64)))


def nhwc_conv(c):
    """An NHWC graph: Transpose, Conv, Relu, Transpose."""
    y = c.node("Transpose", c.input((1, 7, 6, 4)), perm=[0, 3, 1, 2])
    y = c.node("Relu", c.node("Conv", y, c.weights(5, 4, 3, 3), c.weights(5), pads=[1, 1, 1, 1]))
    return c.node("Transpose", y, perm=[0, 2, 3, 1])


def nhwc_flatten(c):
    """Flattening after the transpose back to NHWC: the order of the weights follows it."""
    y = c.node("Transpose", c.input((1, 4, 3, 2)), perm=[0, 2, 3, 1])
    return c.node("Gemm", c.node("Flatten", y), c.weights(5, 24), c.weights(5), transB=1)


def nchw_flatten(c):
    return c.node("Gemm", c.node("Flatten", c.input((1, 4, 3, 2))), c.weights(5, 24), c.weights(5), transB=1)


def nchw_flatten_map(c):
    """A flattened map after a convolution, which an NHWC engine must reorder."""
    y = c.node("Relu", c.node("Conv", c.input(), c.weights(5, 4, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1]))
    return c.node("Gemm", c.node("Flatten", y), c.weights(3, 60, scale=0.2), c.weights(3), transB=1)


def identity_dropout(c):
    y = c.node("Identity", c.node("Relu", c.input()))
    return c.node("Conv", c.node("Dropout", y), c.weights(3, 4, 1, 1))


def weights_from_constant_nodes(c):
    w = c.constant_node(c.rng.standard_normal((5, 4, 1, 1)))
    return c.node("Conv", c.input(), w, c.constant_node(c.rng.standard_normal(5)))


def shared_weights(c):
    """Two convolutions with one weight tensor."""
    w = c.weights(4, 4, 3, 3)
    y = c.node("Relu", c.node("Conv", c.input(), w, pads=[1, 1, 1, 1]))
    return c.node("Conv", y, w, pads=[1, 1, 1, 1])


def residual(c):
    x = c.input()
    y = c.node("Relu", c.node("Conv", x, c.weights(4, 4, 3, 3), c.weights(4), pads=[1, 1, 1, 1]))
    return c.node("Relu", c.node("Add", c.node("Conv", y, c.weights(4, 4, 3, 3), c.weights(4), pads=[1, 1, 1, 1]), x))


def quantize_dequantize(c, x, scale, zero_point, dtype=np.uint8):
    parameters = [c.constant(scale), c.constant(zero_point, dtype)]
    return c.node("DequantizeLinear", c.node("QuantizeLinear", x, *parameters), *parameters)


def qdq_conv(activations, per_channel, relu=False):
    """Quantize-dequantize around a convolution, as quantization tools write it; weights int8, bias int32."""

    def build(c):
        x = quantize_dequantize(c, c.input(), 0.016, 5 if activations == np.int8 else 120, activations)
        scales = c.rng.uniform(0.004, 0.02, 5).astype(np.float32) if per_channel else np.float32(0.01)
        zeros = np.zeros(np.shape(scales))
        axis = {"axis": 0} if per_channel else {}
        w = c.constant(c.rng.integers(-127, 128, (5, 4, 3, 3)), np.int8)
        w = c.node("DequantizeLinear", w, c.constant(scales), c.constant(zeros, np.int8), **axis)
        bias = c.constant(c.rng.integers(-4000, 4000, 5), np.int32)
        bias_scales = np.float32(0.016) * np.broadcast_to(scales, 5)
        bias = c.node("DequantizeLinear", bias, c.constant(bias_scales), c.constant(np.zeros(5), np.int32), axis=0)
        y = c.node("Conv", x, w, bias, pads=[1, 1, 1, 1])
        y = c.node("Relu", y) if relu else y
        return quantize_dequantize(c, y, 0.05, -128 if activations == np.int8 else 0, activations)

    return build


def pool(op, **attributes):
    return unary(op, (1, 3, 7, 8), **attributes)


SAME = {"pads": [1, 1, 1, 1]}
# Case, lowest opset that it is written for, builder.
CASES = {
    "conv_1x1": (11, conv(kernel=(1, 1))),
    "conv_no_bias": (11, conv(bias=False)),
    "conv_3x3_pads_1": (11, conv(**SAME)),
    "conv_3x3_stride_2": (11, conv(strides=[2, 2], **SAME)),
    "conv_3x3_stride_2_even": (11, conv((1, 4, 8, 6), strides=[2, 2], **SAME)),
    "conv_pads_asymmetric": (11, conv(pads=[0, 2, 1, 0])),
    "conv_pads_bottom_right": (11, conv((1, 4, 8, 6), strides=[2, 2], pads=[0, 0, 1, 1])),
    "conv_pads_wide": (11, conv(pads=[3, 4, 2, 3])),
    "conv_kernel_1x7": (11, conv(kernel=(1, 7), pads=[0, 3, 0, 3])),
    "conv_kernel_5x3": (11, conv(kernel=(5, 3), pads=[2, 1, 2, 1])),
    "conv_kernel_2x2": (11, conv(kernel=(2, 2), strides=[2, 2])),
    "conv_kernel_4x4_auto_same_lower": (11, conv(kernel=(4, 4), auto_pad="SAME_LOWER")),
    "conv_stride_1x2": (11, conv(strides=[1, 2], **SAME)),
    "conv_stride_3": (11, conv(strides=[3, 3])),
    "conv_dilation_2": (11, conv(dilations=[2, 2], pads=[2, 2, 2, 2])),
    "conv_dilation_2x1": (11, conv(dilations=[2, 1])),
    "conv_auto_same_upper": (11, conv((1, 4, 8, 7), strides=[2, 2], auto_pad="SAME_UPPER")),
    "conv_auto_same_lower": (11, conv((1, 4, 8, 7), strides=[2, 2], auto_pad="SAME_LOWER")),
    "conv_auto_valid": (11, conv(auto_pad="VALID", strides=[2, 1])),
    "conv_groups_2": (11, conv(out=6, group=2, **SAME)),
    "conv_groups_4_kernel_1": (11, conv((1, 8, 5, 4), out=12, kernel=(1, 1), group=4)),
    "conv_depthwise": (11, conv(out=4, group=4, **SAME)),
    "conv_depthwise_stride_2": (11, conv(out=4, group=4, strides=[2, 2], **SAME)),
    "conv_depthwise_multiplier_2": (11, conv(out=8, group=4, **SAME)),
    "conv_depthwise_5x5_dilation_2": (11, conv(out=4, group=4, kernel=(5, 5), dilations=[2, 2], pads=[4, 4, 4, 4])),
    "conv_map_1x1": (11, conv((1, 9, 1, 1), kernel=(1, 1))),
    "conv_one_channel": (11, conv((1, 1, 9, 5), out=1, **SAME)),
    "gemm": (11, gemm()),
    "gemm_trans_b": (11, gemm(trans_b=1)),
    "gemm_trans_a": (11, gemm(trans_a=1)),
    "gemm_alpha_beta": (13, gemm(trans_b=1, alpha=0.7, beta=1.3, c_shape=(1, 6))),
    "gemm_no_c": (13, gemm(trans_b=1, c_shape=None)),
    "gemm_scalar_c": (13, gemm(trans_b=1, c_shape=(1,))),
    "matmul_add": (13, matmul_add),
    "matmul_add_bias_first": (13, matmul_add_bias_first),
    "matmul_map": (13, matmul_map),
    "add": (13, binary("Add")),
    "add_constant": (13, binary_constant("Add", (1, 4, 1, 1))),
    "add_constant_first": (13, binary_constant("Add", (4, 1, 1), first=True)),
    "add_constant_scalar": (13, binary_constant("Add", ())),
    "sub_constant": (13, binary_constant("Sub", (1, 4, 1, 1))),
    "sub_constant_first": (13, binary_constant("Sub", (1, 4, 1, 1), first=True)),
    "sub": (13, binary("Sub")),
    "mul": (13, binary("Mul")),
    "mul_constant": (13, binary_constant("Mul", (1, 4, 1, 1))),
    "mul_constant_scalar": (13, binary_constant("Mul", (1,))),
    "mul_constant_map": (13, binary_constant("Mul", MAP)),
    "mul_broadcast_channels": (13, binary("Mul", MAP, (1, 4, 1, 1))),
    "mul_broadcast_channels_first": (13, binary("Mul", (1, 4, 1, 1), MAP)),
    "div_constant": (13, binary_constant("Div", (1, 4, 1, 1))),
    "average_pool": (11, pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2])),
    "average_pool_pads": (11, pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], **SAME)),
    "average_pool_pads_included": (
        11,
        pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], count_include_pad=1, **SAME),
    ),
    "average_pool_ceil": (11, pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    "average_pool_ceil_pads_included": (
        19,
        pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, count_include_pad=1, **SAME),
    ),
    "average_pool_same_upper": (11, pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")),
    "average_pool_asymmetric": (11, pool("AveragePool", kernel_shape=[3, 2], strides=[1, 2], pads=[1, 0, 0, 1])),
    "max_pool": (12, pool("MaxPool", kernel_shape=[2, 2], strides=[2, 2])),
    "max_pool_pads": (12, pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], **SAME)),
    "max_pool_ceil": (12, pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)),
    "max_pool_same_upper": (12, pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")),
    "max_pool_stride_1": (12, pool("MaxPool", kernel_shape=[3, 2], pads=[1, 0, 1, 1])),
    "global_average_pool": (11, unary("GlobalAveragePool")),
    "global_max_pool": (11, unary("GlobalMaxPool")),
    "reduce_mean_keep": (11, reduce_mean([2, 3], 1)),
    "reduce_mean_negative_axes": (13, reduce_mean([-1, -2], 0)),
    "reduce_mean_axes_input": (18, reduce_mean([2, 3], 0, axes_as_input=True)),
    "concat_channels": (13, concat(1, MAP, (1, 3, 7, 6))),
    "concat_channels_negative_axis": (13, concat(-3, MAP, (1, 1, 7, 6), MAP)),
    "concat_height": (13, concat(2, MAP, (1, 4, 2, 6))),
    "concat_constant": (13, concat_constant),
    "pad_zero": (11, pad([0, 0, 1, 2, 0, 0, 0, 1])),
    "pad_value": (13, pad([0, 0, 1, 2, 0, 0, 3, 1], value=-0.75)),
    "pad_channels": (13, pad([0, 1, 0, 0, 0, 2, 0, 0], value=0.0)),
    "pad_axes": (18, pad_axes),
    "pad_conv": (13, pad_conv),
    "reshape": (13, reshape([1, 6, 4, 7])),
    "reshape_minus_one": (13, reshape([1, -1])),
    "reshape_zero": (14, reshape([0, -1], allow_zero=0)),
    "reshape_from_shape": (11, reshape_from_shape),
    "flatten": (13, unary("Flatten")),
    "squeeze_axes_attribute": (11, squeeze(False)),
    "squeeze_axes_input": (13, squeeze(True)),
    "unsqueeze": (13, unsqueeze),
    "transpose_to_nhwc": (13, unary("Transpose", perm=[0, 2, 3, 1])),
    "batch_normalization": (15, batch_normalization),
    "batch_normalization_opset_11": (11, batch_normalization),
    "conv_batch_normalization": (14, conv_batch_normalization),
    "batch_normalization_conv": (14, batch_normalization_conv),
    "conv_scale_shift": (13, conv_scale_shift),
    "relu": (13, unary("Relu")),
    "clip_0_6": (13, clip(0.0, 6.0)),
    "clip_nodes": (11, clip(-1.0, 1.0, as_nodes=True)),
    "clip_low_only": (13, clip(0.0, None)),
    "clip_high_only": (13, clip(None, 0.5)),
    "clip_any": (13, clip(-0.7, 1.2)),
    "hard_swish": (14, unary("HardSwish")),
    "hard_swish_chain": (11, hard_swish_chain(True)),
    "hard_swish_chain_mul": (13, hard_swish_chain(False)),
    "hard_sigmoid": (11, unary("HardSigmoid", alpha=1 / 6)),
    "hard_sigmoid_default": (11, unary("HardSigmoid")),
    "hard_sigmoid_chain": (11, hard_sigmoid_chain),
    "sigmoid": (13, unary("Sigmoid")),
    "tanh": (13, unary("Tanh")),
    "silu": (13, silu),
    "gelu": (20, unary("Gelu")),
    "gelu_tanh": (20, unary("Gelu", approximate="tanh")),
    "gelu_erf_half_first": (13, gelu_erf("half first")),
    "gelu_erf_half_last": (13, gelu_erf("half last")),
    "gelu_tanh_chain": (13, gelu_tanh_chain),
    "leaky_relu": (16, unary("LeakyRelu", alpha=0.2)),
    "leaky_relu_default": (11, unary("LeakyRelu")),
    "prelu_channels": (16, prelu(4, 1, 1)),
    "prelu_one": (11, prelu(1)),
    "softmax": (13, unary("Softmax", (1, 12))),
    "softmax_opset_11": (11, unary("Softmax", (1, 12))),
    "softmax_axis_1": (13, unary("Softmax", (1, 12), axis=1)),
    "softmax_channels": (13, unary("Softmax", axis=1)),
    "squeeze_excite_sigmoid": (13, squeeze_excite("Sigmoid", "pool")),
    "squeeze_excite_hard_sigmoid": (11, squeeze_excite("HardSigmoid", "mean")),
    "squeeze_excite_gemm": (13, squeeze_excite_gemm),
    "nhwc_conv": (13, nhwc_conv),
    "nhwc_flatten": (13, nhwc_flatten),
    "nchw_flatten": (13, nchw_flatten),
    "nchw_flatten_map": (13, nchw_flatten_map),
    "identity_dropout": (13, identity_dropout),
    "weights_from_constant_nodes": (13, weights_from_constant_nodes),
    "shared_weights": (13, shared_weights),
    "residual": (13, residual),
    "qdq_conv_uint8": (13, qdq_conv(np.uint8, False)),
    "qdq_conv_int8_per_channel": (13, qdq_conv(np.int8, True)),
    "qdq_conv_uint8_per_channel_relu": (21, qdq_conv(np.uint8, True, relu=True)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of case names; all cases without it")
    only = parser.parse_args().only
    onnx_reference.OUT.mkdir(parents=True, exist_ok=True)
    for name, (opset, build) in CASES.items():
        if only and not any(part in name for part in only):
            continue
        case = Case(name, opset)
        result = build(case)
        path = onnx_reference.OUT / f"{name}.onnx"
        onnx.save(case.model(result), str(path))
        onnx_reference.write_golden(path, case.rng, -4.0, 4.0)


if __name__ == "__main__":
    main()
