//! Softmax against the real one.

use ocelli_kernels::softmax::{SoftmaxTfLite, softmax};
use proptest::prelude::*;

use crate::maps::values;
use crate::rules::tflite_from_real;

/// Softmax of a pixel in `f64`, at most what int8 holds.
fn real(pixel: &[i8], scale: f64) -> Vec<f64> {
    let largest = pixel.iter().copied().max().unwrap();
    let exponentials: Vec<f64> =
        pixel.iter().map(|&value| ((f64::from(value) - f64::from(largest)) * scale).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| (exponential / sum).min(255.0 / 256.0)).collect()
}

/// The table that `softmax` documents.
fn exponentials(scale: f64) -> [u16; 256] {
    std::array::from_fn(|difference| (32767.0 * (-(difference as f64) * scale).exp()).round() as u16)
}

fn pixels() -> impl Strategy<Value = (Vec<i8>, usize)> {
    (1usize..7, prop_oneof![1usize..13, 250usize..260])
        .prop_flat_map(|(pixels, channels)| (values(pixels * channels), Just(channels)))
}

/// TFLite's preparation for int8, as `tests/golden/README.md` has it.
fn tflite(scale: f64) -> SoftmaxTfLite {
    let channel = tflite_from_real((scale * f64::from(1 << 26)).min(2_147_483_647.0));
    let smallest_difference = -(31.0 * f64::from(1 << 26) / f64::from(channel.shift).exp2()).floor() as i32;
    SoftmaxTfLite { multiplier: channel.multiplier, shift: channel.shift, smallest_difference }
}

proptest! {
    #[test]
    fn q32_is_the_real_softmax_rounded((data, channels) in pixels(), scale in 0.001f64..1.0) {
        let mut found = data.clone();
        softmax(&mut found, channels, &exponentials(scale)).unwrap();
        for (pixel, found) in data.chunks_exact(channels).zip(found.chunks_exact(channels)) {
            for (exact, &found) in real(pixel, scale).into_iter().zip(found) {
                let error = ((f64::from(found) + 128.0) / 256.0 - exact).abs();
                // Half a step, and half a unit of the table for this value and for each in the sum.
                let bound = 0.5 / 256.0 + (1.0 + channels as f64 * exact) * 0.5 / 32767.0;
                prop_assert!(error <= bound + 1e-9, "{} for {}", found, exact);
            }
        }
    }

    #[test]
    fn q32_is_its_formula((data, channels) in pixels(), table in proptest::collection::vec(1u16.., 256)) {
        let table: [u16; 256] = table.try_into().unwrap();
        let mut found = data.clone();
        softmax(&mut found, channels, &table).unwrap();
        for (pixel, found) in data.chunks_exact(channels).zip(found.chunks_exact(channels)) {
            let largest = i32::from(pixel.iter().copied().max().unwrap());
            let e = |value: i8| u64::from(table[usize::try_from(largest - i32::from(value)).unwrap()]);
            let sum: u64 = pixel.iter().map(|&value| e(value)).sum();
            for (&value, &found) in pixel.iter().zip(found) {
                let share = (256 * e(value) + sum / 2) / sum;
                prop_assert_eq!(i64::from(found), (share as i64 - 128).min(127));
            }
        }
    }

    #[test]
    fn tflite_is_within_a_step_of_the_real_softmax((data, channels) in pixels(), scale in 0.001f64..1.0) {
        let mut found = data.clone();
        tflite(scale).apply(&mut found, channels).unwrap();
        for (pixel, found) in data.chunks_exact(channels).zip(found.chunks_exact(channels)) {
            for (exact, &found) in real(pixel, scale).into_iter().zip(found) {
                let error = ((f64::from(found) + 128.0) / 256.0 - exact).abs();
                prop_assert!(error <= 1.0 / 256.0, "{} for {}", found, exact);
            }
        }
    }

    #[test]
    fn any_parameters_give_values((data, channels) in pixels(), multiplier: i32, shift: i32, smallest_difference: i32, table: [u8; 32]) {
        let mut found = data.clone();
        let kernel = SoftmaxTfLite { multiplier, shift, smallest_difference };
        prop_assert_eq!(kernel.apply(&mut found, channels), Some(()));
        let table = std::array::from_fn(|index| u16::from(table[index % 32]) * 257);
        softmax(&mut found, channels, &table);
    }
}

#[test]
fn a_table_of_zeros_and_no_channels_are_refused() {
    assert_eq!(softmax(&mut [1, 2, 3], 3, &[0; 256]), None);
    assert_eq!(softmax(&mut [1, 2, 3], 0, &[1; 256]), None);
    assert_eq!(tflite(0.1).apply(&mut [1, 2, 3], 0), None);
}
