"""MobileViT (Mehta and Rastegari 2021, arXiv:2110.02178) for small images."""

from torch import cat, nn

from networks.layers import Classifier, InvertedResidual, conv_bn


class Attention(nn.Module):
    """Multi-head self-attention over the tokens of (sequences, tokens, width)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x):
        sequences, tokens, width = x.shape
        qkv = self.qkv(x).reshape(sequences, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query * self.scale @ key.transpose(-2, -1)).softmax(-1)
        y = (weights @ value).transpose(1, 2).reshape(sequences, tokens, width)
        return self.projection(y)


class TransformerLayer(nn.Module):
    """LayerNorm before each of attention and MLP, with a shortcut around each pair."""

    def __init__(self, width, heads, expansion):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, expansion * width), nn.SiLU(), nn.Linear(expansion * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTBlock(nn.Module):
    """Local 3x3 convolution, transformer over patches, fusion with the input by a 3x3 convolution.

    Pixels at the same place of their patches form a sequence: `patch` squared of them.
    A patch of 1 makes the whole map one sequence.
    """

    def __init__(self, channels, patch, width, layers, heads, expansion):
        super().__init__()
        self.patch = patch
        self.local = nn.Sequential(
            *conv_bn(channels, channels, 3), nn.SiLU(), nn.Conv2d(channels, width, 1, bias=False)
        )
        self.transformer = nn.Sequential(
            *[TransformerLayer(width, heads, expansion) for _ in range(layers)],
            nn.LayerNorm(width),
        )
        self.projection = nn.Sequential(*conv_bn(width, channels), nn.SiLU())
        self.fusion = nn.Sequential(*conv_bn(2 * channels, channels, 3), nn.SiLU())

    def unfold(self, x):
        """(N, C, H, W) to (N * patch pixels, patches, C)."""
        n, c, h, w = x.shape
        p = self.patch
        x = x.reshape(n * c * h // p, p, w // p, p).transpose(1, 2)
        x = x.reshape(n, c, h * w // (p * p), p * p).transpose(1, 3)
        return x.reshape(n * p * p, h * w // (p * p), c)

    def fold(self, x, shape):
        """The reverse of `unfold`, to (N, C, H, W)."""
        n, c, h, w = shape
        p = self.patch
        x = x.reshape(n, p * p, h * w // (p * p), c).transpose(1, 3)
        x = x.reshape(n * c * h // p, w // p, p, p).transpose(1, 2)
        return x.reshape(n, c, h, w)

    def forward(self, x):
        y = self.local(x)
        y = self.fold(self.transformer(self.unfold(y)), y.shape)
        return self.fusion(cat((x, self.projection(y)), 1))


class MobileViT(Classifier):
    """Input (N, `inputs`, H, W), whose maps must divide into their patches; output logits (N, `classes`).

    `blocks` are inverted residuals, (expansion, output channels, stride), and MobileViT blocks,
    {"patch", "width", "layers"}. `stem` and `last` are the channels of the first and of the last
    convolution; `expansion` is that of the transformers' MLPs.
    """

    def __init__(self, inputs, stem, stem_stride, blocks, last, classes=10, heads=4, expansion=2):
        layers = [*conv_bn(inputs, stem, 3, stem_stride), nn.SiLU()]
        channels = stem
        for block in blocks:
            if isinstance(block, dict):
                layers.append(MobileViTBlock(channels, **block, heads=heads, expansion=expansion))
            else:
                wider, outputs, stride = block
                layers.append(InvertedResidual(channels, outputs, stride, wider, nn.SiLU))
                channels = outputs
        layers += [*conv_bn(channels, last), nn.SiLU()]
        super().__init__(layers, last, classes)
