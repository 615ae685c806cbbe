"""Small TFLite models, one operator case each, as the TensorFlow converter makes them, with their reference outputs.

    python tools/golden/tflite_ops.py [--only PART ...]

Every case becomes `<case>.tflite` + `<case>.golden` in `tests/golden/tflite_ops`: int8 throughout, weights per channel; cases
with weights also `<case>_per_tensor`, and some also `<case>_float` (float32, not quantized).
"""

import argparse
import os
import pathlib
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

import reference

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tflite_ops"

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "relu_n1_to_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
}


class Case:
    """An operator case: `body(rng)` draws the weights and returns the function; `ranges` has one interval an input."""

    def __init__(self, body, shapes, ranges=None, per_tensor=False, float_too=False):
        self.body, self.shapes = body, shapes
        self.ranges = ranges or [(-1.0, 1.0)] * len(shapes)
        self.per_tensor, self.float_too = per_tensor, float_too


def weights(rng, shape, fan_in):
    """Normal weights whose spread differs a lot from one output channel (last axis) to the next."""
    spread = np.exp(rng.uniform(-2.0, 0.5, shape[-1])) / np.sqrt(fan_in)
    return (rng.standard_normal(shape) * spread).astype(np.float32)


def conv(height, width, cin, cout, kernel, stride=(1, 1), padding="SAME", dilation=(1, 1), act="none", groups=1, bias=True):
    def body(rng):
        kernel_weights = weights(rng, (*kernel, cin // groups, cout), kernel[0] * kernel[1] * cin // groups)
        bias_values = rng.standard_normal(cout).astype(np.float32) * 0.3

        def function(x):
            y = tf.nn.conv2d(x, kernel_weights, stride, padding, dilations=dilation)
            return ACTIVATIONS[act](tf.nn.bias_add(y, bias_values) if bias else y)

        return function

    return body, [(1, height, width, cin)]


def depthwise(height, width, channels, kernel, stride=1, padding="SAME", multiplier=1, dilation=(1, 1), act="relu6"):
    def body(rng):
        kernel_weights = weights(rng, (*kernel, channels, multiplier), kernel[0] * kernel[1])
        kernel_weights *= np.exp(rng.uniform(-1.0, 1.0, (1, 1, channels, 1))).astype(np.float32)
        bias_values = rng.standard_normal(channels * multiplier).astype(np.float32) * 0.3

        def function(x):
            y = tf.nn.depthwise_conv2d(x, kernel_weights, (1, stride, stride, 1), padding, dilations=dilation)
            return ACTIVATIONS[act](tf.nn.bias_add(y, bias_values))

        return function

    return body, [(1, height, width, channels)]


def fully_connected(shape, units, bias=True, act="none"):
    def body(rng):
        size = int(np.prod(shape[1:]))
        kernel_weights = weights(rng, (size, units), size)
        bias_values = rng.standard_normal(units).astype(np.float32) * 0.3

        def function(x):
            y = tf.matmul(tf.reshape(x, (1, size)), kernel_weights)
            return ACTIVATIONS[act](tf.nn.bias_add(y, bias_values) if bias else y)

        return function

    return body, [shape]


def plain(function, *shapes):
    """A case without weights."""
    return (lambda rng: function), list(shapes)


def with_constant(shape, constant_shape, function, scale=1.0):
    """`function(x, c)` with a constant `c`."""

    def body(rng):
        constant = (rng.standard_normal(constant_shape) * scale).astype(np.float32)
        return lambda x: function(x, constant)

    return body, [shape]


def prelu(x, alpha):
    return tf.nn.relu(x) + (-alpha) * tf.nn.relu(-x)


def hard_swish(x):
    return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def pool(op, height, width, channels, kernel, stride, padding, act="none"):
    return plain(lambda x: ACTIVATIONS[act](op(x, kernel, stride, padding)), (1, height, width, channels))


def squeeze_excite(rng):
    down = weights(rng, (1, 1, 8, 4), 8)
    up = weights(rng, (1, 1, 4, 8), 4) * 4

    def function(x):
        gate = tf.reduce_mean(x, [1, 2], keepdims=True)
        gate = tf.sigmoid(tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(gate, down, 1, "SAME")), up, 1, "SAME"))
        return x * gate

    return function


def inverted_residual(rng):
    expand, project = weights(rng, (1, 1, 6, 18), 6), weights(rng, (1, 1, 18, 6), 18)
    depth = weights(rng, (3, 3, 18, 1), 9)
    shift = rng.standard_normal(18).astype(np.float32) * 0.3

    def function(x):
        y = tf.nn.relu6(tf.nn.conv2d(x, expand, 1, "SAME") + shift)
        y = tf.nn.relu6(tf.nn.depthwise_conv2d(y, depth, (1, 1, 1, 1), "SAME") + shift[::-1])
        return x + tf.nn.conv2d(y, project, 1, "SAME")

    return function


def explicit_pad(rng):
    """Keras' ZeroPadding2D before a strided VALID convolution, as in MobileNet."""
    kernel = weights(rng, (3, 3, 3, 6), 27)
    return lambda x: tf.nn.relu6(tf.nn.conv2d(tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), kernel, 2, "VALID"))


AVG, MAX = tf.nn.avg_pool2d, tf.nn.max_pool2d
MAP, FLAT = (1, 5, 7, 6), (1, 33)
ASYMMETRIC = [(-0.2, 3.0)]
NEGATIVE = [(-4.0, -0.01)]
POSITIVE = [(0.0, 6.0)]
WIDE = [(-9.0, 9.0)]

CASES = {
    "conv_1x1": Case(*conv(5, 7, 8, 6, (1, 1)), per_tensor=True, float_too=True),
    "conv_1x1_s2": Case(*conv(7, 5, 6, 9, (1, 1), (2, 2)), per_tensor=True),
    "conv_3x3_same_even": Case(*conv(8, 6, 3, 5, (3, 3), act="relu"), per_tensor=True, float_too=True),
    "conv_3x3_same_odd": Case(*conv(7, 9, 4, 7, (3, 3), act="relu6")),
    "conv_3x3_s2_same_even": Case(
        *conv(8, 10, 3, 8, (3, 3), (2, 2), act="relu6"), ASYMMETRIC, per_tensor=True, float_too=True
    ),
    "conv_3x3_s2_same_odd": Case(*conv(9, 7, 3, 8, (3, 3), (2, 2), act="relu6"), POSITIVE),
    "conv_3x3_valid": Case(*conv(8, 7, 5, 4, (3, 3), padding="VALID")),
    "conv_3x3_s2_valid_even": Case(*conv(8, 10, 3, 4, (3, 3), (2, 2), "VALID", act="relu")),
    "conv_3x3_s2_valid_odd": Case(*conv(9, 11, 3, 4, (3, 3), (2, 2), "VALID"), NEGATIVE),
    "conv_5x5_same": Case(*conv(6, 9, 2, 5, (5, 5), act="relu6"), per_tensor=True),
    "conv_5x5_s2_same": Case(*conv(9, 6, 3, 4, (5, 5), (2, 2))),
    "conv_1x7": Case(*conv(4, 9, 3, 4, (1, 7))),
    "conv_7x1": Case(*conv(9, 4, 3, 4, (7, 1), padding="VALID")),
    "conv_2x2_s2": Case(*conv(7, 6, 3, 5, (2, 2), (2, 2), "SAME")),
    "conv_4x4_same": Case(*conv(6, 6, 2, 3, (4, 4))),
    "conv_10x4_s2_kws": Case(*conv(21, 10, 1, 8, (10, 4), (2, 2), act="relu")),
    "conv_dilation2_same": Case(*conv(9, 8, 3, 4, (3, 3), dilation=(2, 2)), float_too=True),
    "conv_dilation2_valid": Case(*conv(9, 8, 3, 4, (3, 3), padding="VALID", dilation=(2, 2))),
    "conv_dilation_2x3_same": Case(*conv(9, 11, 2, 3, (3, 3), dilation=(2, 3), act="relu")),
    "conv_stride_2x1": Case(*conv(8, 7, 3, 4, (3, 3), (2, 1))),
    "conv_stride_1x3": Case(*conv(6, 11, 3, 4, (3, 5), (1, 3))),
    "conv_stride_larger_than_map": Case(*conv(3, 4, 3, 4, (3, 3), (5, 5))),
    "conv_stride_larger_than_kernel": Case(*conv(9, 8, 3, 4, (1, 1), (3, 3))),
    "conv_kernel_larger_than_map": Case(*conv(2, 3, 3, 4, (5, 5))),
    "conv_map_1x1": Case(*conv(1, 1, 9, 5, (1, 1), act="relu")),
    "conv_map_1x1_3x3": Case(*conv(1, 1, 5, 3, (3, 3))),
    "conv_one_channel": Case(*conv(7, 7, 1, 1, (3, 3)), per_tensor=True),
    "conv_groups2": Case(*conv(5, 6, 8, 6, (3, 3), groups=2), per_tensor=True, float_too=True),
    "conv_groups4_1x1": Case(*conv(4, 5, 8, 12, (1, 1), groups=4, act="relu6")),
    "conv_no_bias": Case(*conv(5, 5, 4, 6, (3, 3), bias=False)),
    "conv_relu_n1_to_1": Case(*conv(5, 6, 4, 6, (3, 3), act="relu_n1_to_1"), float_too=True),
    "conv_tanh": Case(*conv(5, 6, 4, 6, (1, 1), act="tanh")),
    "conv_negative_input": Case(*conv(6, 5, 4, 6, (3, 3)), NEGATIVE, per_tensor=True),
    "conv_deep_1x1": Case(*conv(2, 2, 130, 10, (1, 1), act="relu6"), POSITIVE),
    "depthwise_3x3_same_even": Case(*depthwise(8, 6, 5, (3, 3)), per_tensor=True, float_too=True),
    "depthwise_3x3_same_odd": Case(*depthwise(7, 9, 6, (3, 3), act="relu")),
    "depthwise_3x3_s2_same_even": Case(*depthwise(8, 10, 5, (3, 3), 2), POSITIVE, per_tensor=True, float_too=True),
    "depthwise_3x3_s2_same_odd": Case(*depthwise(9, 7, 8, (3, 3), 2), POSITIVE),
    "depthwise_3x3_valid": Case(*depthwise(6, 7, 5, (3, 3), 1, "VALID", act="none")),
    "depthwise_3x3_s2_valid": Case(*depthwise(8, 9, 5, (3, 3), 2, "VALID")),
    "depthwise_5x5_same": Case(*depthwise(6, 9, 7, (5, 5)), per_tensor=True),
    "depthwise_5x5_s2_same": Case(*depthwise(9, 6, 4, (5, 5), 2, act="none"), ASYMMETRIC),
    "depthwise_multiplier2": Case(*depthwise(5, 6, 5, (3, 3), 1, multiplier=2), per_tensor=True, float_too=True),
    "depthwise_multiplier2_s2": Case(*depthwise(8, 6, 3, (3, 3), 2, "VALID", multiplier=2)),
    "depthwise_multiplier8_one_channel": Case(*depthwise(6, 6, 1, (3, 3), 2, multiplier=8)),
    "depthwise_dilation2": Case(*depthwise(9, 8, 5, (3, 3), dilation=(2, 2))),
    "depthwise_1x1": Case(*depthwise(4, 5, 6, (1, 1), act="none")),
    "depthwise_map_2x2": Case(*depthwise(2, 2, 9, (3, 3), 2), NEGATIVE),
    "depthwise_relu_n1_to_1": Case(*depthwise(5, 5, 4, (3, 3), act="relu_n1_to_1")),
    "fully_connected": Case(*fully_connected(FLAT, 10), per_tensor=True, float_too=True),
    "fully_connected_no_bias": Case(*fully_connected(FLAT, 7, bias=False), ASYMMETRIC, per_tensor=True),
    "fully_connected_flatten": Case(*fully_connected((1, 3, 2, 5), 9, act="relu"), POSITIVE, float_too=True),
    "fully_connected_one_unit": Case(*fully_connected((1, 4, 4, 3), 1), NEGATIVE),
    "add": Case(*plain(lambda a, b: a + b, MAP, MAP), [(-1, 1), (-0.3, 4)], float_too=True),
    "add_same_tensor": Case(*plain(lambda a: a + a, MAP)),
    "add_relu": Case(*plain(lambda a, b: tf.nn.relu(a + b), MAP, MAP), [(-6, 1), (-1, 6)]),
    "add_relu6": Case(*plain(lambda a, b: tf.nn.relu6(a + b), MAP, MAP), [(0, 6), (-1, 6)]),
    "add_tiny_and_huge": Case(*plain(lambda a, b: a + b, MAP, MAP), [(-0.01, 0.01), (-50, 70)]),
    "add_constant_map": Case(*with_constant(MAP, MAP, tf.add)),
    "add_constant_channels": Case(*with_constant(MAP, (6,), tf.add), float_too=True),
    "add_constant_scalar": Case(*plain(lambda a: a + 0.75, MAP)),
    "sub": Case(*plain(lambda a, b: a - b, MAP, MAP), [(-1, 1), (-0.3, 4)]),
    "mul": Case(*plain(lambda a, b: a * b, MAP, MAP), [(-1, 1), (-0.3, 4)], float_too=True),
    "mul_broadcast_channels": Case(*plain(lambda a, b: a * b, MAP, (1, 1, 1, 6)), [(-1, 2), (0, 1)], float_too=True),
    "mul_constant_map": Case(*with_constant(MAP, MAP, tf.multiply)),
    "mul_constant_channels": Case(*with_constant(MAP, (6,), tf.multiply), float_too=True),
    "mul_constant_scalar": Case(*plain(lambda a: a * 0.37, MAP)),
    "mul_relu6": Case(*plain(lambda a, b: tf.nn.relu6(a * b), MAP, MAP), [(-3, 3), (-3, 3)]),
    "squeeze_excite": Case(squeeze_excite, [(1, 5, 6, 8)], [(-1, 5)], float_too=True),
    "inverted_residual": Case(inverted_residual, [(1, 6, 5, 6)], [(-2, 2)], per_tensor=True, float_too=True),
    "explicit_pad_conv_s2": Case(explicit_pad, [(1, 8, 10, 3)], float_too=True),
    "average_pool_2x2_valid": Case(*pool(AVG, 6, 8, 5, 2, 2, "VALID"), float_too=True),
    "average_pool_2x2_valid_odd": Case(*pool(AVG, 7, 9, 5, 2, 2, "VALID"), NEGATIVE),
    "average_pool_2x2_same_odd": Case(*pool(AVG, 7, 9, 5, 2, 2, "SAME"), float_too=True),
    "average_pool_3x3_s1_same": Case(*pool(AVG, 5, 6, 4, 3, 1, "SAME"), ASYMMETRIC, float_too=True),
    "average_pool_3x3_s2_same": Case(*pool(AVG, 6, 7, 4, 3, 2, "SAME"), NEGATIVE),
    "average_pool_3x2_s2x1": Case(*pool(AVG, 6, 7, 4, (3, 2), (2, 1), "VALID")),
    "average_pool_global": Case(*pool(AVG, 3, 5, 7, (3, 5), 1, "VALID"), POSITIVE, float_too=True),
    "average_pool_relu": Case(*pool(AVG, 6, 6, 4, 2, 2, "VALID", "relu"), [(-1, 2)]),
    "max_pool_2x2_valid": Case(*pool(MAX, 6, 8, 5, 2, 2, "VALID"), float_too=True),
    "max_pool_2x2_same_odd": Case(*pool(MAX, 7, 9, 5, 2, 2, "SAME"), NEGATIVE, float_too=True),
    "max_pool_3x3_s1_same": Case(*pool(MAX, 5, 6, 4, 3, 1, "SAME")),
    "max_pool_3x3_s2_same": Case(*pool(MAX, 6, 7, 4, 3, 2, "SAME")),
    "max_pool_3x3_s2_valid": Case(*pool(MAX, 8, 7, 4, 3, 2, "VALID")),
    "mean_hw_keepdims": Case(*plain(lambda x: tf.reduce_mean(x, [1, 2], keepdims=True), MAP), float_too=True),
    "mean_hw": Case(*plain(lambda x: tf.reduce_mean(x, [1, 2]), MAP), ASYMMETRIC, float_too=True),
    "mean_hw_7x7": Case(*plain(lambda x: tf.reduce_mean(x, [1, 2]), (1, 7, 7, 20)), POSITIVE),
    "mean_hw_3x3": Case(*plain(lambda x: tf.reduce_mean(x, [1, 2]), (1, 3, 3, 40)), NEGATIVE),
    "mean_hw_1x1": Case(*plain(lambda x: tf.reduce_mean(x, [1, 2]), (1, 1, 1, 9))),
    "mean_h": Case(*plain(lambda x: tf.reduce_mean(x, [1]), MAP)),
    "concat_channels": Case(
        *plain(lambda a, b: tf.concat([a, b], -1), MAP, (1, 5, 7, 3)), [(-1, 1), (-1, 1)], float_too=True
    ),
    "concat_channels_scales": Case(*plain(lambda a, b: tf.concat([a, b], -1), MAP, (1, 5, 7, 3)), [(-1, 1), (-0.3, 4)]),
    "concat_three": Case(*plain(lambda a, b: tf.concat([a, b, a], -1), MAP, MAP), [(-5, 1), (-0.3, 4)]),
    "concat_height": Case(*plain(lambda a, b: tf.concat([a, b], 1), MAP, (1, 2, 7, 6)), [(-5, 1), (-0.3, 4)]),
    "pad": Case(*plain(lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]), MAP), ASYMMETRIC, float_too=True),
    "pad_value": Case(
        *plain(lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], constant_values=0.5), MAP), float_too=True
    ),
    "pad_channels": Case(*plain(lambda x: tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 2]]), MAP)),
    "reshape": Case(*plain(lambda x: tf.reshape(x, (1, 7, 10, 3)), MAP)),
    "softmax": Case(*plain(tf.nn.softmax, (1, 10)), [(-6.0, 6.0)], float_too=True),
    "softmax_narrow": Case(*plain(tf.nn.softmax, (1, 12)), [(-0.4, 0.5)]),
    "softmax_wide": Case(*plain(tf.nn.softmax, (1, 100)), [(-40.0, 30.0)]),
    "softmax_two": Case(*plain(tf.nn.softmax, (1, 2)), [(-3.0, 5.0)]),
    "softmax_map": Case(*plain(tf.nn.softmax, MAP), [(-5.0, 2.0)]),
    "logistic": Case(*plain(tf.sigmoid, MAP), WIDE, float_too=True),
    "logistic_narrow": Case(*plain(tf.sigmoid, MAP), [(-0.5, 0.7)]),
    "tanh": Case(*plain(tf.tanh, MAP), WIDE, float_too=True),
    "tanh_narrow": Case(*plain(tf.tanh, MAP), [(-0.5, 0.7)]),
    "silu": Case(*plain(lambda x: x * tf.sigmoid(x), MAP), WIDE, float_too=True),
    "hard_swish": Case(*plain(hard_swish, MAP), [(-5.0, 6.0)], float_too=True),
    "hard_swish_wide": Case(*plain(hard_swish, MAP), [(-30.0, 40.0)]),
    "hard_swish_narrow": Case(*plain(hard_swish, MAP), [(-0.5, 0.3)]),
    "gelu_erf": Case(*plain(lambda x: tf.nn.gelu(x, approximate=False), MAP), [(-5.0, 5.0)], float_too=True),
    "gelu_tanh": Case(*plain(lambda x: tf.nn.gelu(x, approximate=True), MAP), [(-5.0, 5.0)], float_too=True),
    "leaky_relu": Case(*plain(lambda x: tf.nn.leaky_relu(x, 0.1), MAP), [(-3.0, 2.0)], float_too=True),
    "leaky_relu_03": Case(*plain(lambda x: tf.nn.leaky_relu(x, 0.3), MAP), [(-8.0, 1.0)]),
    "prelu_channels": Case(*with_constant(MAP, (1, 1, 6), prelu, 0.3), [(-3.0, 2.0)], float_too=True),
    "prelu_map": Case(*with_constant(MAP, MAP[1:], prelu, 0.3), [(-3.0, 2.0)]),
    "relu": Case(*plain(tf.nn.relu, MAP), [(-3.0, 2.0)], float_too=True),
    "relu6": Case(*plain(tf.nn.relu6, MAP), [(-3.0, 9.0)], float_too=True),
    "relu_n1_to_1": Case(*plain(ACTIVATIONS["relu_n1_to_1"], MAP), [(-3.0, 2.0)]),
    "transpose_nchw_to_nhwc": Case(*plain(lambda x: tf.transpose(x, (0, 2, 3, 1)), MAP)),
}


def convert(function, case, rng, mode):
    """The TFLite bytes of `function`; `mode` is `per_channel`, `per_tensor` or `float`."""
    signature = [tf.TensorSpec(shape, tf.float32) for shape in case.shapes]
    concrete = tf.function(function, input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if mode != "float":
        calibration = [
            [rng.uniform(low, high, shape).astype(np.float32) for shape, (low, high) in zip(case.shapes, case.ranges)]
            for _ in range(24)
        ]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter._experimental_disable_per_channel = mode == "per_tensor"
    return converter.convert()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of case names; all cases without it")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, case in CASES.items():
        if options.only and not any(part in name for part in options.only):
            continue
        modes = {"per_channel": name}
        if case.per_tensor:
            modes["per_tensor"] = name + "_per_tensor"
        if case.float_too:
            modes["float"] = name + "_float"
        for mode, stem in modes.items():
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            path = OUT / (stem + ".tflite")
            path.write_bytes(convert(case.body(rng), case, rng, mode))
            reference.write_case(path, rng, case.ranges)


if __name__ == "__main__":
    main()
