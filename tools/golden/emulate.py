"""Runs an int8 TFLite model in numpy, as TFLite's reference kernels do, and compares it with golden files.

    python tools/golden/emulate.py [--rounding single|double] [GOLDEN.tflite ...]

Without names: every int8 case of `tests/golden/tflite_ops`. It is the executable form of the formulas in
`tests/golden/README.md`: it prints the cases whose bytes differ, and fails if there are any.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fixed_point import (
    divide_toward_zero,
    doubling_high_mul,
    exp_on_negative_values,
    multiply_double_rounding,
    multiply_single_rounding,
    quantize_multiplier,
    reciprocal,
    rounding_divide_by_pot,
    round_half_away,
    saturating_shift_left,
)

OPS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "tflite_ops"
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.FLOAT32: np.float32,
}
f32 = np.float32


class Tensor:
    """A tensor of the model: its quantization (float32 scales as stored) and its constant value, if it has one."""

    def __init__(self, model, entry):
        self.shape = tuple(entry.shape if entry.shape is not None else ())
        self.dtype = TYPES[entry.type]
        quantization = entry.quantization
        scales = quantization.scale if quantization is not None else None
        self.scales = np.asarray([] if scales is None else scales, np.float32)
        self.zero_point = int(quantization.zeroPoint[0]) if len(self.scales) else 0
        data = model.buffers[entry.buffer].data
        self.constant = None
        if data is not None and len(data):
            self.constant = np.frombuffer(np.asarray(data, np.uint8).tobytes(), self.dtype).reshape(self.shape)

    @property
    def scale(self):
        return self.scales[0]


def activation_range(activation, tensor):
    """`CalculateActivationRangeQuantized`: float32 division, rounded half away from zero."""
    low, high = np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max
    bounds = {1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}.get(activation, (None, None))

    def quantized(value):
        return tensor.zero_point + int(round_half_away(float(f32(value) / tensor.scale)))

    return (
        low if bounds[0] is None else max(low, quantized(bounds[0])),
        high if bounds[1] is None else min(high, quantized(bounds[1])),
    )


def same_padding(size, kernel, stride, dilation, padding):
    """Output size and the padding before the first element; the odd one of SAME comes after the last."""
    effective = (kernel - 1) * dilation + 1
    if padding == schema.Padding.VALID:
        return (size + stride - effective) // stride, 0
    out = (size + stride - 1) // stride
    return out, max((out - 1) * stride + effective - size, 0) // 2


def widened(values):
    return values if values.dtype == np.float32 else values.astype(np.int64)


class Emulator:
    """One int8 model. `multiply` is the rule of `MultiplyByQuantizedMultiplier`."""

    def __init__(self, path, multiply):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0))
        graph = model.subgraphs[0]
        self.graph, self.multiply = graph, multiply
        self.tensors = [Tensor(model, entry) for entry in graph.tensors]
        # Old files have only the deprecated code, new ones both: the greater one is right.
        self.codes = [NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]

    def run(self, inputs):
        values = {index: tensor.constant for index, tensor in enumerate(self.tensors) if tensor.constant is not None}
        values.update(zip(self.graph.inputs, inputs, strict=True))
        for operator in self.graph.operators:
            arguments = [(widened(values[i]), self.tensors[i]) if i >= 0 else None for i in operator.inputs]
            (target,) = operator.outputs
            out = self.tensors[target]
            result = getattr(self, self.codes[operator.opcodeIndex].lower())(operator.builtinOptions, out, *arguments)
            values[target] = np.asarray(result).reshape(out.shape).astype(out.dtype)
        return [values[index] for index in self.graph.outputs]

    def finish(self, values, out, activation=0):
        return np.clip(values + out.zero_point, *activation_range(activation, out))

    def rescale(self, x, real):
        return self.multiply(x, *quantize_multiplier(float(real)))

    def per_channel(self, acc, x, w, out, activation):
        """The last axis is the output channel; the real multipliers are made in float64."""
        channels = acc.shape[-1]
        real = [float(x.scale) * float(w.scales[c % len(w.scales)]) / float(out.scale) for c in range(channels)]
        scaled = np.stack([self.rescale(acc[..., c], real[c]) for c in range(channels)], -1)
        return self.finish(scaled, out, activation)

    def windows(self, values, kernel, options, fill):
        """Every window of a [1, h, w, c] map: [out_h, out_w, kernel_h, kernel_w, c]."""
        _, height, width, channels = values.shape
        dilation_h, dilation_w = getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1)
        out_h, top = same_padding(height, kernel[0], options.strideH, dilation_h, options.padding)
        out_w, left = same_padding(width, kernel[1], options.strideW, dilation_w, options.padding)
        windows = np.full((out_h, out_w, *kernel, channels), fill, np.int64)
        for y, x, i, j in np.ndindex(out_h, out_w, *kernel):
            row, column = y * options.strideH - top + i * dilation_h, x * options.strideW - left + j * dilation_w
            if 0 <= row < height and 0 <= column < width:
                windows[y, x, i, j] = values[0, row, column]
        return windows

    def conv_2d(self, options, out, x, w, bias=None):
        (values, x), (kernel, w) = x, w
        groups = values.shape[3] // kernel.shape[3]
        per_group = kernel.shape[0] // groups
        windows = self.windows(values, kernel.shape[1:3], options, x.zero_point) - x.zero_point
        parts = [
            np.einsum(
                "yxijc,oijc->yxo",
                windows[..., g * kernel.shape[3] : (g + 1) * kernel.shape[3]],
                kernel[g * per_group : (g + 1) * per_group] - w.zero_point,
            )
            for g in range(groups)
        ]
        acc = np.concatenate(parts, -1) + (bias[0] if bias else 0)
        return self.per_channel(acc, x, w, out, options.fusedActivationFunction)

    def depthwise_conv_2d(self, options, out, x, w, bias=None):
        (values, x), (kernel, w) = x, w
        windows = self.windows(values, kernel.shape[1:3], options, x.zero_point) - x.zero_point
        windows = np.repeat(windows, kernel.shape[3] // values.shape[3], -1)
        acc = np.einsum("yxijc,ijc->yxc", windows, kernel[0] - w.zero_point) + (bias[0] if bias else 0)
        return self.per_channel(acc, x, w, out, options.fusedActivationFunction)

    def fully_connected(self, options, out, x, w, bias=None):
        (values, x), (kernel, w) = x, w
        acc = (values.reshape(-1, kernel.shape[1]) - x.zero_point) @ (kernel - w.zero_point).T + (bias[0] if bias else 0)
        # No integer multiplier here: this build rescales fully connected layers in float64, a tie away from zero.
        real = float(x.scale) * w.scales.astype(np.float64) / float(out.scale)
        scaled = acc * real
        rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled).astype(np.int64)
        return self.finish(rounded, out, options.fusedActivationFunction)

    def add(self, options, out, a, b, sign=1):
        (left, a), (right, b) = a, b
        twice_max = 2 * float(max(a.scale, b.scale))
        left = self.rescale((left - a.zero_point) << 20, float(a.scale) / twice_max)
        right = self.rescale((right - b.zero_point) << 20, float(b.scale) / twice_max)
        total = self.rescale(left + sign * right, twice_max / (2**20 * float(out.scale)))
        return self.finish(total, out, options.fusedActivationFunction)

    def sub(self, options, out, a, b):
        return self.add(options, out, a, b, -1)

    def mul(self, options, out, a, b):
        (left, a), (right, b) = a, b
        product = (left - a.zero_point) * (right - b.zero_point)
        return self.finish(self.rescale(product, a.scale * b.scale / out.scale), out, options.fusedActivationFunction)

    def average_pool_2d(self, options, out, x):
        values, _ = x
        outside = 1 << 20
        windows = self.windows(values, (options.filterHeight, options.filterWidth), options, outside)
        inside = windows != outside
        count = inside.sum((2, 3))
        total = np.where(inside, windows, 0).sum((2, 3))
        mean = divide_toward_zero(np.where(total > 0, total + count // 2, total - count // 2), count)
        return np.clip(mean, *activation_range(options.fusedActivationFunction, out))

    def max_pool_2d(self, options, out, x):
        windows = self.windows(x[0], (options.filterHeight, options.filterWidth), options, -128)
        return np.clip(windows.max((2, 3)), *activation_range(options.fusedActivationFunction, out))

    def mean(self, options, out, x, axes):
        values, x = x
        axes = tuple(int(axis) % values.ndim for axis in axes[0].reshape(-1))
        count = math.prod(values.shape[axis] for axis in axes)
        multiplier, shift = quantize_multiplier(float(x.scale) / float(out.scale))
        up = min(count.bit_length() - 1, 32, 31 + shift)
        total = values.sum(axes) - x.zero_point * count
        return self.finish(self.multiply(total, (multiplier << up) // count, shift - up), out)

    def softmax(self, options, out, x):
        values, x = x
        multiplier, shift = quantize_multiplier(min(float(f32(options.beta)) * float(x.scale) * 2**26, 2**31 - 1.0))
        smallest = -math.floor(31 * 2**26 / 2**shift)
        result = np.full(values.shape, -128)
        for index in np.ndindex(values.shape[:-1]):
            difference = values[index] - values[index].max()
            used = difference >= smallest
            exponential = exp_on_negative_values(self.multiply(difference[used], multiplier, shift))
            total = int(rounding_divide_by_pot(exponential, 12).sum())
            scale, over_unit = reciprocal(total, 12)
            row = rounding_divide_by_pot(doubling_high_mul(scale, exponential), over_unit + 31 - 8)
            result[index][used] = np.clip(row - 128, -128, 127)
        return result

    def table(self, out, x, function):
        """`LUTPopulate`: dequantize, transform and requantize in float32."""
        values, x = x
        real = x.scale * (np.arange(-128, 128) - x.zero_point).astype(f32)
        transformed = np.array([f32(function(each)) for each in real])
        rescaled = transformed * (f32(1) / out.scale)
        rounded = np.array([round_half_away(float(each)) for each in rescaled], f32)
        return np.clip((rounded + f32(out.zero_point)).astype(np.int64), -128, 127)[values + 128]

    def logistic(self, options, out, x):
        return self.table(out, x, lambda v: f32(1) / (f32(1) + np.exp(-v)))

    def tanh(self, options, out, x):
        return self.table(out, x, np.tanh)

    def gelu(self, options, out, x):
        if options.approximate:
            cubic = lambda v: v + f32(0.044715) * v * v * v
            return self.table(out, x, lambda v: f32(0.5) * v * (f32(1) + np.tanh(f32(math.sqrt(2 / math.pi)) * cubic(v))))
        return self.table(out, x, lambda v: f32(0.5) * v * f32(math.erfc(f32(v * f32(-math.sqrt(0.5))))))

    def hard_swish(self, options, out, x):
        values, x = x
        fine_scale = f32(1 / 128) * x.scale
        scale_out, exponent_out = quantize_multiplier(float(fine_scale / out.scale))
        scale_relu, exponent_relu = quantize_multiplier(float(fine_scale / f32(3 / 32768)))
        scale_out, scale_relu = (min((m + 2**15) >> 16, 2**15 - 1) for m in (scale_out, scale_relu))
        fine = (values - x.zero_point) << 7
        before_shift = doubling_high_mul(fine, scale_out, 16)
        gate = saturating_shift_left(fine, exponent_relu - 1, 16) if exponent_relu > 0 else fine
        gate = doubling_high_mul(gate, scale_relu, 16)
        if exponent_relu > 0:
            gate = saturating_shift_left(gate, 1, 16)
        elif exponent_relu < 0:
            gate = rounding_divide_by_pot(gate, -exponent_relu)
        gate = (gate + 2**15) >> 1
        product = divide_toward_zero(gate * before_shift, 2**15)
        return self.finish(rounding_divide_by_pot(product, -exponent_out), out)

    def leaky_relu(self, options, out, x):
        values, x = x
        centred = values - x.zero_point
        positive = self.rescale(centred, x.scale / out.scale)
        negative = self.rescale(centred, x.scale * f32(options.alpha) / out.scale)
        return self.finish(np.where(centred >= 0, positive, negative), out)

    def prelu(self, options, out, x, alpha):
        (values, x), (slopes, alpha) = x, alpha
        centred = values - x.zero_point
        positive = self.rescale(centred, x.scale / out.scale)
        negative = self.rescale(centred * (slopes - alpha.zero_point), x.scale * alpha.scale / out.scale)
        return self.finish(np.where(centred >= 0, positive, negative), out)

    def clamped(self, out, x, activation):
        values, x = x
        return self.finish(self.rescale(values - x.zero_point, x.scale / out.scale), out, activation)

    def relu(self, options, out, x):
        return self.clamped(out, x, 1)

    def relu_n1_to_1(self, options, out, x):
        return self.clamped(out, x, 2)

    def relu6(self, options, out, x):
        return self.clamped(out, x, 3)

    def quantize(self, options, out, x):
        values, x = x
        if x.dtype == np.float32:
            rounded = np.vectorize(lambda each: round_half_away(float(each)))(values / out.scale)
            return self.finish(rounded.astype(np.int64), out)
        return self.finish(self.rescale(values - x.zero_point, float(x.scale) / float(out.scale)), out)

    def dequantize(self, options, out, x):
        values, x = x
        return (float(x.scale) * (values - x.zero_point)).astype(np.float32)

    def concatenation(self, options, out, *parts):
        return np.concatenate([values for values, _ in parts], options.axis)

    def pad(self, options, out, x, paddings, value=None):
        fill = value[0].item() if value else out.zero_point
        return np.pad(x[0], paddings[0], constant_values=fill)

    def padv2(self, options, out, x, paddings, value):
        return self.pad(options, out, x, paddings, value)

    def reshape(self, options, out, x, shape=None):
        return x[0]

    def squeeze(self, options, out, x):
        return x[0]

    def transpose(self, options, out, x, order):
        return x[0].transpose(order[0])


def differing(path, multiply):
    """How many output bytes of the golden file beside `path` the emulation misses, and how many there are."""
    raw = path.with_suffix(".golden").read_bytes()
    newline = raw.index(b"\n")
    header = json.loads(raw[:newline])
    tensors = {"input": [], "output": []}
    for entry in header["tensors"]:
        start = newline + 1 + entry["offset"]
        values = np.frombuffer(raw[start : start + entry["bytes"]], entry["dtype"])
        tensors[entry["role"]].append(values.reshape(header["count"], *entry["shape"]))
    emulator = Emulator(path, multiply)
    missed = total = 0
    for sample in range(header["count"]):
        results = emulator.run([values[sample] for values in tensors["input"]])
        for result, expected in zip(results, tensors["output"], strict=True):
            missed += int((result != expected[sample]).sum())
            total += result.size
    return missed, total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounding", choices=("single", "double"), default="double")
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    multiply = multiply_double_rounding if options.rounding == "double" else multiply_single_rounding
    paths = options.models or [path for path in sorted(OPS.glob("*.tflite")) if not path.stem.endswith("_float")]
    failed = 0
    for path in paths:
        missed, total = differing(path, multiply)
        if missed:
            failed += 1
            print(f"{path.stem}: {missed} of {total} bytes differ")
    print(f"{len(paths) - failed} of {len(paths)} cases equal, {options.rounding} rounding")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
