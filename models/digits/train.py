"""Train a network on the digits and export NAME_digits.onnx beside this file.

    python -m digits.train --model NAME               # train on the training digits, export, evaluate
    python -m digits.train --model NAME --validate    # hold a fifth of the training digits out, to tune

NAME is mobilenet_v2 or mobilevit. The exported file is evaluated with ONNX Runtime on the
committed PNG files of the held-out set. No choice in the recipe (epochs, rates, which weights
to keep) looks at that set: the last epoch's averaged weights are exported.
"""

import argparse
import math
import time

import numpy as np
import onnxruntime
import torch
from PIL import Image
from sklearn.model_selection import train_test_split
from torch.nn import functional

from digits.make_pictures import HERE, PICTURES, SIDE, load_pictures, split
from networks.export import export
from networks.mobilenet_v2 import MobileNetV2
from networks.mobilevit import MobileViT
from networks.work import count_work

SEED = 1
EPOCHS = 80
BATCH = 64
PEAK_RATE = 4e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1
AVERAGE_DECAY = 0.98
SHIFT = 3.0  # pixels of 32, each way
ROTATION = math.radians(12)
SCALE = 0.12

NETWORKS = {
    "mobilenet_v2": lambda: MobileNetV2(
        inputs=1,
        stem=16,
        stem_stride=2,
        blocks=((1, 8, 1, 1), (4, 16, 2, 2), (4, 24, 2, 1), (4, 32, 2, 2)),
        last=128,
    ),
    "mobilevit": lambda: MobileViT(
        inputs=1,
        stem=16,
        stem_stride=2,
        blocks=(
            (2, 16, 1),
            (4, 24, 2),
            {"patch": 2, "width": 32, "layers": 2},
            (4, 32, 2),
        ),
        last=128,
    ),
}


def normalize(pixels):
    """The network's preprocessing: 0..255 becomes -1..1."""
    return pixels / 127.5 - 1.0


def augment(pixels):
    """Shift, turn and scale each picture of [N, 1, 32, 32] at random; outside is black."""
    count = len(pixels)

    def uniform(limit, *shape):
        return (torch.rand(count, *shape) * 2 - 1) * limit

    angle, scale = uniform(ROTATION), 1 + uniform(SCALE)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    shift = uniform(2 * SHIFT / SIDE, 2)
    matrix = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, align_corners=False)


def train(name, pixels, labels):
    """Train on float [N, 1, 32, 32] pixels in 0..255; return the averaged model in eval mode."""
    torch.manual_seed(SEED)
    model = NETWORKS[name]()
    average = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY),
        use_buffers=True,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    batches = len(labels) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=EPOCHS * batches, pct_start=0.1
    )
    for epoch in range(EPOCHS):
        total = 0.0
        order = torch.randperm(len(labels))[: batches * BATCH]
        for batch in order.split(BATCH):
            logits = model(normalize(augment(pixels[batch])))
            loss = functional.cross_entropy(
                logits, labels[batch], label_smoothing=LABEL_SMOOTHING
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.item()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}/{EPOCHS}: training loss {total / batches:.3f}", flush=True)
    return average.module.eval()


def accuracy(model, pixels, labels):
    with torch.no_grad():
        return (model(normalize(pixels)).argmax(1) == labels).float().mean().item()


def evaluate(path):
    """Classify the held-out PNG files with ONNX Runtime and print the accuracy."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    files = sorted((PICTURES / "held-out").glob("*/*.png"))
    right = 0
    for file in files:
        pixels = np.asarray(Image.open(file), dtype=np.float32)[None, None]
        (logits,) = session.run(None, {"image": normalize(pixels)})
        answer = int(logits.argmax())
        if answer == int(file.parent.name):
            right += 1
        else:
            print(f"wrong: {file.relative_to(HERE)} taken for {answer}")
    print(f"held-out top-1: {right}/{len(files)} = {100 * right / len(files):.2f} %")


def main():
    parser = argparse.ArgumentParser(description="Train a network on the digits.")
    parser.add_argument("--model", choices=NETWORKS, required=True)
    parser.add_argument("--validate", action="store_true", help="tune on the training digits only")
    options = parser.parse_args()
    # One thread makes the sums, and so the weights, the same on every run.
    torch.set_num_threads(1)
    pictures, labels = load_pictures()
    training, _ = split(labels)
    pixels = torch.from_numpy(pictures).float()[:, None]
    targets = torch.from_numpy(labels)
    start = time.monotonic()
    if options.validate:
        fit, check = train_test_split(
            training, test_size=0.2, stratify=labels[training], random_state=SEED
        )
        model = train(options.model, pixels[fit], targets[fit])
        print(f"validation top-1: {100 * accuracy(model, pixels[check], targets[check]):.2f} %")
        return
    model = train(options.model, pixels[training], targets[training])
    print(f"trained in {time.monotonic() - start:.0f} s")
    image = torch.zeros(1, 1, SIDE, SIDE)
    macs, weights = count_work(model, image)
    print(f"multiply-accumulates: {macs:,}, weights and biases: {weights:,}")
    path = HERE / f"{options.model}_digits.onnx"
    export(model, image, path)
    evaluate(path)


if __name__ == "__main__":
    main()
