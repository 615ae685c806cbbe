//! The model of the second golden file: the operators of attention, each once or more.

use ocelli::Operator;
use ocelli_format::Metadata;
use ocelli_format::operator::{
    AttentionQ32Record, ChannelTablesRecord, MatMulQ32Record, NormQ32Record, PatchRecord,
    SeparableAttentionQ32Record, SliceRecord, attention_scratch_bytes, separable_attention_scratch_bytes,
};
use ocelli_kernels::Q32Channel;

use crate::network::{Network, Shape, run};
use crate::sample::bytes;

const INPUT: Shape = [4, 6, 8];

/// The file, with the self-test that the engine gives.
pub fn file() -> Vec<u8> {
    const SEED: u32 = 20_261_123;
    let (network, input, output) = build();
    let mut metadata = Metadata { name: "attention".into(), ..Metadata::default() };
    let answer = run(&network.file(input, output, &metadata), &bytes(SEED, 4 * 6 * 8)).unwrap();
    metadata.self_test = Some((SEED, answer));
    network.file(input, output, &metadata)
}

/// A table of exponentials: `round(largest * exp(-step * i))`, the last one 0.
pub fn exponentials<const LENGTH: usize>(network: &mut Network, largest: f64, step: f64) -> u32 {
    let mut table: [u16; LENGTH] =
        std::array::from_fn(|index| (largest * (-step * index as f64).exp()).round() as u16);
    table[LENGTH - 1] = 0;
    network.writer.weights(&table)
}

/// A record of attention over whole maps without a bias.
pub fn attention(network: &mut Network, heads: u16) -> AttentionQ32Record {
    AttentionQ32Record {
        patch: [1, 1],
        key_patch: [1, 1],
        heads,
        flags: 0,
        score_multiplier: 90_000_000,
        score_shift: 1,
        exponentials: exponentials::<1024>(network, 32767.0, 1.0 / 96.0),
        output_multiplier: 1_500_000_000,
        output_bias: (1 << 18) - 9 * (1 << 19),
        output_shift: 19,
        bias: 0,
        bias_head_stride: 0,
        bias_query_stride: 0,
    }
}

/// Memory for attention to work in.
pub fn scratch(network: &mut Network, bytes: usize) -> u16 {
    network.tensor([1, 1, bytes as u16], 1.0, 0)
}

/// A record of a norm of `channels`.
pub fn norm(network: &mut Network, channels: i32, flags: u32) -> NormQ32Record {
    let channels: Vec<Q32Channel> = (0..channels)
        .map(|channel| Q32Channel {
            bias: 128 + 256 * (channel - 3),
            multiplier: (30 << 24) - channel * 9_999_999,
        })
        .collect();
    NormQ32Record { channels: network.writer.weights(channels.as_slice()), epsilon: [77, 0], shift: 8, flags }
}

fn slice(network: &mut Network, from: u16, shape: Shape, axis: u8, start: u16) -> u16 {
    let part = network.tensor(shape, 0.05, 3);
    network.writer.step(Operator::Slice, &[from], part, &SliceRecord { axis, reserved: 0, start });
    part
}

fn build() -> (Network, u16, u16) {
    let mut network = Network::default();
    let input = network.tensor(INPUT, 0.1, -5);

    let normal = network.tensor(INPUT, 0.05, 3);
    let record = norm(&mut network, 8, NormQ32Record::CENTERED);
    network.writer.step(Operator::NormQ32, &[input], normal, &record);

    let query = slice(&mut network, normal, [4, 6, 4], 2, 0);
    let key = slice(&mut network, normal, [4, 6, 4], 2, 3);

    // MobileViT's: sequences of pixels at the same place of their patches.
    let patches = network.tensor(INPUT, 0.04, -9);
    let place = scratch(&mut network, attention_scratch_bytes(4, 2));
    let record = AttentionQ32Record { patch: [2, 3], key_patch: [2, 3], ..attention(&mut network, 2) };
    network.writer.step(Operator::AttentionQ32, &[query, key, normal, place], patches, &record);

    // The same, sequence by sequence, of which each has a row of its own.
    let [keys, queries, attended] = [(); 3].map(|()| network.tensor(INPUT, 0.05, 3));
    let record = PatchRecord { patch: [2, 2] };
    network.writer.step(Operator::Unfold, &[normal], keys, &record);
    network.writer.step(Operator::Unfold, &[patches, keys], queries, &record);
    let place = scratch(&mut network, attention_scratch_bytes(6, 4));
    let flags = AttentionQ32Record::UNFOLDED;
    let of_rows =
        AttentionQ32Record { patch: [2, 2], key_patch: [2, 2], flags, ..attention(&mut network, 2) };
    network.writer.step(Operator::AttentionQ32, &[queries, keys, keys, place], attended, &of_rows);
    let folded = network.in_place(patches, 0.04, -9);
    network.writer.step(Operator::Fold, &[attended], folded, &record);

    // A decoder's: rows are a batch of queries, keys are another map's rows, some keys are hidden.
    let other = slice(&mut network, normal, [4, 5, 8], 1, 1);
    let decoded = network.tensor(INPUT, 0.04, -9);
    let place = scratch(&mut network, attention_scratch_bytes(5, 2));
    let bias: Vec<i16> = bytes(9, 4 * 5)
        .into_iter()
        .map(|value| if value > 90 { i16::MIN } else { 3 * i16::from(value) })
        .collect();
    let record = AttentionQ32Record {
        patch: [4, 1],
        key_patch: [4, 1],
        flags: AttentionQ32Record::CAUSAL | AttentionQ32Record::BIAS,
        bias: network.writer.weights(bias.as_slice()),
        bias_head_stride: 5,
        ..attention(&mut network, 4)
    };
    network.writer.step(Operator::AttentionQ32, &[folded, other, other, place], decoded, &record);

    let scores = slice(&mut network, decoded, [4, 6, 1], 2, 6);
    let separable = network.tensor(INPUT, 0.04, 20);
    let place = scratch(&mut network, separable_attention_scratch_bytes(6, 8));
    let record = SeparableAttentionQ32Record {
        patch: [2, 2],
        exponentials: exponentials::<256>(&mut network, 32767.0, 0.04),
        channel: Q32Channel { bias: 20 << 19, multiplier: 1 << 13 },
    };
    network.writer.step(
        Operator::SeparableAttentionQ32,
        &[scores, normal, decoded, place],
        separable,
        &record,
    );

    let products = network.tensor([4, 6, 6], 0.2, 0);
    let record = MatMulQ32Record {
        channel: Q32Channel { bias: 30, multiplier: 90_000_000 },
        flags: MatMulQ32Record::TRANSPOSE_SECOND,
    };
    network.writer.step(Operator::MatMulQ32, &[patches, separable], products, &record);
    let matrix = network.constant([1, 6, 5], 0.02, -1, &bytes(11, 30));
    let combined = network.tensor([4, 6, 5], 0.2, 12);
    let record = MatMulQ32Record { channel: Q32Channel { bias: 500, multiplier: 60_000_000 }, flags: 0 };
    network.writer.step(Operator::MatMulQ32, &[products, matrix], combined, &record);

    let output = network.in_place(combined, 0.05, 0);
    let record = norm(&mut network, 5, NormQ32Record::MAP);
    network.writer.step(Operator::NormQ32, &[combined], output, &record);

    let record = ChannelTablesRecord {
        tables: network.writer.weights(bytes(13, 2 * 256).as_slice()),
        channels: network.writer.weights(&[1u8, 0, 1, 1, 0]),
    };
    network.writer.step(Operator::ChannelTables, &[output], output, &record);
    (network, input, output)
}
