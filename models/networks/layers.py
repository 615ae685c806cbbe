"""Layers the networks share."""

from torch import nn


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection; a shortcut where shapes allow."""

    def __init__(self, inputs, outputs, stride, expansion, activation):
        super().__init__()
        hidden = inputs * expansion
        layers = []
        if expansion != 1:
            layers += [*conv_bn(inputs, hidden), activation()]
        layers += [*conv_bn(hidden, hidden, 3, stride, hidden), activation()]
        layers += conv_bn(hidden, outputs)
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.shortcut else y


class Classifier(nn.Module):
    """Features (N, channels, H, W) averaged over the map, then a linear layer to the logits."""

    def __init__(self, features, channels, classes):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))
