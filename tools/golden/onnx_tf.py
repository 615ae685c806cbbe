"""ONNX models as tf2onnx makes them: NHWC inputs, with Transposes around the NCHW operators.

    python tools/golden/onnx_tf.py [--only PART ...]

They land as `tf_<case>_opset<N>.onnx` + `.golden` in `tests/golden/onnx`. The cases are those of `tflite_ops.py`, and two tiny networks.
"""

import argparse
import logging
import zlib

import numpy as np
import onnx
import tf2onnx

import onnx_reference
import tflite_ops
from tflite_ops import Case, tf, weights

OPERATORS = """conv_1x1 conv_3x3_same_even conv_3x3_s2_same_even conv_3x3_s2_valid_odd conv_dilation2_same conv_stride_2x1 conv_groups2
    conv_relu_n1_to_1 depthwise_3x3_same_even depthwise_3x3_s2_same_even depthwise_multiplier2 fully_connected fully_connected_flatten
    add add_constant_channels mul_broadcast_channels mul_constant_channels sub squeeze_excite inverted_residual explicit_pad_conv_s2
    average_pool_2x2_valid average_pool_2x2_same_odd average_pool_3x3_s1_same max_pool_2x2_same_odd max_pool_3x3_s2_valid
    mean_hw mean_hw_keepdims concat_channels concat_height pad pad_value reshape softmax logistic tanh silu hard_swish gelu_tanh
    leaky_relu prelu_channels relu6""".split()


def normalized(rng, function, channels):
    """`function` followed by an inference batch normalization, which tf2onnx folds or keeps."""
    scale, offset = rng.uniform(0.6, 1.4, channels).astype(np.float32), rng.normal(0, 0.3, channels).astype(np.float32)
    mean, variance = rng.normal(0, 0.2, channels).astype(np.float32), rng.uniform(0.4, 1.6, channels).astype(np.float32)

    def layer(x):
        return tf.nn.batch_normalization(function(x), mean, variance, offset, scale, 1e-3)

    return layer


def mobilenet_v1(rng):
    """Strided SAME and padded VALID convolutions, batch normalization, ReLU6, a pooled head with softmax."""
    layers = []
    stem = weights(rng, (3, 3, 3, 8), 27)
    layers.append(normalized(rng, lambda x: tf.nn.conv2d(tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), stem, 2, "VALID"), 8))
    for cin, cout, stride in ((8, 12, 1), (12, 16, 2)):
        depth, point = weights(rng, (3, 3, cin, 1), 9), weights(rng, (1, 1, cin, cout), cin)
        layers.append(normalized(rng, lambda x, w=depth, s=stride: tf.nn.depthwise_conv2d(x, w, (1, s, s, 1), "SAME"), cin))
        layers.append(normalized(rng, lambda x, w=point: tf.nn.conv2d(x, w, 1, "SAME"), cout))
    head, bias = weights(rng, (16, 10), 16), rng.normal(0, 0.3, 10).astype(np.float32)

    def function(x):
        for layer in layers:
            x = tf.nn.relu6(layer(x))
        return tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), head) + bias)

    return function


def resnet(rng):
    """Two residual blocks, one with a strided shortcut; the head flattens an NHWC map."""
    w = {
        name: weights(rng, shape, 9 * shape[2])
        for name, shape in {
            "stem": (3, 3, 3, 4),
            "a": (3, 3, 4, 4),
            "b": (3, 3, 4, 4),
            "c": (3, 3, 4, 6),
            "d": (3, 3, 6, 6),
            "short": (1, 1, 4, 6),
        }.items()
    }
    head, bias = weights(rng, (96, 10), 96), rng.normal(0, 0.3, 10).astype(np.float32)

    def function(x):
        x = tf.nn.relu(tf.nn.conv2d(x, w["stem"], 1, "SAME"))
        y = tf.nn.relu(tf.nn.conv2d(x, w["a"], 1, "SAME"))
        x = tf.nn.relu(x + tf.nn.conv2d(y, w["b"], 1, "SAME"))
        y = tf.nn.relu(tf.nn.conv2d(x, w["c"], 2, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, w["short"], 2, "SAME") + tf.nn.conv2d(y, w["d"], 1, "SAME"))
        return tf.matmul(tf.reshape(tf.nn.avg_pool2d(x, 2, 1, "SAME"), (1, 96)), head) + bias

    return function


NETWORKS = {"mobilenet_v1": Case(mobilenet_v1, [(1, 16, 16, 3)]), "resnet": Case(resnet, [(1, 8, 8, 3)])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of case names; all cases without it")
    only = parser.parse_args().only
    logging.disable(logging.WARNING)
    onnx_reference.OUT.mkdir(parents=True, exist_ok=True)
    cases = [(name, tflite_ops.CASES[name], (13,)) for name in OPERATORS]
    cases += [(name, case, (11, 13, 17)) for name, case in NETWORKS.items()]
    for name, case, opsets in cases:
        for opset in opsets:
            stem = f"tf_{name}_opset{opset}"
            if only and not any(part in stem for part in only):
                continue
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            signature = [tf.TensorSpec(shape, tf.float32, name=f"input_{i}") for i, shape in enumerate(case.shapes)]
            function = tf.function(case.body(rng), input_signature=signature)
            model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
            path = onnx_reference.OUT / f"{stem}.onnx"
            onnx.save(model, str(path))
            onnx_reference.write_golden(path, rng)


if __name__ == "__main__":
    main()
