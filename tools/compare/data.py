"""The inputs of a comparison: the same bytes for every tool."""

import dataclasses
import pathlib

import numpy as np
from PIL import Image


@dataclasses.dataclass
class Data:
    """Bytes (N, height, width, channels), uint8 or int8, and a class for each of those held out."""

    calibration: np.ndarray
    held_out: np.ndarray
    classes: np.ndarray


def pictures(paths):
    images = [np.asarray(Image.open(path)) for path in paths]
    return np.stack([image if image.ndim == 3 else image[..., None] for image in images])


def strips(paths, size):
    """Square pictures of `size` from strips of them, one below the other."""
    return np.concatenate([np.asarray(Image.open(path).convert("RGB")).reshape(-1, size, size, 3) for path in paths])


def folders(root, calibration, held_out):
    """Pictures in a folder for each class; classes are counted in the order of the folders' names."""

    def read(folder):
        paths = sorted(path for path in (root / folder).rglob("*") if path.suffix in (".png", ".jpg"))
        names = sorted({path.parent.name for path in paths})
        return pictures(paths), np.array([names.index(path.parent.name) for path in paths])

    return Data(read(calibration)[0], *read(held_out))


def cifar10(root, size):
    """The first 500 training pictures to calibrate, 6,000 test pictures; enlarged where the network wants that."""
    folder = root / "data" / "cifar10"

    def fit(images):
        if size == images.shape[1]:
            return images
        return np.stack([np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR)) for one in images])

    return Data(
        fit(strips([folder / "train_first500_lossless.png"], 32)),
        fit(strips(sorted(folder.glob("test_??.png")), 32)),
        np.fromfile(folder / "test_labels.u8", np.uint8),
    )


def vww(root):
    folder = root / "data" / "vww"
    return Data(
        strips([folder / "coco128_calib.png"], 96),
        strips([folder / "vww01_open.png"], 96),
        np.fromfile(folder / "vww01_open_labels.u8", np.uint8),
    )


def kws(root):
    """The 500 inputs serve to calibrate and to compare: there are no others."""
    folder = root / "data" / "kws01"
    inputs = np.fromfile(folder / "kws01_x_i8_500x49x10.bin", np.int8).reshape(500, 49, 10, 1)
    return Data(inputs, inputs, np.fromfile(folder / "kws01_y_u8_500.bin", np.uint8))


def imagenet(root, background=False):
    """Pictures whose names begin with their class; every third is for calibration."""
    paths = sorted((root / "data" / "imagenet-sample").glob("*.jpg"))
    held_out = [path for index, path in enumerate(paths) if index % 3]
    classes = np.array([int(path.name.split("_")[0]) for path in held_out])
    return Data(pictures(paths[::3]), pictures(held_out), classes + int(background))


KINDS = {"folders": folders, "cifar10": cifar10, "vww": vww, "kws": kws, "imagenet": imagenet}


def load(root, description):
    """What a network's `data` in networks.json describes, from `root`."""
    options = dict(description)
    return KINDS[options.pop("kind")](root, **options)


def real(values, preprocess):
    """What bytes stand for, as `ocelli quantize --preprocess` defines it: float32 of the same shape."""
    scale, offset = {"unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0), "raw": (1.0, 0.0)}.get(preprocess) or map(
        float, preprocess.split(",")
    )
    return (values * np.float32(scale) + np.float32(offset)).astype(np.float32)


def spread(values, count):
    """At most `count` of them, spread over all."""
    return values[np.linspace(0, len(values), min(count, len(values)), endpoint=False).astype(int)]


def write_classes(path, classes):
    pathlib.Path(path).write_text("".join(f"{value}\n" for value in classes))


def limited(inputs, count):
    """The same inputs with at most `count` held out."""
    return Data(inputs.calibration, spread(inputs.held_out, count), spread(inputs.classes, count))
