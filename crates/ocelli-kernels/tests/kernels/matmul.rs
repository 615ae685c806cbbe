//! Products of two maps against naive loops.

use std::fmt::Debug;

use ocelli_kernels::matmul::MatMul;
use ocelli_kernels::{Q32, Q32Channel};
use proptest::prelude::*;

use crate::maps::{Feature, values, zero_point};
use crate::rules::{Defined, assert_rounds, q32_channel, q32_from_real};

fn run<R: Defined + Copy + Debug>(kernel: &MatMul<'_, R>, first: &Feature, second: &Feature) -> Vec<i8> {
    let columns = second.shape[if kernel.transpose_second { 1 } else { 2 }];
    let length = first.shape[1] * columns;
    let mut output = vec![0; first.shape[0] * length];
    for (y, row) in output.chunks_exact_mut(length).enumerate() {
        kernel.row(&first.whole(), &second.whole(), y, row).expect("the shapes fit");
    }
    output
}

/// The sums of products without bias, in the order of the output.
fn sums(transpose_second: bool, first: &Feature, second: &Feature) -> Vec<i64> {
    let [height, rows, inner] = first.shape;
    let columns = second.shape[if transpose_second { 1 } else { 2 }];
    let centered = |feature: &Feature, y: usize, x: usize, channel: usize| {
        i64::from(feature.at(y as i64, x as i64, channel).unwrap()) - i64::from(feature.zero_point)
    };
    let mut output = Vec::new();
    for y in 0..height {
        let y_of_second = if second.shape[0] == 1 { 0 } else { y };
        for row in 0..rows {
            for column in 0..columns {
                let product = |at: usize| {
                    let [x, channel] = if transpose_second { [column, at] } else { [at, column] };
                    centered(first, y, row, at) * centered(second, y_of_second, x, channel)
                };
                output.push((0..inner).map(product).sum());
            }
        }
    }
    output
}

/// Two maps that fit together.
fn maps() -> impl Strategy<Value = (bool, Feature, Feature)> {
    let inner = prop_oneof![1usize..20, Just(256usize)];
    (any::<[bool; 2]>(), [1usize..4, 1usize..8, 1usize..15], inner).prop_flat_map(
        |([transpose_second, shared], [height, rows, columns], inner)| {
            let feature =
                |shape: [usize; 3]| {
                    (values(shape.iter().product()), zero_point())
                        .prop_map(move |(values, zero_point)| Feature { values, shape, zero_point })
                };
            let [width, channels] = if transpose_second { [columns, inner] } else { [inner, columns] };
            let second = [if shared { 1 } else { height }, width, channels];
            (Just(transpose_second), feature([height, rows, inner]), feature(second))
        },
    )
}

proptest! {
    #[test]
    fn is_its_formula((transpose_second, first, second) in maps(), channel in q32_channel()) {
        let kernel = MatMul { transpose_second, rule: Q32, channel: &channel };
        let expected: Vec<i8> =
            sums(transpose_second, &first, &second).into_iter().map(|sum| Q32.expected(&channel, sum)).collect();
        prop_assert_eq!(run(&kernel, &first, &second), expected);
    }

    #[test]
    fn is_the_real_product_rounded((transpose_second, first, second) in maps(), factor in 1e-5f64..0.5, output_zero_point in zero_point()) {
        let channel = q32_from_real(factor, output_zero_point);
        let kernel = MatMul { transpose_second, rule: Q32, channel: &channel };
        for (found, sum) in run(&kernel, &first, &second).into_iter().zip(sums(transpose_second, &first, &second)) {
            let exact = sum as f64 * factor + f64::from(output_zero_point);
            // The multiplier is off by half of 2^-32.
            assert_rounds(found, exact, factor + sum.abs() as f64 / 2f64.powi(32));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused((transpose_second, first, second) in maps(), change in 0usize..3) {
        let kernel = MatMul { transpose_second, rule: Q32, channel: &Q32Channel { bias: 0, multiplier: 1 } };
        let columns = second.shape[if transpose_second { 1 } else { 2 }];
        let mut changed = second.whole();
        let mut length = first.shape[1] * columns;
        match change {
            0 => length += 1,
            1 if transpose_second => changed.channels += 1,
            1 => changed.width += 1,
            _ => changed.data = &changed.data[1..],
        }
        let row = |y: usize| kernel.row(&first.whole(), &changed, y, &mut vec![0; length]);
        prop_assert!((0..first.shape[0]).any(|y| row(y).is_none()));
    }
}
