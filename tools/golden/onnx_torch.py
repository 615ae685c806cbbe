"""ONNX models as PyTorch exports them: single modules and tiny networks with random weights, at several opsets.

    python tools/golden/onnx_torch.py [--only PART ...]

They land as `torch_<case>_opset<N>[_dynamo].onnx` + `.golden` in `tests/golden/onnx`. Opsets 11, 13 and 17 come from the TorchScript
exporter, 18 and 21 from the dynamo exporter (`_dynamo`).
"""

import argparse
import logging
import warnings
import zlib

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

import onnx_reference

TORCHSCRIPT, DYNAMO = (11, 13, 17), (18, 21)
MAP = (1, 4, 7, 6)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def conv_bn(cin, cout, kernel=3, stride=1, groups=1, act=nn.ReLU6):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([act()] if act else []))


class InvertedResidual(nn.Module):
    def __init__(self, cin, cout, stride, expand):
        super().__init__()
        hidden = cin * expand
        self.residual = stride == 1 and cin == cout
        layers = [conv_bn(cin, hidden, 1)] if expand > 1 else []
        layers += [conv_bn(hidden, hidden, 3, stride, hidden), conv_bn(hidden, cout, 1, act=None)]
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, stride=2),
            InvertedResidual(8, 6, 1, 1),
            InvertedResidual(6, 8, 2, 3),
            InvertedResidual(8, 8, 1, 3),
            conv_bn(8, 24, 1),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, 10))

    def forward(self, x):
        y = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(y, 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down, self.up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.up(F.relu(self.down(self.pool(x)))))


class BlockV3(nn.Module):
    def __init__(self, cin, hidden, cout, kernel, stride, act, excite):
        super().__init__()
        self.residual = stride == 1 and cin == cout
        layers = [conv_bn(cin, hidden, 1, act=act), conv_bn(hidden, hidden, kernel, stride, hidden, act=act)]
        layers += [SqueezeExcite(hidden, 4)] if excite else []
        self.body = nn.Sequential(*layers, conv_bn(hidden, cout, 1, act=None))

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


class MobileNetV3Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, stride=2, act=nn.Hardswish),
            BlockV3(8, 8, 8, 3, 2, nn.ReLU, True),
            BlockV3(8, 20, 8, 5, 1, nn.Hardswish, True),
            conv_bn(8, 24, 1, act=nn.Hardswish),
        )
        self.classifier = nn.Sequential(nn.Linear(24, 32), nn.Hardswish(), nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class ResidualBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.first, self.second = conv_bn(cin, cout, 3, stride, act=nn.ReLU), conv_bn(cout, cout, act=None)
        self.shortcut = nn.Conv2d(cin, cout, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 4, act=nn.ReLU)
        self.blocks = nn.Sequential(ResidualBlock(4, 4, 1), ResidualBlock(4, 8, 2), ResidualBlock(8, 12, 2))
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        y = F.avg_pool2d(self.blocks(self.stem(x)), 4)
        return F.softmax(self.head(y.view(y.size(0), -1)), dim=1)


class DsCnn(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(1, 12, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(12), nn.ReLU()]
        for _ in range(2):
            layers += [conv_bn(12, 12, groups=12, act=nn.ReLU), conv_bn(12, 12, 1, act=nn.ReLU)]
        self.body = nn.Sequential(*layers, nn.AvgPool2d((13, 5)), nn.Flatten(), nn.Linear(12, 12), nn.Softmax(1))

    def forward(self, x):
        return self.body(x)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        sizes, layers = [40, 16, 4, 16], []
        for before, after in zip(sizes, sizes[1:]):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Linear(16, 40))

    def forward(self, x):
        return self.body(x)


class HeadOnMap(nn.Module):
    """A fully connected layer on a flattened NCHW map."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 5, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(60, 6))

    def forward(self, x):
        return self.body(x)


NETWORKS = {
    "mobilenet_v2": (MobileNetV2, [(1, 3, 16, 16)]),
    "mobilenet_v3_small": (MobileNetV3Small, [(1, 3, 16, 16)]),
    "resnet8": (ResNet8, [(1, 3, 16, 16)]),
    "ds_cnn": (DsCnn, [(1, 1, 25, 10)]),
    "autoencoder": (Autoencoder, [(1, 40)]),
    "head_on_map": (HeadOnMap, [MAP]),
}
MODULES = {
    "conv_bn_relu6": (lambda: conv_bn(4, 5, stride=2), [MAP]),
    "conv_padding_same": (lambda: nn.Conv2d(4, 5, (4, 3), padding="same"), [MAP]),
    "conv_groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=(0, 1)), [MAP]),
    "bn_alone": (lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)), [MAP]),
    "bn_linear": (lambda: nn.Sequential(nn.Linear(9, 6), nn.BatchNorm1d(6), nn.ReLU()), [(1, 9)]),
    "linear_no_bias": (lambda: nn.Linear(9, 6, bias=False), [(1, 9)]),
    "hardswish": (nn.Hardswish, [MAP]),
    "hardsigmoid": (nn.Hardsigmoid, [MAP]),
    "hardtanh": (nn.Hardtanh, [MAP]),
    "relu6": (nn.ReLU6, [MAP]),
    "silu": (nn.SiLU, [MAP]),
    "gelu": (nn.GELU, [MAP]),
    "gelu_tanh": (lambda: nn.GELU("tanh"), [MAP]),
    "leaky_relu": (lambda: nn.LeakyReLU(0.1), [MAP]),
    "prelu": (lambda: nn.PReLU(4), [MAP]),
    "prelu_one": (nn.PReLU, [MAP]),
    "sigmoid_tanh": (lambda: nn.Sequential(nn.Tanh(), nn.Sigmoid()), [MAP]),
    "softmax": (lambda: nn.Softmax(1), [(1, 12)]),
    "mean": (lambda: Apply(lambda x: x.mean((2, 3))), [MAP]),
    "mean_keepdim": (lambda: Apply(lambda x: x.mean(dim=[2, 3], keepdim=True)), [MAP]),
    "adaptive_avg_pool": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), [MAP]),
    "avg_pool_ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), [MAP]),
    "avg_pool_exclude_pad": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), [MAP]),
    "avg_pool_include_pad": (lambda: nn.AvgPool2d(3, 2, 1), [MAP]),
    "max_pool_ceil": (lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), [MAP]),
    "pad_conv": (lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 5, 3, 2)), [MAP]),
    "pad_value": (lambda: nn.ConstantPad2d((1, 2, 0, 1), 0.5), [MAP]),
    "cat": (lambda: Apply(lambda a, b: torch.cat([a, b], 1)), [MAP, (1, 3, 7, 6)]),
    "add_relu": (lambda: Apply(lambda a, b: F.relu(a + b)), [MAP, MAP]),
    "scale_shift": (lambda: Apply(lambda x: (x * 0.3 + 1.5) / 2.0), [MAP]),
    "squeeze_excite": (lambda: SqueezeExcite(8, 4), [(1, 8, 5, 6)]),
    "permute_flatten": (lambda: Apply(lambda x: x.permute(0, 2, 3, 1).flatten(1)), [MAP]),
    "reshape_size": (lambda: Apply(lambda x: x.reshape(x.size(0), -1)), [MAP]),
    "squeeze_unsqueeze": (lambda: Apply(lambda x: x.mean((2, 3), True).squeeze(-1).squeeze(-1).unsqueeze(2)), [MAP]),
}


def randomize(module):
    """Normalization statistics as training would leave them, and bounded weights."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.running_var, 0.4, 1.6)
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.weight, 0.6, 1.4)
            nn.init.normal_(part.bias, std=0.3)
    return module.eval()


def export(module, shapes, path, opset, dynamo, dynamic_batch=False):
    inputs = tuple(torch.zeros(shape) for shape in shapes)
    names = [f"input_{index}" for index in range(len(shapes))]
    settings = {"input_names": names, "output_names": ["output"], "opset_version": opset, "dynamo": dynamo}
    if dynamo:
        settings.update(external_data=False, verbose=False)
    if dynamic_batch:
        settings["dynamic_axes"] = {names[0]: {0: "batch"}, "output": {0: "batch"}}
    torch.onnx.export(module, inputs, str(path), **settings)
    model = onnx.load(str(path))
    for node in model.graph.node:
        del node.metadata_props[:]  # the stack traces of this machine
        node.doc_string = ""
    for entry in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del entry.metadata_props[:]
    del model.metadata_props[:], model.graph.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
    onnx.save(model, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of case names; all cases without it")
    only = parser.parse_args().only
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    onnx_reference.OUT.mkdir(parents=True, exist_ok=True)
    cases = [(name, *case, TORCHSCRIPT + DYNAMO, False) for name, case in NETWORKS.items()]
    cases += [(name, *case, (11, 17, 18), False) for name, case in MODULES.items()]
    cases += [("mobilenet_v2_dynamic_batch", *NETWORKS["mobilenet_v2"], (13,), True)]
    for name, make, shapes, opsets, dynamic_batch in cases:
        for opset in opsets:
            stem = f"torch_{name}_opset{opset}" + ("_dynamo" if opset in DYNAMO else "")
            if only and not any(part in stem for part in only):
                continue
            seed = zlib.crc32(name.encode())
            torch.manual_seed(seed)
            path = onnx_reference.OUT / f"{stem}.onnx"
            export(randomize(make()), shapes, path, opset, opset in DYNAMO, dynamic_batch)
            onnx_reference.write_golden(path, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
