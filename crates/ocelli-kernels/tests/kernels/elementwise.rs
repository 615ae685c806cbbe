//! Operations on single elements.

use std::fmt::Debug;

use ocelli_kernels::elementwise::{Add, AddTfLite, Mul, PRelu, channel_tables, table};
use ocelli_kernels::{Q32, Requantize, TfLite, TfLiteChannel};
use proptest::prelude::*;

use crate::maps::{values, zero_point};
use crate::rules::{
    Defined, assert_rounds, mbqm, q32_channel, q32_from_real, tflite, tflite_channel, tflite_from_real,
};

/// First operand, and a second as long, one pixel long, or one value long.
fn operands() -> impl Strategy<Value = (Vec<i8>, Vec<i8>)> {
    (1usize..12, 1usize..10, 0usize..3).prop_flat_map(|(pixels, channels, kind)| {
        let second = [pixels * channels, channels, 1][kind];
        (values(pixels * channels), values(second))
    })
}

/// What `definition` makes of each pair of operands.
fn each(first: &[i8], second: &[i8], definition: impl Fn(i64, i64) -> i8) -> Vec<i8> {
    (0..first.len())
        .map(|at| definition(i64::from(first[at]), i64::from(second[at % second.len()])))
        .collect()
}

fn check_mul<R: Defined + Copy + Debug>(
    [first, second]: [&[i8]; 2],
    zero_points: [i8; 2],
    rule: R,
    channel: &R::Channel,
) -> Result<(), TestCaseError> {
    let expected = each(first, second, |a, b| {
        rule.expected(channel, (a - i64::from(zero_points[0])) * (b - i64::from(zero_points[1])))
    });
    let mut found = first.to_vec();
    let kernel = Mul { zero_points: zero_points.map(i32::from), rule, channel };
    kernel.apply(&mut found, second).unwrap();
    prop_assert_eq!(found, expected);
    Ok(())
}

fn check_prelu<R: Defined + Copy>(
    [data, slopes]: [&[i8]; 2],
    [zero_point, slope_zero_point]: [i8; 2],
    shift: u32,
    rule: R,
    halves: [&R::Channel; 2],
) -> Result<(), TestCaseError> {
    let expected = each(data, slopes, |x, slope| {
        let difference = x - i64::from(zero_point);
        if difference >= 0 {
            rule.expected(halves[0], difference << shift)
        } else {
            rule.expected(halves[1], (difference * (slope - i64::from(slope_zero_point))) << shift)
        }
    });
    let mut found = data.to_vec();
    let zero_point = i32::from(zero_point);
    let slope_zero_point = i32::from(slope_zero_point);
    PRelu { zero_point, slope_zero_point, shift, rule, halves, slopes }.apply(&mut found).unwrap();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The same parameters for a rule's `expected`, which adds the bias itself.
fn without_bias(channel: TfLiteChannel) -> TfLiteChannel {
    TfLiteChannel { bias: 0, ..channel }
}

#[test]
fn each_channel_has_its_table() {
    let tables: [[i8; 256]; 2] = [[3; 256], std::array::from_fn(|index| (index as i32 - 128) as i8)];
    let mut data = [-128, 0, 127, 5, -6, 7];
    assert_eq!(channel_tables(&mut data, &tables, &[1, 0, 1]), Some(()));
    assert_eq!(data, [-128, 3, 127, 5, 3, 7]);
    for (tables, channels) in [(&tables[..1], &[0u8, 1, 0][..]), (&tables, &[0; 4]), (&tables, &[])] {
        assert_eq!(channel_tables(&mut data, tables, channels), None);
    }
}

#[test]
fn table_maps_each_value() {
    let all: Vec<i8> = (-128..=127).collect();
    let function: [i8; 256] = std::array::from_fn(|index| (index as u8).wrapping_mul(37) as i8);
    let mut data = all.clone();
    table(&mut data, &function);
    for (value, found) in all.into_iter().zip(data) {
        assert_eq!(found, function[usize::try_from(i32::from(value) + 128).unwrap()]);
    }
}

proptest! {
    #[test]
    fn add_q32((first, second) in operands(), multipliers: [i16; 2], bias in -(1i32 << 29)..1 << 29, shift in 0u32..31) {
        let expected = each(&first, &second, |a, b| {
            let sum = a * i64::from(multipliers[0]) + b * i64::from(multipliers[1]) + i64::from(bias);
            sum.div_euclid(1 << shift).clamp(-128, 127) as i8
        });
        let mut found = first.clone();
        Add { multipliers: multipliers.map(i32::from), bias, shift }.apply(&mut found, &second).unwrap();
        prop_assert_eq!(found, expected);
    }

    /// With parameters as `Add` documents them, sums are the real ones rounded.
    #[test]
    fn add_q32_is_the_real_sum_rounded(
        (first, second) in operands(), factors in [0.01f64..1.99, 0.01f64..1.99], zero_points in [zero_point(), zero_point(), zero_point()],
    ) {
        let shift = 14;
        let one = f64::from(1 << shift);
        let multipliers = factors.map(|factor| (factor * one).round() as i32);
        let zero_points = zero_points.map(i32::from);
        let bias = (zero_points[2] << shift) + (1 << (shift - 1))
            - zero_points[0] * multipliers[0] - zero_points[1] * multipliers[1];
        let mut found = first.clone();
        Add { multipliers, bias, shift }.apply(&mut found, &second).unwrap();
        for (at, found) in found.into_iter().enumerate() {
            let (a, b) = (i32::from(first[at]) - zero_points[0], i32::from(second[at % second.len()]) - zero_points[1]);
            let exact = f64::from(a) * factors[0] + f64::from(b) * factors[1] + f64::from(zero_points[2]);
            // Two multipliers off by up to 2^-15 of a step, times up to 255.
            assert_rounds(found, exact, 4.0 * 255.0 / 32768.0);
        }
    }

    #[test]
    fn add_tflite(
        (first, second) in operands(), zero_points in [zero_point(), zero_point()], scales in [-31i32..2, -31i32..2],
        multipliers in [1i32 << 30..i32::MAX, 1i32 << 30..i32::MAX], output in tflite_channel(), rule in tflite(),
    ) {
        let operand = |index: usize| TfLiteChannel { bias: 0, multiplier: multipliers[index], shift: scales[index] };
        let operands = [operand(0), operand(1)];
        let output = without_bias(output);
        let raised = |value: i64, index: usize| {
            let raised = ((value - i64::from(zero_points[index])) << 20) as i32;
            mbqm(raised, operands[index].multiplier, operands[index].shift)
        };
        let expected = each(&first, &second, |a, b| {
            rule.expected(&output, i64::from(raised(a, 0).wrapping_add(raised(b, 1))))
        });
        let mut found = first.clone();
        let kernel = AddTfLite { zero_points: zero_points.map(i32::from), operands, output, rule };
        kernel.apply(&mut found, &second).unwrap();
        prop_assert_eq!(found, expected);
    }

    /// With parameters made as TFLite makes them, sums are the real ones rounded, up to the step of 20 bits.
    #[test]
    fn add_tflite_is_the_real_sum_rounded(
        (first, second) in operands(), scales in [0.01f64..1.0, 0.01f64..1.0], output_scale in 0.02f64..2.0,
        zero_points in [zero_point(), zero_point(), zero_point()],
    ) {
        let common = 2.0 * scales[0].max(scales[1]);
        let operands = scales.map(|scale| tflite_from_real(scale / common));
        let output = tflite_from_real(common / (f64::from(1 << AddTfLite::LEFT_SHIFT) * output_scale));
        let rule = TfLite { zero_point: zero_points[2].into(), min: -128, max: 127 };
        let operand_zero_points = [i32::from(zero_points[0]), i32::from(zero_points[1])];
        let mut found = first.clone();
        AddTfLite { zero_points: operand_zero_points, operands, output, rule }.apply(&mut found, &second).unwrap();
        for (at, found) in found.into_iter().enumerate() {
            let a = f64::from(i32::from(first[at]) - operand_zero_points[0]) * scales[0];
            let b = f64::from(i32::from(second[at % second.len()]) - operand_zero_points[1]) * scales[1];
            let exact = (a + b) / output_scale + f64::from(zero_points[2]);
            let error = (f64::from(found) - exact.clamp(-128.0, 127.0)).abs();
            prop_assert!(error <= 1.0, "{} for {}", found, exact);
        }
    }

    #[test]
    fn mul_q32((first, second) in operands(), zero_points in [zero_point(), zero_point()], channel in q32_channel()) {
        check_mul([&first, &second], zero_points, Q32, &channel)?;
    }

    #[test]
    fn mul_tflite(
        (first, second) in operands(), zero_points in [zero_point(), zero_point()], channel in tflite_channel(), rule in tflite(),
    ) {
        check_mul([&first, &second], zero_points, rule, &channel)?;
    }

    #[test]
    fn mul_q32_is_the_real_product_rounded(
        (first, second) in operands(), zero_points in [zero_point(), zero_point()], factor in 1e-4f64..0.5, output_zero_point in zero_point(),
    ) {
        let channel = q32_from_real(factor, output_zero_point);
        let mut found = first.clone();
        Mul { zero_points: zero_points.map(i32::from), rule: Q32, channel: &channel }.apply(&mut found, &second).unwrap();
        for (at, found) in found.into_iter().enumerate() {
            let a = f64::from(first[at]) - f64::from(zero_points[0]);
            let b = f64::from(second[at % second.len()]) - f64::from(zero_points[1]);
            assert_rounds(found, a * b * factor + f64::from(output_zero_point), factor);
        }
    }

    #[test]
    fn prelu_q32((data, slopes) in operands(), zero_points in [zero_point(), zero_point()], shift in 0u32..9, halves in [q32_channel(), q32_channel()]) {
        check_prelu([&data, &slopes], zero_points, shift, Q32, [&halves[0], &halves[1]])?;
    }

    #[test]
    fn prelu_tflite((data, slopes) in operands(), zero_points in [zero_point(), zero_point()], halves in [tflite_channel(), tflite_channel()], rule in tflite()) {
        check_prelu([&data, &slopes], zero_points, 0, rule, [&halves[0], &halves[1]])?;
    }

    #[test]
    fn prelu_q32_is_the_real_function_rounded(
        (data, slopes) in operands(), input_zero_point in zero_point(), ratio in 0.05f64..100.0, slope_scale in 0.0005f64..0.01, output_zero_point in zero_point(),
    ) {
        let factors = [ratio / 256.0, ratio * slope_scale / 256.0];
        let halves = factors.map(|factor| q32_from_real(factor, output_zero_point));
        let kernel = PRelu {
            zero_point: i32::from(input_zero_point), slope_zero_point: 0, shift: 8, rule: Q32, halves: [&halves[0], &halves[1]], slopes: &slopes,
        };
        let mut found = data.clone();
        kernel.apply(&mut found).unwrap();
        for (at, found) in found.into_iter().enumerate() {
            let difference = f64::from(data[at]) - f64::from(input_zero_point);
            let slope = if difference >= 0.0 { 1.0 } else { f64::from(slopes[at % slopes.len()]) * slope_scale };
            let factor = if difference >= 0.0 { factors[0] } else { factors[1] };
            assert_rounds(found, difference * slope * ratio + f64::from(output_zero_point), factor);
        }
    }

    #[test]
    fn a_second_operand_that_does_not_divide_the_first_is_refused(
        data in values(12), length in proptest::sample::select(vec![0usize, 5, 7, 8, 9, 10, 11, 13, 24]),
    ) {
        let second = vec![1; length];
        let mut found = data.clone();
        prop_assert_eq!(Add { multipliers: [1, 1], bias: 0, shift: 0 }.apply(&mut found, &second), None);
        let channel = ocelli_kernels::Q32Channel { bias: Q32::bias(&q32_from_real(0.25, 0)), multiplier: 1 };
        prop_assert_eq!(Mul { zero_points: [0, 0], rule: Q32, channel: &channel }.apply(&mut found, &second), None);
        prop_assert_eq!(found, data);
    }
}
