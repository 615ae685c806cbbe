//! Sums of two operands.
#![allow(unsafe_code)]

use super::{asm, quad};
use crate::TfLiteChannel;
use crate::arch::{Arch, Portable};
use crate::elementwise::{Add, AddTfLite};

/// A signed number as an argument.
fn word(value: i32) -> usize {
    value.cast_unsigned() as usize
}

/// Pixels of `data` when `other` is one; `None` where there is none, or no whole number, or they are short.
fn pixels(data: &[i8], other: &[i8]) -> Option<usize> {
    let pixels = data.len().checked_div(other.len())?;
    let long = pixels == 1 || other.len() >= 8;
    (pixels != 0 && long && pixels.checked_mul(other.len())? == data.len()).then_some(pixels)
}

/// [`Add::apply`].
pub fn add(add: &Add, data: &mut [i8], other: &[i8]) -> Option<()> {
    let short = add.multipliers.iter().all(|&multiplier| i16::try_from(multiplier).is_ok());
    let Some(pixels) = pixels(data, other).filter(|_| short) else { return add.apply(data, other) };
    let [first, second] = add.multipliers.map(word);
    let shift = word(-((add.shift & 31) as i32));
    let arguments = [
        data.as_mut_ptr() as usize,
        other.len(),
        other.as_ptr() as usize,
        pixels,
        first,
        second,
        word(add.bias),
        shift,
    ];
    // SAFETY: `data` holds `pixels` times the values of `other`.
    unsafe { asm::add(arguments.as_ptr()) }
    Some(())
}

/// Whether a division by 2^-shift rounds, and the shift.
fn division(channel: &TfLiteChannel) -> [usize; 2] {
    [usize::from(channel.shift < 0), word(channel.shift)]
}

/// [`AddTfLite::apply`].
pub fn add_tflite(add: &AddTfLite, data: &mut [i8], other: &[i8]) -> Option<()> {
    let [first, second] = &add.operands;
    let right = [first, second, &add.output].iter().all(|channel| (-31..=0).contains(&channel.shift));
    let Some(pixels) = pixels(data, other).filter(|_| right) else {
        return Portable::add_tflite(add, data, other);
    };
    let [[f0, n0], [f1, n1], [f, n]] = [first, second, &add.output].map(division);
    let zeros = add.zero_points.map(|zero_point| word(zero_point.wrapping_shl(AddTfLite::LEFT_SHIFT)));
    let arguments = [
        data.as_mut_ptr() as usize,
        other.len(),
        other.as_ptr() as usize,
        pixels,
        f0,
        n0,
        f1,
        n1,
        word(add.output.multiplier),
        f,
        n,
        word(add.rule.zero_point),
        zeros[0],
        zeros[1],
        word(first.multiplier),
        word(second.multiplier),
    ];
    // SAFETY: `data` holds `pixels` times the values of `other`.
    unsafe { asm::add_tflite(arguments.as_ptr()) }
    quad::clamp(&add.rule, data);
    Some(())
}
