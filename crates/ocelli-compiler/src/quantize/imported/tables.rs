//! Tables over all 256 int8 values that hold what TFLite's reference kernels compute for operators of one input.

use ocelli_kernels::TfLiteChannel;
use ocelli_kernels::requantize::{multiply_by_quantized_multiplier, rounding_divide_by_power_of_two};

use crate::graph::{Activation, Quantization};
use crate::pack::requantize::tflite_channel;
use crate::quantized::Bounds;

/// `CalculateActivationRangeQuantized`: real bounds as int8 values.
pub(super) fn bounds(min: f32, max: f32, output: Quantization) -> Bounds {
    let zero_point = f32::from(output.zero_point);
    let quantized = |bound: f32| (zero_point + (bound / output.scale).round()).clamp(-128.0, 127.0) as i8;
    [
        if min == f32::NEG_INFINITY { i8::MIN } else { quantized(min) },
        if max == f32::INFINITY { i8::MAX } else { quantized(max) },
    ]
}

/// `QUANTIZE` from int8 to int8.
pub(super) fn requantize(input: Quantization, output: Quantization) -> Box<[i8; 256]> {
    let channel = tflite_channel(f64::from(input.scale) / f64::from(output.scale), 0);
    fill(|value| saturate(rescale(centred(value, input), channel) + i32::from(output.zero_point)))
}

/// An activation that is an operator of its own.
pub(super) fn activation(
    activation: Activation,
    input: Quantization,
    output: Quantization,
) -> Result<Box<[i8; 256]>, String> {
    let zero_point = i32::from(output.zero_point);
    let ratio = tflite_channel(f64::from(input.scale / output.scale), 0);
    Ok(match activation {
        Activation::Clip { min, max } => {
            let [low, high] = bounds(min, max, output);
            fill(|value| saturate(rescale(centred(value, input), ratio) + zero_point).max(low).min(high))
        }
        Activation::LeakyRelu { slope } => {
            let negative = tflite_channel(f64::from(input.scale * slope / output.scale), 0);
            fill(|value| {
                let value = centred(value, input);
                let channel = if value >= 0 { ratio } else { negative };
                saturate(rescale(value, channel) + zero_point)
            })
        }
        Activation::HardSwish => hard_swish(input, output),
        Activation::Sigmoid => in_float(input, output, |x| 1.0 / (1.0 + (-x).exp())),
        Activation::Tanh => in_float(input, output, f32::tanh),
        Activation::Gelu | Activation::GeluTanh => {
            in_float(input, output, |x| activation.apply(f64::from(x)) as f32)
        }
        other => return Err(format!("TFLite has no int8 {}", other.name())),
    })
}

/// `LUTPopulate`: dequantize, apply and quantize in float32.
fn in_float(input: Quantization, output: Quantization, function: impl Fn(f32) -> f32) -> Box<[i8; 256]> {
    let inverse = 1.0 / output.scale;
    fill(|value| {
        let transformed = function(input.scale * centred(value, input) as f32);
        ((transformed * inverse).round() + f32::from(output.zero_point)).clamp(-128.0, 127.0) as i8
    })
}

/// TFLite's 16-bit fixed-point hard-swish.
fn hard_swish(input: Quantization, output: Quantization) -> Box<[i8; 256]> {
    let fine_scale = input.scale * (1.0 / 128.0);
    let narrow = |channel: TfLiteChannel| {
        let multiplier = (i64::from(channel.multiplier) + (1 << 15)) >> 16;
        (multiplier.min(i64::from(i16::MAX)) as i16, channel.shift)
    };
    let (output_multiplier, output_shift) = narrow(tflite_channel(f64::from(fine_scale / output.scale), 0));
    let (gate_multiplier, gate_shift) = narrow(tflite_channel(f64::from(fine_scale / (3.0 / 32768.0)), 0));
    fill(|value| {
        let fine = (centred(value, input) << 7) as i16;
        let before_shift = doubling_high_mul(fine, output_multiplier);
        let mut gate = fine;
        if gate_shift > 0 {
            gate = saturating_shift_left(gate, gate_shift - 1);
        }
        gate = doubling_high_mul(gate, gate_multiplier);
        if gate_shift > 0 {
            gate = saturating_shift_left(gate, 1);
        } else if gate_shift < 0 {
            gate = rounding_divide_by_power_of_two(i32::from(gate), gate_shift.unsigned_abs()) as i16;
        }
        let gate = (i32::from(gate) + (1 << 15)) >> 1;
        let product = gate * i32::from(before_shift) / (1 << 15);
        let shift = (-output_shift).max(0).unsigned_abs();
        saturate(rounding_divide_by_power_of_two(product, shift) + i32::from(output.zero_point))
    })
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul` of 16-bit numbers.
fn doubling_high_mul(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)) as i16
}

fn saturating_shift_left(value: i16, exponent: i32) -> i16 {
    (i64::from(value) << exponent.clamp(0, 31)).clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

fn fill(function: impl Fn(i8) -> i8) -> Box<[i8; 256]> {
    let mut table = Box::new([0; 256]);
    for (entry, value) in table.iter_mut().zip(i8::MIN..=i8::MAX) {
        *entry = function(value);
    }
    table
}

fn centred(value: i8, quantization: Quantization) -> i32 {
    i32::from(value) - i32::from(quantization.zero_point)
}

fn rescale(value: i32, channel: TfLiteChannel) -> i32 {
    multiply_by_quantized_multiplier(value, channel.multiplier, channel.shift)
}

fn saturate(value: i32) -> i8 {
    value.clamp(-128, 127) as i8
}
