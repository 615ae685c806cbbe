"""A compact MobileNetV2 for 32x32 images (Sandler et al. 2018, arXiv:1801.04381)."""

import torch
from torch import nn

# Rows of the paper's table 2: expansion, output channels, repeats, stride of the first.
BLOCKS = (
    (1, 24, 1, 2),
    (4, 32, 2, 1),
    (4, 64, 3, 2),
    (6, 112, 2, 2),
)
STEM = 24
LAST = 320


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection; a shortcut where shapes allow."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = []
        if expansion != 1:
            layers += conv_bn(inputs, hidden) + [nn.ReLU6()]
        layers += conv_bn(hidden, hidden, 3, stride, hidden) + [nn.ReLU6()]
        layers += conv_bn(hidden, outputs)
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """Input (N, 3, 32, 32) as `data.normalize` gives it; output logits (N, classes)."""

    def __init__(self, classes=10, blocks=BLOCKS, stem=STEM, last=LAST):
        super().__init__()
        layers = conv_bn(3, stem, 3) + [nn.ReLU6()]
        channels = stem
        for expansion, outputs, repeats, stride in blocks:
            for i in range(repeats):
                layers.append(InvertedResidual(channels, outputs, stride if i == 0 else 1, expansion))
                channels = outputs
        layers += conv_bn(channels, last) + [nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))


def count_work(model, size=32):
    """(multiply-accumulates, weights) of one image, batch norms folded into weights and biases."""
    macs = weights = 0

    def visit(layer, _, output):
        nonlocal macs, weights
        # A weight is used once for each output position; a folded layer has a bias.
        positions = output[0, 0].numel() if output.dim() == 4 else 1
        macs += layer.weight.numel() * positions
        weights += layer.weight.numel() + output.shape[1]

    hooks = [
        layer.register_forward_hook(visit)
        for layer in model.modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        model(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return macs, weights
