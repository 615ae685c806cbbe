//! Maxima and means.

use ocelli_kernels::pool::{AveragePool, average_row_tflite, max_row, mean_tflite};
use ocelli_kernels::{Q32, TfLite, Window};
use proptest::prelude::*;

use crate::maps::{Feature, feature, run_rows, taps, window, zero_point};
use crate::rules::{
    Defined, assert_rounds, mbqm, q32_channel, q32_from_real, tflite, tflite_channel, tflite_from_real,
};

#[derive(Clone, Debug)]
struct Case {
    input: Feature,
    window: Window,
    output: [usize; 2],
}

impl Case {
    /// The values on the map under the window of each output.
    fn windows(&self) -> Vec<Vec<i64>> {
        let mut windows = Vec::new();
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                for channel in 0..self.input.shape[2] {
                    windows.push(
                        taps(&self.window, [y, x])
                            .filter_map(|(_, at_y, at_x)| self.input.at(at_y, at_x, channel))
                            .map(i64::from)
                            .collect(),
                    );
                }
            }
        }
        windows
    }

    fn run(&self, kernel: impl Fn(&ocelli_kernels::Map<'_>, usize, &mut [i8]) -> Option<()>) -> Vec<i8> {
        let [height, width] = self.output;
        run_rows(&self.input, &self.window, [height, width * self.input.shape[2]], kernel)
    }
}

/// Windows of which every output sees at least one value, as every pool that a model holds.
fn case() -> impl Strategy<Value = Case> {
    (feature(1usize..20), window(), [1usize..6, 1usize..6]).prop_map(|(input, mut window, mut output)| {
        window.dilation = [1, 1];
        for axis in 0..2 {
            window.padding[axis] %= window.kernel[axis];
            let starts = input.shape[axis] + usize::from(window.padding[axis]);
            output[axis] = output[axis].min(starts.div_ceil(usize::from(window.stride[axis])));
        }
        Case { input, window, output }
    })
}

/// The nearest integer to `numerator / denominator`, a tie away from zero.
fn round_div(numerator: i64, denominator: i64) -> i64 {
    let magnitude = (2 * numerator.abs() + denominator) / (2 * denominator);
    numerator.signum() * magnitude
}

/// A naive `AveragePool`'s accumulator without the bias.
fn average(case: &Case, values: &[i64], count_include_pad: bool, shift: u32) -> i64 {
    let taps = i64::from(case.window.kernel[0]) * i64::from(case.window.kernel[1]);
    let count = values.len() as i64;
    let sum: i64 = values.iter().map(|value| value - i64::from(case.input.zero_point)).sum();
    let sum = if count_include_pad { sum } else { round_div(sum * taps, count) };
    sum << shift
}

proptest! {
    #[test]
    fn max(case in case(), bounds: [i8; 2]) {
        let bounds = [bounds[0].min(bounds[1]), bounds[0].max(bounds[1])];
        let expected: Vec<i8> = case
            .windows()
            .iter()
            .map(|values| (*values.iter().max().unwrap() as i8).clamp(bounds[0], bounds[1]))
            .collect();
        prop_assert_eq!(case.run(|map, y, row| max_row(&case.window, map, y, row, bounds)), expected);
    }

    #[test]
    fn average_q32(case in case(), count_include_pad: bool, shift in 0u32..16, channel in q32_channel()) {
        let expected: Vec<i8> = case
            .windows()
            .iter()
            .map(|values| Q32.expected(&channel, average(&case, values, count_include_pad, shift)))
            .collect();
        let pool = AveragePool { window: case.window, count_include_pad, shift, channel: &channel };
        prop_assert_eq!(case.run(|map, y, row| pool.row(map, y, row)), expected);
    }

    /// With parameters as `AveragePool` documents them, outputs are the real means rounded.
    #[test]
    fn average_q32_is_the_real_mean_rounded(
        case in case(), count_include_pad: bool, ratio in 0.25f64..4.0, output_zero_point in zero_point(),
    ) {
        let taps = f64::from(case.window.kernel[0]) * f64::from(case.window.kernel[1]);
        let shift = 10;
        let factor = ratio / taps / 1024.0;
        let channel = q32_from_real(factor, output_zero_point);
        let pool = AveragePool { window: case.window, count_include_pad, shift, channel: &channel };
        let found = case.run(|map, y, row| pool.row(map, y, row));
        for (values, found) in case.windows().iter().zip(found) {
            let sum: f64 = values.iter().map(|&value| value as f64 - f64::from(case.input.zero_point)).sum();
            let count = if count_include_pad { taps } else { values.len() as f64 };
            // A sum that was taken to the full number of taps was rounded to an integer.
            let extra = if count == taps { 0.0 } else { ratio / taps };
            assert_rounds(found, sum / count * ratio + f64::from(output_zero_point), factor + extra);
        }
    }

    #[test]
    fn average_tflite(case in case(), rule in tflite()) {
        let expected: Vec<i8> = case
            .windows()
            .iter()
            .map(|values| round_div(values.iter().sum(), values.len() as i64))
            .map(|mean| mean.clamp(i64::from(rule.min), i64::from(rule.max)) as i8)
            .collect();
        let found = case.run(|map, y, row| average_row_tflite(&case.window, map, y, row, &rule));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn mean(input in feature(1usize..20), rule in tflite(), channel in tflite_channel()) {
        let [height, width, channels] = input.shape;
        let expected: Vec<i8> = (0..channels)
            .map(|channel| (0..height * width).map(|at| i64::from(input.values[at * channels + channel])).sum())
            .map(|sum| rule.expected(&channel, sum))
            .collect();
        let mut found = vec![0; channels];
        mean_tflite(&input.whole(), &mut found, &rule, &channel).unwrap();
        prop_assert_eq!(found, expected);
    }

    /// With parameters made as TFLite makes them, the mean is the real one rounded.
    #[test]
    fn mean_is_the_real_mean_rounded(input in feature(1usize..6), ratio in 0.25f64..4.0, output_zero_point in zero_point()) {
        let [height, width, channels] = input.shape;
        let pixels = (height * width) as i32;
        let bias = -pixels * i32::from(input.zero_point);
        let channel = ocelli_kernels::TfLiteChannel { bias, ..tflite_from_real(ratio / f64::from(pixels)) };
        let rule = TfLite { zero_point: output_zero_point.into(), min: -128, max: 127 };
        let mut found = vec![0; channels];
        mean_tflite(&input.whole(), &mut found, &rule, &channel).unwrap();
        for (index, found) in found.into_iter().enumerate() {
            let sum: i32 = (0..height * width).map(|at| i32::from(input.values[at * channels + index])).sum();
            let exact = f64::from(sum + bias) / f64::from(pixels) * ratio + f64::from(output_zero_point);
            // Rounded twice, both times to a whole step.
            let error = (f64::from(found) - exact.clamp(-128.0, 127.0)).abs();
            prop_assert!(error <= 1.0, "{} for {}", found, exact);
            prop_assert_eq!(i64::from(mbqm(sum + bias, channel.multiplier, channel.shift) + rule.zero_point).clamp(-128, 127), i64::from(found));
        }
    }
}
