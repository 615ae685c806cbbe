"""TFLite's integer arithmetic in numpy (int64 arrays that hold int32 or int16 values)."""

import math

import numpy as np


def wrap32(x):
    return (np.asarray(x, np.int64) + 2**31) % 2**32 - 2**31


def divide_toward_zero(a, b):
    a = np.asarray(a, np.int64)
    return np.sign(a) * (np.abs(a) // b)


def doubling_high_mul(a, b, bits=32):
    """gemmlowp `SaturatingRoundingDoublingHighMul` of `bits`-bit values: a tie goes up (towards +infinity)."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    half = 1 << (bits - 2)
    result = divide_toward_zero(product + np.where(product >= 0, half, 1 - half), 1 << (bits - 1))
    return np.minimum(result, 2 ** (bits - 1) - 1)


def rounding_divide_by_pot(x, exponent):
    """gemmlowp `RoundingDivideByPOT`: x / 2^exponent to nearest, a tie away from zero."""
    x = np.asarray(x, np.int64)
    mask = (1 << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def saturating_shift_left(x, exponent, bits=32):
    limit = 2 ** (bits - 1)
    return np.clip(np.asarray(x, np.int64) << exponent, -limit, limit - 1)


def round_half_away(x):
    """`std::round` of one number."""
    return math.copysign(math.floor(abs(x) + 0.5), x)


def quantize_multiplier(real):
    """`QuantizeMultiplier`: (m, shift) with real ~ m * 2^(shift - 31), |m| in [2^30, 2^31)."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = int(round_half_away(fraction * 2**31))
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def multiply_double_rounding(x, multiplier, shift):
    """`MultiplyByQuantizedMultiplier` built without TFLITE_SINGLE_ROUNDING."""
    shifted = wrap32(np.asarray(x, np.int64) << max(shift, 0))
    return rounding_divide_by_pot(doubling_high_mul(shifted, multiplier), max(-shift, 0))


def multiply_single_rounding(x, multiplier, shift):
    """`MultiplyByQuantizedMultiplier` built with TFLITE_SINGLE_ROUNDING."""
    total = 31 - shift
    return (np.asarray(x, np.int64) * multiplier + (1 << (total - 1))) >> total


def exp_on_negative_values(a):
    """gemmlowp `exp_on_negative_values`: `a` <= 0 with 26 fractional bits; the result has 31."""
    a = np.asarray(a, np.int64)
    quarter = 1 << 24
    reduced = (a & (quarter - 1)) - quarter
    x = saturating_shift_left(reduced, 5) + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(doubling_high_mul(x2, x2), 2)
    tail = rounding_divide_by_pot(doubling_high_mul(x4_over_4 + x3, 715827883) + x2, 1)
    result = 1895147668 + doubling_high_mul(1895147668, x + tail)
    remainder = reduced - a
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors, start=24):
        result = np.where(remainder >> bit & 1, doubling_high_mul(result, factor), result)
    return np.where(a == 0, 2**31 - 1, result)


def reciprocal(x, integer_bits):
    """`GetReciprocal` of one positive int32: (1/x with 31 fractional bits, bits over unit)."""
    headroom = 32 - int(x).bit_length()
    a = ((int(x) << headroom) & 0xFFFFFFFF) - 2**31
    half_denominator = (a + 2**31 - 1 + 1) // 2
    estimate = 1515870810 + doubling_high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half_denominator, estimate)
        estimate = estimate + saturating_shift_left(doubling_high_mul(estimate, error), 2)
    return int(saturating_shift_left(estimate, 1)), integer_bits - headroom
