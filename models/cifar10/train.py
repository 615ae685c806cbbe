"""Train a CIFAR-10 network and export NAME_cifar10.onnx beside this file.

    python -m cifar10.train --model NAME --run RUN              # train; a checkpoint an epoch in the folder RUN
    python -m cifar10.train --model NAME --run RUN --resume     # go on from that checkpoint
    python -m cifar10.train --model NAME --run RUN --export     # write the ONNX file from it and test it

NAME is mobilenet_v2 or mobilevit. Every choice is made on 2,000 held-out training images; the
test images are read only by --export, once the weights are fixed.
"""

import argparse
import copy
import math
import os
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from cifar10 import data
from networks.export import export
from networks.mobilenet_v2 import MobileNetV2
from networks.mobilevit import MobileViT
from networks.work import count_work

HERE = Path(__file__).resolve().parent
SEED = 1
HELD_OUT = 2000
BATCH = 128
PEAK_RATE = 0.2
WARM_UP = 0.1  # of the progress
WEIGHT_DECAY = 5e-4
LABEL_SMOOTHING = 0.1
AVERAGE_DECAY = 0.998

NETWORKS = {
    "mobilenet_v2": lambda: MobileNetV2(
        inputs=3,
        stem=24,
        stem_stride=1,
        blocks=((1, 24, 1, 2), (4, 32, 2, 1), (4, 64, 3, 2), (6, 112, 2, 2)),
        last=320,
    ),
    "mobilevit": lambda: MobileViT(
        inputs=3,
        stem=24,
        stem_stride=1,
        blocks=(
            (1, 24, 2),
            (4, 32, 1),
            (2, 32, 1),
            (4, 48, 2),
            {"patch": 2, "width": 64, "layers": 2},
            (4, 80, 2),
            {"patch": 1, "width": 96, "layers": 2},
        ),
        last=320,
    ),
}
# Small pictures first, which cost less: the progress at which each size starts. The maps of
# MobileViT must divide into its patches.
SIZES = {
    "mobilenet_v2": ((0.0, 20), (0.4, 24), (0.7, 32)),
    "mobilevit": ((0.0, 16), (0.3, 24), (0.7, 32)),
}


def rate(progress):
    """Learning rate at `progress` 0..1: linear warm-up, then cosine to zero."""
    if progress < WARM_UP:
        return PEAK_RATE * progress / WARM_UP
    return PEAK_RATE * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def size_at(sizes, progress):
    return [size for start, size in sizes if progress >= start][-1]


class Progress:
    """Training progress 0..1, by steps or, with a deadline, by the time that is left.

    With a deadline each step takes its share of the remaining progress at the recent pace,
    so that the rate reaches zero in time on a machine that others slow down.
    """

    def __init__(self, value, steps, deadline):
        self.value, self.steps, self.deadline = value, steps, deadline
        self.pace, self.taken, self.last = 0.0, 0, time.monotonic()

    def step(self):
        if self.deadline is None:
            self.value = min(1.0, self.value + 1.0 / self.steps)
            return
        now = time.monotonic()
        took, self.last = now - self.last, now
        if self.taken >= 20:
            # A stall (a suspended process, a long test) says nothing of the steps to come.
            took = min(took, 4 * self.pace)
        self.taken += 1
        # A plain mean at first, then a moving one.
        self.pace += max(1 / self.taken, 0.01) * (took - self.pace)
        left = max(self.deadline - now, 0.0)
        self.value += (1.0 - self.value) * min(1.0, self.pace / max(left, self.pace))
        if left <= self.pace:
            self.value = 1.0


def split(folder):
    """Training images and labels, and those held out of them: the last HELD_OUT."""
    images, labels = data.load(folder, "train")
    return (images[:-HELD_OUT], labels[:-HELD_OUT]), (images[-HELD_OUT:], labels[-HELD_OUT:])


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        answers = [
            model(data.normalize(part)).argmax(1) for part in torch.from_numpy(images).split(500)
        ]
    return (torch.cat(answers).numpy() == labels).mean()


def average_step(averages, values, count):
    """Moving average whose window grows with `count`, so that it forgets the first weights."""
    decay = min(AVERAGE_DECAY, (1 + int(count)) / (10 + int(count)))
    torch.optim.swa_utils.get_ema_multi_avg_fn(decay)(averages, values, count)


def build(name):
    """The model, and the moving average of its weights and batch-norm statistics."""
    model = NETWORKS[name]().to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            # He et al. 2015, by the fan out.
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
    average = torch.optim.swa_utils.AveragedModel(
        model,
        multi_avg_fn=average_step,
        use_buffers=True,
    )
    return model, average


def train(name, folder, checkpoint, epochs, minutes, resume, again):
    torch.manual_seed(SEED)
    (images, labels), held_out = split(folder)
    batches = data.Augmented(images, labels, BATCH)
    model, average = build(name)
    # No decay on norms, biases and the depthwise filters.
    decayed = [p for p in model.parameters() if p.dim() > 1 and p.shape[1] > 1]
    others = [p for p in model.parameters() if p.dim() <= 1 or p.shape[1] == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others}],
        lr=0.0, momentum=0.9, nesterov=True,
    )
    deadline = time.monotonic() + 60 * minutes if minutes else None
    value, epoch = 0.0, 0
    if resume:
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        value, epoch = state["progress"] if again is None else again, state["epoch"]
        torch.manual_seed(SEED + epoch)
    fast = torch.compile(model, dynamic=False)
    model.train()
    state = copy.deepcopy(model.state_dict())
    for _, size in SIZES[name]:
        # Compile each size before the clock of the schedule starts.
        inputs = torch.zeros(BATCH, 3, size, size).contiguous(memory_format=torch.channels_last)
        fast(inputs).sum().backward()
        print(f"compiled for {size}x{size}", flush=True)
    model.load_state_dict(state)
    progress = Progress(value, epochs * len(batches), deadline)

    while progress.value < 1.0:
        start, total, steps = time.monotonic(), 0.0, 0
        model.train()
        for pixels, targets in batches:
            for group in optimizer.param_groups:
                group["lr"] = rate(progress.value)
            inputs = data.normalize(pixels)
            size = size_at(SIZES[name], progress.value)
            if size != data.SIZE:
                inputs = functional.interpolate(
                    inputs, (size, size), mode="bilinear", antialias=True
                )
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            loss = functional.cross_entropy(fast(inputs), targets, label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
            total += loss.item()
            steps += 1
            progress.step()
            if progress.value >= 1.0:
                break
        epoch += 1
        partial = checkpoint.with_suffix(".partial")
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "progress": progress.value,
                "epoch": epoch,
            },
            partial,
        )
        os.replace(partial, checkpoint)
        print(
            f"epoch {epoch}: progress {progress.value:.3f}, size {size}, loss {total / steps:.3f}, "
            f"held-out top-1 {100 * accuracy(average.module, *held_out):.2f} %, "
            f"{time.monotonic() - start:.0f} s",
            flush=True,
        )


def export_average(name, checkpoint, path):
    """Write the averaged model of the checkpoint as an ONNX file."""
    model, average = build(name)
    average.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    model = average.module.eval()
    image = torch.zeros(1, 3, data.SIZE, data.SIZE)
    macs, weights = count_work(model, image)
    print(f"multiply-accumulates: {macs:,}, weights and biases: {weights:,}")
    export(model, image, path)


def evaluate(path, pictures, images, labels):
    """Top-1 of the ONNX file under ONNX Runtime, one image at a time."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = data.normalize(torch.from_numpy(images)).contiguous().numpy()
    answers = [session.run(None, {"image": image[None]})[0].argmax() for image in pixels]
    right = int((np.array(answers) == labels).sum())
    print(f"{pictures} top-1: {right}/{len(labels)} = {100 * right / len(labels):.2f} %")


def main():
    parser = argparse.ArgumentParser(description="Train a CIFAR-10 network.")
    parser.add_argument("--model", choices=NETWORKS, required=True)
    strips = HERE / "../../../shared/data/cifar10"
    parser.add_argument("--data", default=strips, help="folder of the strips")
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float, help="end the schedule by the clock instead")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument(
        "--again", type=float, metavar="PROGRESS",
        help="with --resume: set the schedule back to this progress (0..1), to train longer",
    )
    parser.add_argument("--export", action="store_true", help="write and test the ONNX file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run.mkdir(parents=True, exist_ok=True)
    checkpoint = options.run / "checkpoint.pt"
    if options.export:
        path = HERE / f"{options.model}_cifar10.onnx"
        export_average(options.model, checkpoint, path)
        _, held_out = split(options.data)
        evaluate(path, "held-out", *held_out)
        evaluate(path, "test", *data.load(options.data, "test"))
        return
    train(
        options.model,
        options.data,
        checkpoint,
        options.epochs,
        options.minutes,
        options.resume,
        options.again,
    )


if __name__ == "__main__":
    main()
