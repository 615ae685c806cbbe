//! What the engine makes of the records of attention, norms, products and slices, and what it refuses. The arithmetic itself is tested
//! with the kernels.

use ocelli::{EngineError, Operator};
use ocelli_format::Metadata;
use ocelli_format::operator::{
    AttentionQ32Record, MatMulQ32Record, NormQ32Record, PatchRecord, SeparableAttentionQ32Record,
    SliceRecord, attention_scratch_bytes, separable_attention_scratch_bytes,
};
use ocelli_kernels::Q32Channel;
use zerocopy::{Immutable, IntoBytes};

use crate::attention_sample::{attention, exponentials, norm, scratch};
use crate::network::{Network, Shape, run};
use crate::sample::bytes;

const CHANNEL: Q32Channel = Q32Channel { bias: 0, multiplier: 1 << 30 };

/// Attention of one query to keys of other maps: one head, scores 0 unless a bias says otherwise, values pass through.
fn pass_through(network: &mut Network) -> AttentionQ32Record {
    let record = attention(network, 1);
    AttentionQ32Record { score_multiplier: 0, output_multiplier: 1 << 30, output_bias: 1 << 18, ..record }
}

/// The output of a query of two tokens to four tokens of keys, of which the bias hides some.
fn hidden(flags: u16, bias: &[i16], query_stride: u32) -> Vec<i8> {
    let mut network = Network::default();
    let query = network.tensor([1, 2, 1], 1.0, 0);
    let value = network.constant([2, 2, 2], 1.0, 0, &[10, -10, 20, -20, 30, -30, 40, -40]);
    let key = network.constant([2, 2, 1], 1.0, 0, &[1, 2, 3, 4]);
    // Between others in the arena, to have something on all sides.
    let place = scratch(&mut network, attention_scratch_bytes(4, 1));
    let output = network.tensor([1, 2, 2], 1.0, 7);
    let record = pass_through(&mut network);
    let bias = network.writer.weights(bias);
    let record = AttentionQ32Record { flags, bias, bias_query_stride: query_stride, ..record };
    network.writer.step(Operator::AttentionQ32, &[query, key, value, place], output, &record);
    network.run(query, output, &[1, 2])
}

#[test]
fn biases_and_causality_hide_keys() {
    const HIDE: i16 = i16::MIN;
    let (bias, causal) = (AttentionQ32Record::BIAS, AttentionQ32Record::CAUSAL);
    assert_eq!(hidden(0, &[], 0), [25, -25, 25, -25]);
    assert_eq!(hidden(bias, &[0, HIDE, HIDE, 0], 0), [25, -25, 25, -25]);
    assert_eq!(hidden(bias, &[HIDE, 0, HIDE, 0], 0), [30, -30, 30, -30]);
    assert_eq!(hidden(bias, &[HIDE, HIDE, HIDE, 0, 0, 0, HIDE, HIDE], 4), [40, -40, 15, -15]);
    assert_eq!(hidden(causal, &[], 0), [10, -10, 15, -15]);
    // All hidden: 0.0, which is the output's zero point.
    assert_eq!(hidden(causal | bias, &[HIDE, 5, 0, 0], 0), [7, 7, 20, -20]);
    // Far below the others, but not hidden where it is the only one that is seen.
    assert_eq!(hidden(bias, &[-32767, HIDE, HIDE, HIDE, -32767, 32767, HIDE, HIDE], 4), [10, -10, 20, -20]);
}

#[test]
fn scratch_may_lie_before_or_after_the_output() {
    let mut outputs = Vec::new();
    for scratch_first in [true, false] {
        for shift in 0..4 {
            let mut network = Network::default();
            let input = network.tensor([2, 2, 4], 1.0, 0);
            network.tensor([1, 1, 1 + shift], 1.0, 0);
            let bytes_of_scratch = attention_scratch_bytes(4, 2);
            let early = scratch(&mut network, bytes_of_scratch);
            let output = network.tensor([2, 2, 4], 1.0, -9);
            let late = scratch(&mut network, bytes_of_scratch);
            let place = if scratch_first { early } else { late };
            let record = attention(&mut network, 2);
            network.writer.step(Operator::AttentionQ32, &[input, input, input, place], output, &record);
            outputs.push(network.run(input, output, &bytes(3, 16)));
        }
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}

#[test]
fn unfolded_maps_give_the_bytes_of_patches() {
    for (patch, shape) in [([2, 2], [8, 4, 6]), ([1, 3], [6, 6, 2]), ([2, 1], [4, 3, 4])] {
        let outputs = [false, true].map(|unfolds| {
            let mut network = Network::default();
            let input = network.tensor(shape, 1.0, 3);
            let [keys, queries, attended, output] = [(); 4].map(|()| network.tensor(shape, 1.0, 3));
            let tokens = shape[0] * shape[1] / (patch[0] * patch[1]);
            let place = scratch(&mut network, attention_scratch_bytes(tokens.into(), 3));
            let mut record = AttentionQ32Record { patch, key_patch: patch, ..attention(&mut network, 2) };
            if unfolds {
                record.flags = AttentionQ32Record::UNFOLDED;
                let order = PatchRecord { patch };
                network.writer.step(Operator::Unfold, &[input], keys, &order);
                network.writer.step(Operator::Unfold, &[input, keys], queries, &order);
                network.writer.step(Operator::AttentionQ32, &[queries, keys, keys, place], attended, &record);
                network.writer.step(Operator::Fold, &[attended], output, &order);
            } else {
                network.writer.step(Operator::AttentionQ32, &[input, input, input, place], output, &record);
            }
            network.run(input, output, &bytes(5, shape.into_iter().map(usize::from).product()))
        });
        assert_eq!(outputs[0], outputs[1]);
    }
}

#[test]
fn norms_work_in_place_and_on_a_copy() {
    let values = bytes(8, 24);
    for flags in
        [0, NormQ32Record::CENTERED, NormQ32Record::MAP, NormQ32Record::MAP | NormQ32Record::CENTERED]
    {
        let outputs = [true, false].map(|in_place| {
            let mut network = Network::default();
            let input = network.tensor([2, 3, 4], 1.0, 9);
            let output =
                if in_place { network.in_place(input, 1.0, 0) } else { network.tensor([2, 3, 4], 1.0, 0) };
            let record = norm(&mut network, 4, flags);
            network.writer.step(Operator::NormQ32, &[input], output, &record);
            network.run(input, output, &values)
        });
        assert_eq!(outputs[0], outputs[1]);
    }
}

#[test]
fn slices_are_parts_along_their_axis() {
    for (axis, shape, expected) in
        [(0, [1, 2, 2], vec![4, 5, 6, 7]), (1, [2, 1, 2], vec![2, 3, 6, 7]), (2, [2, 2, 1], vec![1, 3, 5, 7])]
    {
        let mut network = Network::default();
        let input = network.tensor([2, 2, 2], 1.0, 0);
        let output = network.tensor(shape, 1.0, 0);
        network.writer.step(Operator::Slice, &[input], output, &SliceRecord { axis, reserved: 0, start: 1 });
        assert_eq!(network.run(input, output, &[0, 1, 2, 3, 4, 5, 6, 7]), expected);
    }
}

#[test]
fn products_of_each_row_or_with_one_matrix() {
    let first = [1i8, 2, 3, 4, -5, 6, -7, 8];
    let second = [1i8, 0, 2, 1, 1, 1, -1, 3];
    let quarter = |sum: i32| (sum + 2).div_euclid(4) as i8;
    for (rows, transpose) in [(2, false), (2, true), (1, false), (1, true)] {
        let mut network = Network::default();
        let input = network.tensor([2, 2, 2], 1.0, 1);
        let matrix = network.constant([rows, 2, 2], 1.0, -1, &second[..4 * usize::from(rows)]);
        let output = network.tensor([2, 2, 2], 1.0, 0);
        let record = MatMulQ32Record { channel: CHANNEL, flags: u32::from(transpose) };
        network.writer.step(Operator::MatMulQ32, &[input, matrix], output, &record);
        let mut expected = Vec::new();
        for y in 0..2 {
            for row in 0..2 {
                for column in 0..2 {
                    let product = |at: usize| {
                        let index = if transpose { 2 * column + at } else { 2 * at + column };
                        let a = i32::from(first[4 * y + 2 * row + at]) - 1;
                        a * (i32::from(second[4 * y * (usize::from(rows) - 1) + index]) + 1)
                    };
                    expected.push(quarter(product(0) + product(1)));
                }
            }
        }
        assert_eq!(network.run(input, output, &first), expected);
    }
}

/// The reason why one step on maps of these shapes, the last of which is the output, is refused.
fn reason<T: IntoBytes + Immutable>(
    operator: Operator,
    shapes: &[Shape],
    record: impl FnOnce(&mut Network) -> T,
) -> String {
    let mut network = Network::default();
    let tensors: Vec<u16> = shapes.iter().map(|&shape| network.tensor(shape, 1.0, 0)).collect();
    let record = record(&mut network);
    let (&output, inputs) = tensors.split_last().unwrap();
    network.writer.step(operator, inputs, output, &record);
    refused(&network, inputs[0], output)
}

fn refused(network: &Network, input: u16, output: u16) -> String {
    match run(&network.file(input, output, &Metadata::default()), &[]) {
        Err(EngineError::Step { step: 0, problem }) => problem.to_string(),
        other => panic!("not refused for its first step: {other:?}"),
    }
}

#[test]
fn attentions_that_do_not_fit_are_refused_with_the_reason() {
    let place = [1, 1, attention_scratch_bytes(8, 3) as u16];
    let (map, wide) = ([2, 4, 6], [2, 4, 12]);
    type Change = fn(&mut AttentionQ32Record);
    let attend = |shapes: &[Shape], change: Change| {
        reason(Operator::AttentionQ32, shapes, |network| {
            let mut record = attention(network, 2);
            // After the table one that is wrong on both ends.
            network.writer.weights(&std::array::from_fn::<u16, 1024, _>(|index| u16::from(index > 0)));
            record.bias = network.writer.weights(&[0i16; 16]);
            change(&mut record);
            record
        })
    };
    let fitting = [map, map, wide, place, wide];
    let none: Change = |_| {};
    let cases: [(&[Shape], Change, &str); 22] = [
        (&[map, map, wide, wide], none, "it has another number of inputs than its operator takes"),
        (&[map, wide, wide, place, wide], none, "query, key and value do not fit together"),
        (&[map, map, [4, 2, 6], place, map], none, "query, key and value do not fit together"),
        (&[map, map, wide, place, map], none, "the output has not the query's size and the value's channels"),
        (
            &[map, map, wide, place, [4, 2, 12]],
            none,
            "the output has not the query's size and the value's channels",
        ),
        (&fitting, |record| record.heads = 4, "its heads do not divide its channels"),
        (&fitting, |record| record.heads = 0, "its heads do not divide its channels"),
        (&[map, map, [2, 4, 3], place, [2, 4, 3]], none, "its heads do not divide its channels"),
        (&fitting, |record| record.patch = [2, 3], "its patches do not divide the map"),
        (&fitting, |record| record.key_patch = [0, 1], "its patches do not divide the map"),
        (&fitting, |record| record.patch = [2, 1], "query and key have different numbers of sequences"),
        (
            &fitting,
            |record| (record.flags, record.patch, record.key_patch) = (4, [2, 2], [2, 2]),
            "the rows of a sequence of its unfolded maps do not lie together",
        ),
        (&fitting, |record| record.exponentials += 2048, "exp(0) is 0 in its table"),
        (&fitting, |record| record.exponentials = 1 << 20, "parameters lie outside the weights"),
        (&fitting, |record| record.exponentials += 1, "parameters lie outside the weights"),
        (&fitting, |record| record.exponentials += 4, "the last entry of its table is not 0"),
        (&[map, map, wide, [1, 1, place[2] - 1], wide], none, "its scratch is too small"),
        (
            &fitting,
            |record| (record.flags, record.bias_head_stride) = (2, 9),
            "parameters lie outside the weights",
        ),
        (
            &fitting,
            |record| (record.flags, record.bias_query_stride) = (2, 2),
            "parameters lie outside the weights",
        ),
        (
            &fitting,
            |record| (record.flags, record.bias) = (2, record.bias + 1),
            "parameters lie outside the weights",
        ),
        (
            &fitting,
            |record| (record.flags, record.bias_query_stride) = (2, u32::MAX),
            "parameters lie outside the weights",
        ),
        // 1024 keys of weights up to 32767.
        (
            &[[1, 1, 2], [32, 32, 2], [32, 32, 2], [1, 1, 4096], [1, 1, 2]],
            none,
            "its sequences are too long for its table",
        ),
    ];
    for (shapes, change, expected) in cases {
        assert_eq!(attend(shapes, change), expected);
    }
}

#[test]
fn scratch_that_overlaps_is_refused() {
    for case in 0..4 {
        let mut network = Network::default();
        let map = network.tensor([1, 1, 64], 1.0, 0);
        let output = network.tensor([1, 1, 64], 1.0, 0);
        let other = network.tensor([1, 1, 64], 1.0, 0);
        let constant = network.constant([1, 1, 200], 1.0, 0, &[0; 200]);
        let place = scratch(&mut network, 1000);
        let mut tensors = [map, other, other, place];
        let expected = match case {
            0 => {
                tensors[3] = network.at([1, 1, 200], 127);
                "its scratch is a constant or overlaps the output"
            }
            1 => {
                tensors[3] = network.at([1, 1, 200], 191);
                "it writes over what it reads"
            }
            2 => {
                tensors[3] = constant;
                "its scratch is a constant or overlaps the output"
            }
            _ => {
                tensors[2] = output;
                "it writes over what it reads"
            }
        };
        let record = attention(&mut network, 1);
        network.writer.step(Operator::AttentionQ32, &tensors, output, &record);
        assert_eq!(refused(&network, map, output), expected);
    }
}

#[test]
fn separable_attentions_that_do_not_fit_are_refused_with_the_reason() {
    let place = [1, 1, separable_attention_scratch_bytes(8, 6) as u16];
    let (map, scores) = ([2, 4, 6], [2, 4, 1]);
    type Change = fn(&mut SeparableAttentionQ32Record);
    let none: Change = |_| {};
    let cases: [(&[Shape], Change, &str); 7] = [
        (&[map, map, map, place, map], none, "its scores are not one a pixel of the key"),
        (&[scores, map, [2, 4, 5], place, map], none, "key, value and output have different shapes"),
        (&[scores, map, map, place, [2, 4, 5]], none, "key, value and output have different shapes"),
        (
            &[scores, map, map, place, map],
            |record| record.patch = [1, 3],
            "its patches do not divide the map",
        ),
        (&[scores, map, map, [1, 1, place[2] - 1], map], none, "its scratch is too small"),
        (
            &[scores, map, map, place, map],
            |record| record.exponentials = 4096,
            "parameters lie outside the weights",
        ),
        (
            &[[32, 32, 1], [32, 32, 2], [32, 32, 2], [1, 1, 4096], [32, 32, 2]],
            none,
            "its sequences are too long for its table",
        ),
    ];
    for (shapes, change, expected) in cases {
        let found = reason(Operator::SeparableAttentionQ32, shapes, |network| {
            let exponentials = exponentials::<256>(network, 32767.0, 0.1);
            let mut record = SeparableAttentionQ32Record { patch: [1, 1], exponentials, channel: CHANNEL };
            change(&mut record);
            record
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn norms_products_and_slices_that_do_not_fit_are_refused_with_the_reason() {
    let map = [2, 4, 6];
    let large = [1024, 513, 1];
    let norm_of = |shapes: &[Shape], channels: i32, flags: u32| {
        reason(Operator::NormQ32, shapes, |network| norm(network, channels, flags))
    };
    assert_eq!(norm_of(&[map, [2, 4, 5]], 6, 0), "input and output have different sizes");
    assert_eq!(norm_of(&[map, map], 5, 0), "parameters lie outside the weights");
    assert_eq!(norm_of(&[large, large], 1, 2), "its map is too large to be normalized together");

    let product = |shapes: &[Shape], flags: u32| {
        reason(Operator::MatMulQ32, shapes, |_| MatMulQ32Record { channel: CHANNEL, flags })
    };
    assert_eq!(product(&[map, map], 0), "it takes two inputs");
    let heights = "the second input has neither one matrix nor as many as the first";
    assert_eq!(product(&[map, [3, 6, 5], [2, 4, 5]], 0), heights);
    let inner = "the second input's rows are not the first's columns";
    assert_eq!(product(&[map, [2, 5, 6], [2, 4, 5]], 0), inner);
    assert_eq!(product(&[map, [2, 6, 5], [2, 4, 5]], 1), inner);
    let size = "the output has not the size of the product";
    assert_eq!(product(&[map, [1, 6, 5], [2, 4, 6]], 0), size);
    assert_eq!(product(&[map, [1, 5, 6], [1, 4, 5]], 1), size);

    let slice = |shapes: &[Shape], axis: u8, start: u16| {
        reason(Operator::Slice, shapes, |_| SliceRecord { axis, reserved: 0, start })
    };
    assert_eq!(slice(&[map, map], 3, 0), "its axis is none of height, width and channels");
    assert_eq!(slice(&[map, [2, 3, 5]], 1, 0), "the output has another size than the input");
    assert_eq!(slice(&[map, [2, 2, 6]], 1, 3), "the output reaches beyond the input");
    assert_eq!(slice(&[map, [2, 2, 6]], 1, u16::MAX), "the output reaches beyond the input");

    let order = |operator: Operator, shapes: &[Shape], patch: [u16; 2]| {
        reason(operator, shapes, |_| PatchRecord { patch })
    };
    let patches = "its patches do not divide the map";
    for operator in [Operator::Unfold, Operator::Fold] {
        assert_eq!(order(operator, &[map, [4, 2, 6]], [2, 1]), "input and output have different sizes");
        assert_eq!(order(operator, &[map, map], [2, 2]), patches, "a sequence would begin within a row");
        assert_eq!(order(operator, &[map, map], [1, 0]), patches);
        assert_eq!(order(operator, &[[6, 4, 1], [6, 4, 1]], [1, 3]), patches);
    }
    let waits = "it takes a map, and a tensor of its height to wait for";
    assert_eq!(order(Operator::Unfold, &[map, [4, 4, 6], map], [2, 1]), waits);
    assert_eq!(order(Operator::Unfold, &[map, map, map, map], [2, 1]), waits);
    assert_eq!(order(Operator::Fold, &[map, map, map], [2, 1]), "it takes one input");
}
