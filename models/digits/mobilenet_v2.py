"""A small MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381) for 32x32 grayscale pictures."""

from torch import nn

# (expansion, output channels, number of blocks, stride of the first block)
BLOCKS = [
    (1, 8, 1, 1),
    (4, 16, 2, 2),
    (4, 24, 2, 1),
    (4, 32, 2, 2),
]
STEM_CHANNELS = 16
LAST_CHANNELS = 128


def conv_norm(inputs, outputs, kernel, stride=1, groups=1):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection; a skip where the shapes agree."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = []
        if expansion != 1:
            layers += [*conv_norm(inputs, hidden, 1), nn.ReLU6()]
        layers += [*conv_norm(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6()]
        layers += conv_norm(hidden, outputs, 1)
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.skip else self.layers(x)


class MobileNetV2(nn.Module):
    """Input [N, 1, 32, 32] in -1..1, output [N, classes] logits."""

    def __init__(self, classes=10):
        super().__init__()
        layers = [*conv_norm(1, STEM_CHANNELS, 3, stride=2), nn.ReLU6()]
        channels = STEM_CHANNELS
        for expansion, outputs, count, stride in BLOCKS:
            for block in range(count):
                first = block == 0
                layers.append(
                    InvertedResidual(channels, outputs, stride if first else 1, expansion)
                )
                channels = outputs
        layers += [*conv_norm(channels, LAST_CHANNELS, 1), nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(LAST_CHANNELS, classes)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))
