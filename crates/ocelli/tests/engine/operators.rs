//! What the engine makes of each operator's record: zero points, bounds, places and broadcasts. The arithmetic itself is tested with the
//! kernels.

use ocelli::{EngineError, Operator};
use ocelli_format::Metadata;
use ocelli_format::operator::{
    AddQ32Record, AveragePoolQ32Record, ChannelTablesRecord, ConcatRecord, ConvRecord, MeanTfLiteRecord,
    MulQ32Record, MulTfLiteRecord, PReluQ32Record, PadRecord, PoolRecord, TableRecord, TransposeRecord,
};
use ocelli_kernels::{Q32Channel, TfLiteChannel, Window};

use crate::network::{Network, Shape, run};
use crate::sample::{bytes, window};

/// A quarter under each rule.
const QUARTER_Q32: Q32Channel = Q32Channel { bias: 0, multiplier: 1 << 30 };
const QUARTER_TFLITE: TfLiteChannel = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: -1 };

/// `round(value / 4)`, a tie rounds up.
fn quarter(value: i32) -> i8 {
    (value + 2).div_euclid(4).clamp(-128, 127) as i8
}

/// A table that adds one, and its record.
fn increment(network: &mut Network) -> TableRecord {
    let table: [i8; 256] = std::array::from_fn(|index| (index as i32 - 127).min(127) as i8);
    TableRecord { table: network.writer.weights(&table) }
}

#[test]
fn in_place_and_on_a_copy_are_the_same() {
    let values = bytes(1, 24);
    for in_place in [true, false] {
        let mut network = Network::default();
        let input = network.tensor([2, 3, 4], 1.0, 0);
        let second = network.constant([1, 1, 4], 1.0, 3, &[-9, 0, 8, 70]);
        let output =
            if in_place { network.in_place(input, 1.0, 0) } else { network.tensor([2, 3, 4], 1.0, 0) };
        network.writer.step(
            Operator::MulQ32,
            &[input, second],
            output,
            &MulQ32Record { channel: QUARTER_Q32 },
        );
        let factors = [-12, -3, 5, 67];
        let expected: Vec<i8> =
            values.iter().enumerate().map(|(at, &x)| quarter(i32::from(x) * factors[at % 4])).collect();
        assert_eq!(network.run(input, output, &values), expected);
    }
}

#[test]
fn second_operands_are_broadcast_and_zero_points_taken_off() {
    let values = bytes(2, 12);
    for (shape, length) in [([2, 2, 3], 12), ([1, 1, 3], 3), ([1, 1, 1], 1)] {
        let second = bytes(3, length);
        let mut network = Network::default();
        let input = network.tensor([2, 2, 3], 1.0, -7);
        let constant = network.constant(shape, 1.0, 11, &second);
        let output = network.in_place(input, 1.0, 2);
        let record = MulTfLiteRecord { channel: QUARTER_TFLITE, min: -20, max: 30, reserved: [0; 2] };
        network.writer.step(Operator::MulTfLite, &[input, constant], output, &record);
        let found = network.run(input, output, &values);
        for (at, found) in found.into_iter().enumerate() {
            let product = (i32::from(values[at]) + 7) * (i32::from(second[at % length]) - 11);
            let exact = f64::from(product) / 4.0 + 2.0;
            assert!((f64::from(found) - exact.clamp(-20.0, 30.0)).abs() <= 0.5, "{found} for {exact}");
        }
    }
}

#[test]
fn a_constant_may_be_the_first_operand() {
    let constant = bytes(4, 6);
    let values = bytes(5, 6);
    let mut network = Network::default();
    // At the same offset as the constant, though in other memory.
    let output = network.tensor([1, 2, 3], 1.0, 0);
    let input = network.tensor([1, 2, 3], 1.0, 0);
    let first = network.constant([1, 2, 3], 1.0, 0, &constant);
    let record = AddQ32Record { multipliers: [2, -1], bias: 1, shift: 1 };
    network.writer.step(Operator::AddQ32, &[first, input], output, &record);
    let expected: Vec<i8> = constant
        .iter()
        .zip(&values)
        .map(|(&a, &b)| ((2 * i32::from(a) - i32::from(b) + 1) >> 1).clamp(-128, 127) as i8)
        .collect();
    assert_eq!(network.run(input, output, &values), expected);
}

#[test]
fn padding_of_convolutions_is_the_zero_point() {
    for operator in [Operator::Conv2dQ32, Operator::DepthwiseConv2dQ32] {
        let mut network = Network::default();
        let input = network.tensor([1, 1, 1], 1.0, 100);
        let output = network.tensor([3, 3, 1], 1.0, 0);
        let weights = network.writer.weights(&[1i8, 2, 3, 4, 5, 6, 7, 8, 9]);
        let bias = -100 * 45;
        let channels = network.writer.weights(&[Q32Channel { bias, ..QUARTER_Q32 }]);
        let record =
            ConvRecord { window: window([3, 3], 1, 1, 2), groups: 1, min: -128, max: 127, weights, channels };
        network.writer.step(operator, &[input], output, &record);
        // 104 is 4 above the zero point, so that each output is the weight of the one tap on the map.
        assert_eq!(network.run(input, output, &[104]), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }
}

#[test]
fn windows_of_convolutions_may_lie_beside_the_map() {
    let far = window([1, 1], 3, 1, 1);
    let mut network = Network::default();
    let input = network.tensor([1, 1, 1], 1.0, 8);
    let output = network.tensor([2, 2, 1], 1.0, 0);
    let weights = network.writer.weights(&[3i8]);
    let channels = network.writer.weights(&[QUARTER_Q32]);
    let record = ConvRecord { window: far, groups: 1, min: -128, max: 127, weights, channels };
    network.writer.step(Operator::Conv2dQ32, &[input], output, &record);
    assert_eq!(network.run(input, output, &[77]), [6; 4]);
}

#[test]
fn padding_counts_in_means_if_the_record_says_so() {
    for (count_include_pad, expected) in [(0, [8, 8, 8, 8]), (1, [2, 2, 2, 2])] {
        let mut network = Network::default();
        let input = network.tensor([1, 1, 1], 1.0, -4);
        let output = network.tensor([2, 2, 1], 1.0, 0);
        let record = AveragePoolQ32Record {
            window: window([2, 2], 1, 1, 1),
            channel: QUARTER_Q32,
            shift: 0,
            count_include_pad,
            reserved: [0; 2],
        };
        network.writer.step(Operator::AveragePoolQ32, &[input], output, &record);
        assert_eq!(network.run(input, output, &[4]), expected);
    }
}

#[test]
fn leaky_relus_have_a_slope_a_channel() {
    let mut network = Network::default();
    let input = network.tensor([1, 2, 2], 1.0, 1);
    let output = network.in_place(input, 1.0, 0);
    let slopes = network.writer.weights(&[2i8, -6][..]);
    // Products are raised by 8 bits; 2^24 / 2^32 takes them back.
    let one = Q32Channel { bias: 0, multiplier: 1 << 24 };
    let record = PReluQ32Record { halves: [one, one], slopes, slope_zero_point: -1 };
    network.writer.step(Operator::PReluQ32, &[input], output, &record);
    assert_eq!(network.run(input, output, &[5, 5, -5, -5]), [4, 4, -18, 30]);
}

#[test]
fn concatenation_along_each_axis() {
    let shapes: [[Shape; 2]; 3] = [[[1, 2, 3], [2, 2, 3]], [[2, 1, 3], [2, 2, 3]], [[2, 2, 1], [2, 2, 3]]];
    for (axis, [first, second]) in shapes.into_iter().enumerate() {
        let size = |shape: Shape| usize::from(shape[0]) * usize::from(shape[1]) * usize::from(shape[2]);
        let constant: Vec<i8> = (100..100 + size(first) as i8).collect();
        let values: Vec<i8> = (0..size(second) as i8).collect();
        let mut whole = second;
        whole[axis] += first[axis];
        let mut network = Network::default();
        let input = network.tensor(second, 1.0, 0);
        let before = network.constant(first, 1.0, 0, &constant);
        let output = network.tensor(whole, 1.0, 0);
        let record = ConcatRecord { axis: axis as u8, reserved: [0; 3] };
        network.writer.step(Operator::Concat, &[before, input], output, &record);
        // Runs of values that stay together: all after the axis.
        let runs = |shape: Shape| shape[axis..].iter().map(|&size| usize::from(size)).product();
        let expected: Vec<i8> = constant
            .chunks(runs(first))
            .zip(values.chunks(runs(second)))
            .flat_map(|(first, second)| [first, second].concat())
            .collect();
        assert_eq!(network.run(input, output, &values), expected, "axis {axis}");
    }
}

#[test]
fn padding_and_transposing_move_values() {
    let mut network = Network::default();
    let input = network.tensor([2, 1, 2], 1.0, 0);
    let padded = network.tensor([3, 2, 2], 1.0, 0);
    network.writer.step(
        Operator::Pad,
        &[input],
        padded,
        &PadRecord { top: 1, left: 0, value: 9, reserved: [0; 3] },
    );
    let output = network.tensor([2, 3, 2], 1.0, 0);
    let record = TransposeRecord { order: [2, 0, 1], reserved: 0 };
    network.writer.step(Operator::Transpose, &[padded], output, &record);
    // Padded: rows [9 9, 9 9], [1 2, 9 9], [3 4, 9 9]; then channels become rows, rows pixels, pixels channels.
    assert_eq!(network.run(input, output, &[1, 2, 3, 4]), [9, 9, 1, 9, 3, 9, 9, 9, 2, 9, 4, 9]);
}

#[test]
fn a_table_gives_its_value_for_each() {
    let mut network = Network::default();
    let input = network.tensor([1, 2, 3], 1.0, 0);
    let output = network.tensor([1, 2, 3], 1.0, 0);
    let record = increment(&mut network);
    network.writer.step(Operator::Table, &[input], output, &record);
    assert_eq!(network.run(input, output, &[0, 1, 126, 127, -128, -1]), [1, 2, 127, 127, -127, 0]);
}

/// Two tables, for three channels.
fn alternating(network: &mut Network) -> ChannelTablesRecord {
    let (plus_one, minus): (Vec<i8>, Vec<i8>) =
        (-128..=127i8).map(|value| (value.saturating_add(1), value.saturating_neg())).unzip();
    let tables = network.writer.weights([plus_one, minus].concat().as_slice());
    ChannelTablesRecord { tables, channels: network.writer.weights(&[0u8, 1, 0]) }
}

#[test]
fn channels_have_tables_of_their_own() {
    let mut network = Network::default();
    let input = network.tensor([1, 2, 3], 1.0, 0);
    let output = network.tensor([1, 2, 3], 1.0, 0);
    let record = alternating(&mut network);
    network.writer.step(Operator::ChannelTables, &[input], output, &record);
    assert_eq!(network.run(input, output, &[0, 1, 126, 127, -128, -1]), [1, -1, 127, 127, 127, 0]);
}

/// The reason why one step on maps of these shapes is refused.
fn reason<T: zerocopy::IntoBytes + zerocopy::Immutable>(
    operator: Operator,
    [input, output]: [Shape; 2],
    record: impl FnOnce(&mut Network) -> T,
) -> String {
    let mut network = Network::default();
    let input = network.tensor(input, 1.0, 0);
    let output = network.tensor(output, 1.0, 0);
    let record = record(&mut network);
    network.writer.step(operator, &[input], output, &record);
    refused(&network, input, output)
}

fn refused(network: &Network, input: u16, output: u16) -> String {
    match run(&network.file(input, output, &Metadata::default()), &[]) {
        Err(EngineError::Step { step: 0, problem }) => problem.to_string(),
        other => panic!("not refused for its first step: {other:?}"),
    }
}

#[test]
fn steps_whose_tensors_do_not_fit_are_refused_with_the_reason() {
    let square = [2, 2, 3];
    for (found, expected) in [
        (reason(Operator::Table, [[1, 2, 3], [1, 2, 4]], increment), "input and output have different sizes"),
        (
            reason(Operator::MeanTfLite, [square, [2, 1, 3]], |_| MeanTfLiteRecord {
                channel: QUARTER_TFLITE,
            }),
            "its output is not one value a channel",
        ),
        (
            reason(Operator::Concat, [square, [3, 2, 3]], |_| ConcatRecord { axis: 1, reserved: [0; 3] }),
            "an input has another size than the output",
        ),
        (
            reason(Operator::Concat, [square, [2, 3, 3]], |_| ConcatRecord { axis: 1, reserved: [0; 3] }),
            "the inputs do not add up to the output",
        ),
        (
            reason(Operator::Concat, [square, square], |_| ConcatRecord { axis: 3, reserved: [0; 3] }),
            "its axis is none of height, width and channels",
        ),
        (
            reason(Operator::Pad, [square, [3, 3, 4]], |_| PadRecord {
                top: 0,
                left: 0,
                value: 0,
                reserved: [0; 3],
            }),
            "the padded input does not fit the output",
        ),
        (
            reason(Operator::Pad, [square, [3, 3, 3]], |_| PadRecord {
                top: 2,
                left: 0,
                value: 0,
                reserved: [0; 3],
            }),
            "the padded input does not fit the output",
        ),
        (
            reason(Operator::Transpose, [square, square], |_| TransposeRecord {
                order: [1, 1, 2],
                reserved: 0,
            }),
            "its order names an axis twice",
        ),
        (
            reason(Operator::Transpose, [square, square], |_| TransposeRecord {
                order: [2, 1, 0],
                reserved: 0,
            }),
            "the output's sizes are not the input's in another order",
        ),
        (
            reason(Operator::MaxPool, [square, square], increment),
            "its parameters have another length than its operator takes",
        ),
        (
            reason(Operator::SoftmaxQ32, [square, square], |network| TableRecord {
                table: network.writer.weights(&[0u16; 256]),
            }),
            "exp(0) is 0 in its table",
        ),
        (
            reason(Operator::Table, [square, square], |_| TableRecord { table: 1 << 20 }),
            "parameters lie outside the weights",
        ),
        (
            reason(Operator::ChannelTables, [square, square], |network| ChannelTablesRecord {
                tables: network.writer.weights(&[0i8; 256]),
                channels: network.writer.weights(&[0u8, 200, 0]),
            }),
            "parameters lie outside the weights",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn windows_that_are_not_possible_are_refused() {
    let pool = |window: Window| {
        reason(Operator::MaxPool, [[2, 2, 3], [2, 2, 3]], |_| PoolRecord {
            window,
            min: 0,
            max: 0,
            reserved: [0; 2],
        })
    };
    assert_eq!(pool(window([0, 1], 1, 1, 0)), "kernel, stride and dilation must be at least 1");
    assert_eq!(pool(window([1, 1], 0, 1, 0)), "kernel, stride and dilation must be at least 1");
    assert_eq!(pool(window([1, 1], 1, 0, 0)), "kernel, stride and dilation must be at least 1");
    assert_eq!(pool(window([2, 2], 1, 2, 0)), "a pooling window has no dilation");
    assert_eq!(pool(window([2, 2], 1, 1, 2)), "a pooling window lies beside the map");
    assert_eq!(pool(window([1, 1], 2, 1, 0)), "a pooling window lies beside the map");
    assert_eq!(pool(window([1025, 1], 1, 1 << 15, 0)), "the window is too far from the map");

    let conv = |groups: u16, parameters: usize| {
        reason(Operator::Conv2dQ32, [[2, 2, 3], [2, 2, 3]], |network| {
            network.writer.weights([QUARTER_Q32; 3].get(..parameters).unwrap());
            ConvRecord { window: window([1, 1], 1, 1, 0), groups, min: 0, max: 0, weights: 0, channels: 0 }
        })
    };
    assert_eq!(conv(0, 3), "its groups do not divide its channels");
    assert_eq!(conv(2, 3), "its groups do not divide its channels");
    assert_eq!(conv(1, 2), "parameters lie outside the weights");
}

#[test]
fn tensors_that_overlap_are_refused() {
    let mut network = Network::default();
    let input = network.tensor([2, 2, 3], 1.0, 0);
    network.writer.step(
        Operator::Transpose,
        &[input],
        input,
        &TransposeRecord { order: [1, 0, 2], reserved: 0 },
    );
    assert_eq!(refused(&network, input, input), "it writes over what it reads");

    let mut network = Network::default();
    let input = network.tensor([2, 2, 3], 1.0, 0);
    let output = network.in_place(input, 1.0, 0);
    network.writer.step(Operator::MulQ32, &[input, input], output, &MulQ32Record { channel: QUARTER_Q32 });
    assert_eq!(refused(&network, input, output), "it writes over what it reads");
}

#[test]
fn numbers_of_inputs_are_checked() {
    for (operator, inputs, expected) in [
        (Operator::Table, 2, "it has another number of inputs than its operator takes"),
        (Operator::Transpose, 0, "it takes one input"),
        (Operator::Concat, 0, "the inputs do not add up to the output"),
    ] {
        let mut network = Network::default();
        let input = network.tensor([2, 2, 3], 1.0, 0);
        let output = network.tensor([2, 2, 3], 1.0, 0);
        network.writer.step(
            operator,
            &vec![input; inputs],
            output,
            &TransposeRecord { order: [0, 1, 2], reserved: 0 },
        );
        assert_eq!(refused(&network, input, output), expected);
    }
}
