"""Write the demo's pictures: the calibration and the held-out digits as PNG files.

    python -m digits.make_pictures

The data are the 1,797 handwritten digits that scikit-learn ships (UCI "Optical
Recognition of Handwritten Digits", CC BY 4.0). Each is 8x8 with values 0..16; here it
becomes a 32x32 picture with values 0..255. The split is drawn from a fixed seed, so
that `train`, which imports this module, never sees a held-out digit.

Files are named pictures/<set>/<label>/<index>.png, where <index> is the digit's place in
scikit-learn's data set.
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
SIDE = 32
HELD_OUT_FRACTION = 0.2
CALIBRATION_PER_CLASS = 20
SPLIT_SEED = 2024


def load_pictures():
    """Return (pictures, labels): uint8 [1797, 32, 32] and int64 [1797]."""
    data = load_digits()
    scaled = np.rint(data.images * (255.0 / 16.0)).astype(np.uint8)
    enlarged = [
        np.asarray(Image.fromarray(digit).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for digit in scaled
    ]
    return np.stack(enlarged), data.target.astype(np.int64)


def split(labels):
    """Return (training, held_out): sorted indices, the held-out fifth stratified by class."""
    training, held_out = train_test_split(
        np.arange(len(labels)),
        test_size=HELD_OUT_FRACTION,
        stratify=labels,
        random_state=SPLIT_SEED,
    )
    return np.sort(training), np.sort(held_out)


def calibration(labels, training):
    """Return the indices of the calibration set: 20 training digits of each class."""
    rng = np.random.RandomState(SPLIT_SEED)
    chosen = [
        rng.choice(training[labels[training] == label], CALIBRATION_PER_CLASS, replace=False)
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


def write_set(name, pictures, labels, indices):
    for index in indices:
        folder = PICTURES / name / str(labels[index])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[index]).save(folder / f"{index:04}.png", optimize=True)
    print(f"{name}: {len(indices)} pictures")


def main():
    pictures, labels = load_pictures()
    training, held_out = split(labels)
    if PICTURES.exists():
        shutil.rmtree(PICTURES)
    write_set("calibration", pictures, labels, calibration(labels, training))
    write_set("held-out", pictures, labels, held_out)
    (HERE / "labels.txt").write_text("".join(f"{label}\n" for label in np.unique(labels)))


if __name__ == "__main__":
    main()
