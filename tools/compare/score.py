"""How far the outputs of an int8 network are from the float network's, by the definitions of `ocelli eval`."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Score:
    """Percentages; the standard error is of the paired difference int8 - float; SQNR in decibels."""

    float_percent: float
    int8_percent: float
    standard_error: float
    agreement_percent: float
    sqnr_db: float


def score(reference, outputs, classes):
    """Scores `outputs` against `reference`, both (N, classes)."""
    reference, outputs = (values.reshape(len(classes), -1).astype(np.float64) for values in (reference, outputs))
    named_float, named_int8 = reference.argmax(1), outputs.argmax(1)
    right_float, right_int8 = named_float == classes, named_int8 == classes
    difference = right_int8.mean() - right_float.mean()
    differing = (right_float != right_int8).mean()
    error = outputs - reference
    signal = ((reference - reference.mean(1, keepdims=True)) ** 2).sum()
    noise = ((error - error.mean(1, keepdims=True)) ** 2).sum()
    return Score(
        100 * right_float.mean(),
        100 * right_int8.mean(),
        100 * np.sqrt(max(differing - difference**2, 0) / len(classes)),
        100 * (named_float == named_int8).mean(),
        float(10 * np.log10(signal / noise)) if noise > 0 else float("inf"),
    )
