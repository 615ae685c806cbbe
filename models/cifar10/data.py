"""CIFAR-10 from image strips, and augmentation in bulk on uint8 tensors.

The data folder holds the images as strips 32 pixels wide, one image below the
other (`train_*.jpg`, `test_*.png`), and one label byte an image
(`train_labels.u8`, `test_labels.u8`).
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

SIZE = 32
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
)


def load(folder, split):
    """Images (N, 32, 32, 3) and labels (N) of `split` ("train" or "test"), both uint8."""
    folder = Path(folder)
    strips = sorted(p for p in folder.glob(f"{split}_??.*") if p.suffix in (".jpg", ".png"))
    if not strips:
        raise SystemExit(f"{folder}: no {split}_NN.jpg or .png strips; name their folder by --data")
    images = np.concatenate(
        [np.asarray(Image.open(p).convert("RGB")).reshape(-1, SIZE, SIZE, 3) for p in strips]
    )
    labels = np.fromfile(folder / f"{split}_labels.u8", dtype=np.uint8)
    if len(images) != len(labels):
        raise SystemExit(f"{folder}: {len(images)} {split} images but {len(labels)} labels")
    return images, labels


def normalize(images):
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W), channels-last in memory: (u8 - 128) / 64.

    Near unit variance, and exact in int8 with scale 1/64 and zero point 0.
    """
    return ((images.to(torch.float32) - 128.0) / 64.0).permute(0, 3, 1, 2)


class Augmented:
    """Epochs of shuffled batches, each image cropped after reflection padding and flipped at random."""

    def __init__(self, images, labels, batch, padding=4):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
        # Reflection wants a float type; float16 holds 0..255 exactly.
        padded = functional.pad(pixels.half(), (padding,) * 4, mode="reflect").to(torch.uint8)
        self.images = padded.permute(0, 2, 3, 1).contiguous()
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.batch, self.padding = batch, padding

    def __len__(self):
        """Batches of an epoch; the images of an incomplete last one are left out."""
        return len(self.labels) // self.batch

    def __iter__(self):
        """uint8 images (B, 32, 32, 3) and int64 labels (B)."""
        order = torch.randperm(len(self.labels))[: len(self) * self.batch]
        for index in order.split(self.batch):
            yield self.crop(index), self.labels[index]

    def crop(self, index):
        def draw(high):
            return torch.randint(high, (len(index), 1))

        line = torch.arange(SIZE).expand(len(index), SIZE)
        # A flip reverses the column indices, so crop and flip are one gather.
        columns = torch.where(draw(2) == 1, line.flip(1), line)
        y = line + draw(2 * self.padding + 1)
        x = columns + draw(2 * self.padding + 1)
        return self.images[index[:, None, None], y[:, :, None], x[:, None, :]]
