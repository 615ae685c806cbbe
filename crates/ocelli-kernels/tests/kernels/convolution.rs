//! Convolutions, depthwise or not, under both rules.

use ocelli_kernels::conv::Conv2d;
use ocelli_kernels::depthwise::DepthwiseConv2d;
use ocelli_kernels::{Q32, Q32Channel, TfLite, TfLiteFullyConnected, Window};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::maps::{Feature, coordinate, feature, run_rows, taps, values, window, zero_point};
use crate::rules::{Defined, assert_rounds, q32_channel, q32_from_real, tflite, tflite_channel};

#[derive(Clone, Debug)]
struct Case {
    input: Feature,
    window: Window,
    groups: usize,
    outputs: usize,
    weights: Vec<i8>,
    output: [usize; 2],
}

/// `depthwise`: as many groups as input channels.
fn case(depthwise: bool) -> impl Strategy<Value = Case> {
    // Input channels a group, groups, output channels a group.
    let sizes = if depthwise {
        prop_oneof![(Just(1usize), 1usize..20, Just(1usize)), (Just(1), 1usize..6, 1usize..5)].boxed()
    } else {
        prop_oneof![(1usize..18, Just(1usize), 1usize..14), (1usize..6, 1usize..5, 1usize..7)].boxed()
    };
    (sizes, window(), [1usize..5, 1usize..5])
        .prop_flat_map(|((inputs, groups, outputs), window, output)| {
            let outputs = outputs * groups;
            let [height, width] = window.kernel.map(usize::from);
            (
                feature(Just(inputs * groups)),
                values(outputs * height * width * inputs),
                Just((window, groups, outputs, output)),
            )
        })
        .prop_map(|(input, weights, (window, groups, outputs, output))| Case {
            input,
            window,
            groups,
            outputs,
            weights,
            output,
        })
}

impl Case {
    /// `sum(weight * input)` of each output; `weight(output channel, tap, input channel of the group)` finds a weight.
    fn sums(&self, weight: impl Fn(usize, usize, usize) -> i8) -> Vec<i64> {
        let inputs = self.input.shape[2] / self.groups;
        let mut sums = Vec::new();
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                for output in 0..self.outputs {
                    let first = output / (self.outputs / self.groups) * inputs;
                    let mut sum = 0;
                    for (tap, at_y, at_x) in taps(&self.window, [y, x]) {
                        for input in 0..inputs {
                            let value =
                                self.input.at(at_y, at_x, first + input).unwrap_or(self.input.zero_point);
                            sum += i64::from(value) * i64::from(weight(output, tap, input));
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    }

    fn conv_sums(&self) -> Vec<i64> {
        let [height, width] = self.window.kernel.map(usize::from);
        let inputs = self.input.shape[2] / self.groups;
        self.sums(|output, tap, input| self.weights[(output * height * width + tap) * inputs + input])
    }

    fn depthwise_sums(&self) -> Vec<i64> {
        self.sums(|output, tap, _| self.weights[tap * self.outputs + output])
    }

    fn conv<R: Defined>(&self, rule: &R, channels: &[R::Channel]) -> Vec<i8> {
        let kernel = Conv2d { window: self.window, groups: self.groups, weights: &self.weights };
        let [height, width] = self.output;
        run_rows(&self.input, &self.window, [height, width * self.outputs], |map, y, row| {
            kernel.row(map, y, row, rule, channels)
        })
    }

    fn depthwise<R: Defined>(&self, rule: &R, channels: &[R::Channel]) -> Vec<i8> {
        let channel_multiplier = self.outputs / self.groups;
        let kernel = DepthwiseConv2d { window: self.window, channel_multiplier, weights: &self.weights };
        let [height, width] = self.output;
        run_rows(&self.input, &self.window, [height, width * self.outputs], |map, y, row| {
            kernel.row(map, y, row, rule, channels)
        })
    }
}

/// What a rule makes of sums whose innermost axis is the channels.
fn finish<R: Defined>(rule: &R, channels: &[R::Channel], sums: &[i64]) -> Vec<i8> {
    sums.iter().zip(channels.iter().cycle()).map(|(&sum, channel)| rule.expected(channel, sum)).collect()
}

fn with<T: std::fmt::Debug + Clone>(
    case: impl Strategy<Value = Case>,
    channel: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = (Case, Vec<T>)> {
    case.prop_flat_map(move |case| {
        let channels = vec(channel.clone(), case.outputs);
        (Just(case), channels)
    })
}

fn tflite_channels() -> impl Strategy<Value = ocelli_kernels::TfLiteChannel> + Clone {
    std::rc::Rc::new(tflite_channel())
}

fn q32_channels() -> impl Strategy<Value = Q32Channel> + Clone {
    std::rc::Rc::new(q32_channel())
}

proptest! {
    #[test]
    fn conv_q32((case, channels) in with(case(false), q32_channels())) {
        prop_assert_eq!(case.conv(&Q32, &channels), finish(&Q32, &channels, &case.conv_sums()));
    }

    #[test]
    fn conv_tflite((case, channels) in with(case(false), tflite_channels()), rule in tflite()) {
        prop_assert_eq!(case.conv::<TfLite>(&rule, &channels), finish(&rule, &channels, &case.conv_sums()));
        let rule = TfLiteFullyConnected(rule);
        prop_assert_eq!(case.conv(&rule, &channels), finish(&rule, &channels, &case.conv_sums()));
    }

    #[test]
    fn depthwise_q32((case, channels) in with(case(true), q32_channels())) {
        prop_assert_eq!(case.depthwise(&Q32, &channels), finish(&Q32, &channels, &case.depthwise_sums()));
    }

    #[test]
    fn depthwise_tflite((case, channels) in with(case(true), tflite_channels()), rule in tflite()) {
        prop_assert_eq!(case.depthwise::<TfLite>(&rule, &channels), finish(&rule, &channels, &case.depthwise_sums()));
    }

    #[test]
    fn depthwise_is_a_grouped_conv((case, channels) in with(case(true), q32_channels())) {
        let taps = case.weights.len() / case.outputs;
        let transposed = (0..case.weights.len())
            .map(|at| case.weights[at % taps * case.outputs + at / taps])
            .collect();
        let grouped = Case { weights: transposed, ..case.clone() };
        prop_assert_eq!(case.depthwise(&Q32, &channels), grouped.conv(&Q32, &channels));
    }

    /// With parameters as `Q32Channel` documents them, outputs are the real ones rounded.
    #[test]
    fn conv_q32_is_the_real_convolution_rounded(
        case in case(false), factor in 1e-4f64..0.5, output_zero_point in zero_point(), bias in -10_000i32..10_000,
    ) {
        let base = q32_from_real(factor, output_zero_point);
        let weights_of = case.weights.len() / case.outputs;
        let channels: Vec<Q32Channel> = case
            .weights
            .chunks_exact(weights_of)
            .map(|weights| {
                let total: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
                let bias = base.bias + bias - i32::from(case.input.zero_point) * total;
                Q32Channel { bias, multiplier: base.multiplier }
            })
            .collect();
        let [_, width] = case.output;
        for (index, found) in case.conv(&Q32, &channels).into_iter().enumerate() {
            let (pixel, output) = (index / case.outputs, index % case.outputs);
            let at = [pixel / width, pixel % width];
            let exact = real_conv(&case, at, output) + f64::from(bias);
            assert_rounds(found, exact * factor + f64::from(output_zero_point), factor);
        }
    }
}

/// The convolution of `input - zero_point`, which is zero where there is padding.
fn real_conv(case: &Case, [y, x]: [usize; 2], output: usize) -> f64 {
    let [height, width] = case.window.kernel.map(usize::from);
    let inputs = case.input.shape[2] / case.groups;
    let first = output / (case.outputs / case.groups) * inputs;
    let mut sum = 0.0;
    for tap_y in 0..height {
        for tap_x in 0..width {
            let (at_y, at_x) = (coordinate(&case.window, 0, y, tap_y), coordinate(&case.window, 1, x, tap_x));
            for input in 0..inputs {
                let Some(value) = case.input.at(at_y, at_x, first + input) else { continue };
                let weight = case.weights[((output * height + tap_y) * width + tap_x) * inputs + input];
                sum += f64::from(weight) * (f64::from(value) - f64::from(case.input.zero_point));
            }
        }
    }
    sum
}
