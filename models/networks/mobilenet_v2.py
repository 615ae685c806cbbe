"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) for small images."""

from torch import nn

from networks.layers import Classifier, InvertedResidual, conv_bn


class MobileNetV2(Classifier):
    """Input (N, `inputs`, H, W); output logits (N, `classes`).

    `blocks` are the rows of the paper's table 2: expansion, output channels, repeats, stride of
    the first. `stem` and `last` are the channels of the first and of the last convolution.
    """

    def __init__(self, inputs, stem, stem_stride, blocks, last, classes=10):
        layers = [*conv_bn(inputs, stem, 3, stem_stride), nn.ReLU6()]
        channels = stem
        for expansion, outputs, repeats, stride in blocks:
            for i in range(repeats):
                stride_here = stride if i == 0 else 1
                layers.append(
                    InvertedResidual(channels, outputs, stride_here, expansion, nn.ReLU6)
                )
                channels = outputs
        layers += [*conv_bn(channels, last), nn.ReLU6()]
        super().__init__(layers, last, classes)
