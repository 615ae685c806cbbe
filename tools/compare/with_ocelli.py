"""`ocelli quantize` and `ocelli eval`, as a user calls them."""

import json
import pathlib
import subprocess

import numpy as np

import data
from score import Score


def quantize_and_score(ocelli, model, inputs, preprocess, samples, effort, folder):
    """Quantizes with at most `samples` inputs and scores the held-out ones; a Score."""
    folder = pathlib.Path(folder)
    calibration, held_out, classes, packed = (
        folder / name for name in ("calibration.npy", "held_out.npy", "classes.txt", "model.ocelli")
    )
    np.save(calibration, inputs.calibration)
    np.save(held_out, inputs.held_out)
    data.write_classes(classes, inputs.classes)

    def call(*arguments):
        done = subprocess.run([ocelli, *map(str, arguments), "--preprocess", preprocess, "--json"], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout.splitlines()[-1])

    call("quantize", model, "--calibrate", calibration, "--samples", samples, "--effort", effort, "--output", packed)
    found = call("eval", packed, "--float", model, "--data", held_out, "--classes", classes)
    return Score(
        found["float_top1_percent"],
        found["int8_top1_percent"],
        found["difference_standard_error"],
        found["agreement_percent"],
        found["sqnr_db"],
    )
