//! The model of the golden file: every operator once or more.

use ocelli::{Operator, test_bytes};
use ocelli_format::operator::{
    AddQ32Record, AddTfLiteRecord, AveragePoolQ32Record, ConcatRecord, ConvRecord, MeanTfLiteRecord,
    MulQ32Record, MulTfLiteRecord, PReluQ32Record, PReluTfLiteRecord, PadRecord, PoolRecord,
    SoftmaxTfLiteRecord, TableRecord, TransposeRecord,
};
use ocelli_format::{Metadata, PreprocessingTables};
use ocelli_kernels::{Q32Channel, TfLiteChannel, Window};

use crate::network::{Network, run};

const RESERVED: [u8; 2] = [0; 2];

pub fn window(kernel: [u16; 2], stride: u16, dilation: u16, padding: u16) -> Window {
    Window { kernel, stride: [stride; 2], dilation: [dilation; 2], padding: [padding; 2] }
}

pub fn bytes(seed: u32, length: usize) -> Vec<i8> {
    test_bytes(seed).take(length).collect()
}

fn q32(outputs: usize, factor: f64) -> Vec<Q32Channel> {
    (0..outputs)
        .map(|channel| Q32Channel {
            bias: 700 - 450 * channel as i32,
            multiplier: (factor * 4_294_967_296.0) as i32 + channel as i32,
        })
        .collect()
}

fn tflite(outputs: usize, shift: i32) -> Vec<TfLiteChannel> {
    (0..outputs)
        .map(|channel| TfLiteChannel {
            bias: 300 - 170 * channel as i32,
            multiplier: 0x5a3c_7e19 + channel as i32,
            shift,
        })
        .collect()
}

/// A record of a convolution and its parameters among the weights.
fn conv<T: zerocopy::IntoBytes + zerocopy::Immutable>(
    network: &mut Network,
    seed: u32,
    window: Window,
    groups: u16,
    weights: usize,
    channels: &[T],
) -> ConvRecord {
    let weights = network.writer.weights(bytes(seed, weights).as_slice());
    let channels = network.writer.weights(channels);
    ConvRecord { window, groups, min: -120, max: 110, weights, channels }
}

/// The file, with the self-test that the engine gives.
pub fn file() -> Vec<u8> {
    const SEED: u32 = 20_240_229;
    let (network, input, output) = build();
    let mut metadata = Metadata {
        name: "every operator".into(),
        labels: (0..24).map(|index| format!("class {index}")).collect(),
        preprocessing: Some(PreprocessingTables {
            bgr: true,
            tables: [3u8, 5, 7]
                .map(|factor| std::array::from_fn(|value| (value as u8).wrapping_mul(factor) as i8))
                .to_vec(),
        }),
        self_test: None,
        macs: 12_345,
    };
    let answer = run(&network.file(input, output, &metadata), &bytes(SEED, 6 * 5 * 3)).unwrap();
    metadata.self_test = Some((SEED, answer));
    network.file(input, output, &metadata)
}

fn build() -> (Network, u16, u16) {
    let mut network = Network::default();
    let input = network.tensor([6, 5, 3], 0.02, -128);
    let features = first_half(&mut network, input);
    let output = second_half(&mut network, features);
    (network, input, output)
}

/// The operators of the `Q32` rule and those that move values.
fn first_half(network: &mut Network, input: u16) -> u16 {
    let conv1 = network.tensor([6, 5, 4], 0.05, -3);
    let record = conv(network, 1, window([3, 3], 1, 1, 1), 1, 4 * 9 * 3, &q32(4, 0.003));
    network.writer.step(Operator::Conv2dQ32, &[input], conv1, &record);

    let depthwise = network.tensor([3, 3, 4], 0.05, 7);
    let record = conv(network, 2, window([3, 3], 2, 1, 1), 1, 9 * 4, &q32(4, 0.006));
    network.writer.step(Operator::DepthwiseConv2dQ32, &[conv1], depthwise, &record);

    let constant = network.constant([1, 1, 4], 0.04, 2, &[-100, -1, 30, 127]);
    let sum = network.in_place(depthwise, 0.06, 0);
    let record = AddQ32Record { multipliers: [13_653, 10_923], bias: -80_000, shift: 14 };
    network.writer.step(Operator::AddQ32, &[depthwise, constant], sum, &record);

    let prelu = network.in_place(sum, 0.06, -20);
    let halves = [(0.004, -5), (0.000_1, -9)].map(|(factor, bias)| Q32Channel {
        bias: bias * 1000,
        multiplier: (factor * 4_294_967_296.0) as i32,
    });
    let slopes = network.writer.weights(&[-40i8, 0, 25, 90][..]);
    let record = PReluQ32Record { halves, slopes, slope_zero_point: 3 };
    network.writer.step(Operator::PReluQ32, &[sum], prelu, &record);

    let max = network.tensor([2, 2, 4], 0.06, -20);
    let record = PoolRecord { window: window([2, 2], 1, 1, 0), min: -100, max: 127, reserved: RESERVED };
    network.writer.step(Operator::MaxPool, &[prelu], max, &record);

    let average = network.tensor([2, 2, 4], 0.05, -10);
    let record = AveragePoolQ32Record {
        window: window([3, 3], 2, 1, 1),
        channel: Q32Channel { bias: -40_000, multiplier: 570_000 },
        shift: 10,
        count_include_pad: 0,
        reserved: RESERVED,
    };
    network.writer.step(Operator::AveragePoolQ32, &[prelu], average, &record);

    let product = network.tensor([2, 2, 4], 0.03, 4);
    let record = MulQ32Record { channel: Q32Channel { bias: 60, multiplier: 85_899_346 } };
    network.writer.step(Operator::MulQ32, &[max, average], product, &record);

    let concat = network.tensor([2, 2, 12], 0.06, -20);
    let record = ConcatRecord { axis: 2, reserved: [0; 3] };
    network.writer.step(Operator::Concat, &[max, average, product], concat, &record);

    let padded = network.tensor([3, 4, 12], 0.06, -20);
    let record = PadRecord { top: 1, left: 1, value: -20, reserved: [0; 3] };
    network.writer.step(Operator::Pad, &[concat], padded, &record);

    let transposed = network.tensor([4, 3, 12], 0.06, -20);
    let record = TransposeRecord { order: [1, 0, 2], reserved: 0 };
    network.writer.step(Operator::Transpose, &[padded], transposed, &record);
    transposed
}

/// The operators of the `TfLite` rule, the table and the softmaxes.
fn second_half(network: &mut Network, features: u16) -> u16 {
    let grouped = network.tensor([4, 3, 6], 0.05, -7);
    let record = conv(network, 3, window([1, 1], 1, 1, 0), 2, 6 * 6, &tflite(6, -6));
    network.writer.step(Operator::Conv2dTfLite, &[features], grouped, &record);

    let multiplied = network.tensor([2, 1, 12], 0.05, 11);
    let record = conv(network, 4, window([2, 2], 1, 2, 0), 2, 4 * 12, &tflite(12, -6));
    network.writer.step(Operator::DepthwiseConv2dTfLite, &[grouped], multiplied, &record);

    let sum = network.tensor([2, 1, 12], 0.08, 1);
    let operand = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: 0 };
    let output = TfLiteChannel { bias: 0, multiplier: 0x5000_0000, shift: -18 };
    let record = AddTfLiteRecord { operands: [operand; 2], output, min: -128, max: 127, reserved: RESERVED };
    network.writer.step(Operator::AddTfLite, &[multiplied, multiplied], sum, &record);

    let product = network.in_place(sum, 0.07, -2);
    let channel = TfLiteChannel { bias: 0, multiplier: 0x6000_0000, shift: -5 };
    let record = MulTfLiteRecord { channel, min: -128, max: 127, reserved: RESERVED };
    network.writer.step(Operator::MulTfLite, &[sum, multiplied], product, &record);

    let prelu = network.in_place(product, 0.07, -2);
    let halves = [0, -7].map(|shift| TfLiteChannel { bias: 0, multiplier: 0x7000_0000, shift });
    let slopes = network.writer.weights(bytes(5, 12).as_slice());
    let record = PReluTfLiteRecord { halves, slopes, slope_zero_point: 0 };
    network.writer.step(Operator::PReluTfLite, &[product], prelu, &record);

    let average = network.tensor([1, 1, 12], 0.07, -2);
    let record = PoolRecord { window: window([2, 1], 1, 1, 0), min: -128, max: 127, reserved: RESERVED };
    network.writer.step(Operator::AveragePoolTfLite, &[prelu], average, &record);

    let mean = network.tensor([1, 1, 12], 0.07, 5);
    let channel = TfLiteChannel { bias: -22, multiplier: 0x4000_0000, shift: 0 };
    network.writer.step(Operator::MeanTfLite, &[multiplied], mean, &MeanTfLiteRecord { channel });

    let connected = network.tensor([1, 1, 12], 0.1, 0);
    let record = conv(network, 6, window([1, 1], 1, 1, 0), 1, 12 * 12, &tflite(12, -6));
    network.writer.step(Operator::FullyConnectedTfLite, &[mean], connected, &record);

    let stacked = network.tensor([2, 1, 12], 0.1, 0);
    let record = ConcatRecord { axis: 0, reserved: [0; 3] };
    network.writer.step(Operator::Concat, &[average, connected], stacked, &record);

    let squared = network.in_place(stacked, 0.02, 0);
    let function: [i8; 256] = std::array::from_fn(|index| (index as i32 * index as i32 / 512 - 64) as i8);
    let table = network.writer.weights(&function);
    network.writer.step(Operator::Table, &[stacked], squared, &TableRecord { table });

    let shares = network.in_place(squared, 1.0 / 256.0, -128);
    let record = SoftmaxTfLiteRecord { multiplier: 0x51eb_851f, shift: 21, smallest_difference: -992 };
    network.writer.step(Operator::SoftmaxTfLite, &[squared], shares, &record);

    let output = network.tensor([2, 1, 12], 1.0 / 256.0, -128);
    let exponentials: [u16; 256] =
        std::array::from_fn(|difference| (32767.0 * (-0.05 * difference as f64).exp()).round() as u16);
    let table = network.writer.weights(&exponentials);
    network.writer.step(Operator::SoftmaxQ32, &[shares], output, &TableRecord { table });
    output
}
