//! The float engine's results for operators on sequences against plain loops in double precision.

use super::FloatModel;
use crate::graph::{
    Attention, AttentionBias, Axis, Graph, Node, Norm, NormExtent, Operator, Sequences, Shape,
};

/// Values spread over about -2..2.
fn noise(length: usize, seed: u32) -> Vec<f32> {
    let bytes = ocelli::test_bytes(seed).take(2 * length).collect::<Vec<i8>>();
    bytes.chunks(2).map(|pair| f32::from(pair[0]) / 64.0 + f32::from(pair[1]) / 8192.0).collect()
}

/// What a graph of one node computes for noise, and the noise.
fn run(operator: Operator, inputs: &[Shape], output: Shape) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut graph = Graph::default();
    let ids: Vec<_> = inputs.iter().map(|&shape| graph.add_tensor("input", shape)).collect();
    let result = graph.add_tensor("output", output);
    graph.inputs = ids.clone();
    graph.outputs = vec![result];
    graph.nodes.push(Node { name: "node".into(), operator, inputs: ids, output: result });
    let values: Vec<Vec<f32>> =
        inputs.iter().enumerate().map(|(seed, shape)| noise(shape.len(), seed as u32 + 1)).collect();
    let model = FloatModel::new(&graph).unwrap();
    let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let output = model.run_inputs(&slices).unwrap();
    (values, output)
}

fn assert_close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error < 1e-5 * expected.abs().max(1.0), "value {index}: {found} is not {expected}");
    }
}

/// The pixel of a token of a sequence.
fn pixel(shape: Shape, [rows, columns]: [usize; 2], sequence: usize, token: usize) -> usize {
    let across = shape.width / columns;
    let (y, x) = (token / across * rows + sequence / columns, token % across * columns + sequence % columns);
    y * shape.width + x
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|value| value / sum).collect()
}

fn check_attention(attention: Attention, query: Shape, key: Shape, value: Shape) {
    let shapes = [query, key, value];
    let output = attention.output(query, value);
    let (inputs, found) = run(Operator::Attention(attention.clone()), &shapes, output);
    let at = |input: usize, pixel: usize, channel: usize| {
        f64::from(inputs[input][pixel * shapes[input].channels + channel])
    };
    let queries = Sequences::of(query, attention.patch).unwrap();
    let keys = Sequences::of(key, attention.key_patch).unwrap().tokens;
    let (d, value_d) = (query.channels / attention.heads, value.channels / attention.heads);
    let mut expected = vec![f64::NAN; output.len()];
    for head in 0..attention.heads {
        for sequence in 0..queries.count {
            let key_pixels: Vec<usize> =
                (0..keys).map(|token| pixel(key, attention.key_patch, sequence, token)).collect();
            for token in 0..queries.tokens {
                let own = pixel(query, attention.patch, sequence, token);
                let scores: Vec<f64> = (0..keys)
                    .map(|other| {
                        let hidden = attention.causal && other > token;
                        let bias = attention.bias.as_ref().map_or(0.0, |bias| {
                            let head = if bias.heads == 1 { 0 } else { head };
                            let row = if bias.queries == 1 { 0 } else { token };
                            f64::from(bias.values[(head * bias.queries + row) * keys + other])
                        });
                        let product: f64 = (head * d..(head + 1) * d)
                            .map(|channel| at(0, own, channel) * at(1, key_pixels[other], channel))
                            .sum();
                        if hidden { f64::NEG_INFINITY } else { f64::from(attention.scale) * product + bias }
                    })
                    .collect();
                let weights = softmax(&scores);
                for channel in head * value_d..(head + 1) * value_d {
                    let products = weights.iter().zip(&key_pixels);
                    expected[own * value.channels + channel] =
                        products.map(|(weight, &pixel)| weight * at(2, pixel, channel)).sum();
                }
            }
        }
    }
    assert_close(&found, &expected);
}

#[test]
fn attention_over_a_whole_map() {
    let shape = Shape::new(4, 6, 8);
    check_attention(Attention::of_heads(2, 0.5), shape, shape, shape);
}

#[test]
fn attention_over_patches_of_a_map() {
    let shape = Shape::new(4, 6, 8);
    let attention = Attention { patch: [2, 2], key_patch: [2, 2], ..Attention::of_heads(4, 0.7) };
    check_attention(attention, shape, shape, shape);
    let shape = Shape::new(6, 5, 4);
    let attention = Attention { patch: [3, 1], key_patch: [3, 1], ..Attention::of_heads(1, 0.7) };
    check_attention(attention, shape, shape, shape);
}

#[test]
fn attention_over_a_batch_of_sequences() {
    let shape = Shape::new(3, 7, 6);
    let attention = Attention { patch: [3, 1], key_patch: [3, 1], ..Attention::of_heads(3, 1.0) };
    check_attention(attention, shape, shape, shape);
}

#[test]
fn attention_to_another_sequence_with_values_of_another_width() {
    let attention = Attention { patch: [2, 2], key_patch: [4, 1], ..Attention::of_heads(2, 0.3) };
    check_attention(attention, Shape::new(4, 4, 8), Shape::new(4, 5, 8), Shape::new(4, 5, 6));
}

#[test]
fn causal_attention_sees_no_later_token() {
    let shape = Shape::new(2, 5, 4);
    let attention =
        Attention { patch: [2, 1], key_patch: [2, 1], causal: true, ..Attention::of_heads(2, 0.6) };
    check_attention(attention, shape, shape, shape);
}

#[test]
fn a_bias_is_added_to_scores() {
    let shape = Shape::new(1, 6, 8);
    for (heads, queries, causal) in [(1, 1, false), (2, 6, false), (1, 6, true), (2, 1, true)] {
        let mut values = noise(heads * queries * 6, 9);
        values[3] = f32::NEG_INFINITY;
        let bias = Some(AttentionBias { heads, queries, values });
        let attention = Attention { bias, causal, ..Attention::of_heads(2, 0.5) };
        check_attention(attention, shape, shape, shape);
    }
}

#[test]
fn separable_attention_over_patches() {
    let shape = Shape::new(4, 6, 5);
    let patch = [2, 2];
    let scores = Shape { channels: 1, ..shape };
    let (inputs, found) = run(Operator::SeparableAttention { patch }, &[scores, shape, shape], shape);
    let mut expected = vec![f64::NAN; shape.len()];
    for sequence in 0..4 {
        let pixels: Vec<usize> = (0..6).map(|token| pixel(shape, patch, sequence, token)).collect();
        let scores: Vec<f64> = pixels.iter().map(|&pixel| f64::from(inputs[0][pixel])).collect();
        let weights = softmax(&scores);
        for channel in 0..5 {
            let at = |input: usize, pixel: usize| f64::from(inputs[input][pixel * 5 + channel]);
            let context: f64 =
                pixels.iter().zip(&weights).map(|(&pixel, weight)| weight * at(1, pixel)).sum();
            for &pixel in &pixels {
                expected[pixel * 5 + channel] = at(2, pixel) * context;
            }
        }
    }
    assert_close(&found, &expected);
}

#[test]
fn norms_of_pixels_and_of_maps() {
    let shape = Shape::new(3, 4, 6);
    let (gamma, beta) = (noise(6, 20), noise(6, 21));
    for (centered, over) in [
        (true, NormExtent::Channels),
        (true, NormExtent::Map),
        (false, NormExtent::Channels),
        (false, NormExtent::Map),
    ] {
        let norm = Norm { centered, over, epsilon: 0.01, gamma: gamma.clone(), beta: beta.clone() };
        let (inputs, found) = run(Operator::Norm(norm), &[shape], shape);
        let together = if over == NormExtent::Map { shape.len() } else { 6 };
        let mut expected = Vec::new();
        for values in inputs[0].chunks(together) {
            let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let mut values: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            if centered {
                let mean = mean_of(&values);
                values.iter_mut().for_each(|value| *value -= mean);
            }
            let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
            let deviation = (mean_of(&squares) + f64::from(0.01_f32)).sqrt();
            expected.extend(values.iter().enumerate().map(|(index, value)| {
                f64::from(gamma[index % 6]) * value / deviation + f64::from(beta[index % 6])
            }));
        }
        assert_close(&found, &expected);
    }
}

#[test]
fn products_of_maps_row_by_row() {
    for (second_height, transpose_second) in [(3, true), (3, false), (1, true), (1, false)] {
        let first = Shape::new(3, 4, 5);
        let second = match transpose_second {
            true => Shape::new(second_height, 2, 5),
            false => Shape::new(second_height, 5, 2),
        };
        let operator = Operator::MatMul { transpose_second };
        let (inputs, found) = run(operator, &[first, second], Shape::new(3, 4, 2));
        let mut expected = Vec::new();
        for h in 0..3 {
            for m in 0..4 {
                for n in 0..2 {
                    let matrix = &inputs[1][h % second_height * 10..][..10];
                    let other =
                        |k: usize| if transpose_second { matrix[n * 5 + k] } else { matrix[k * 2 + n] };
                    let term = |k: usize| f64::from(inputs[0][(h * 4 + m) * 5 + k]) * f64::from(other(k));
                    expected.push((0..5).map(term).sum());
                }
            }
        }
        assert_close(&found, &expected);
    }
}

#[test]
fn slices_of_each_axis() {
    let shape = Shape::new(3, 4, 5);
    let of = |axis| run(Operator::Slice { axis, start: 1 }, &[shape], sliced(shape, axis));
    for axis in [Axis::Height, Axis::Width, Axis::Channels] {
        let (inputs, found) = of(axis);
        let inside = |index: &usize| {
            let place = match axis {
                Axis::Height => index / 20,
                Axis::Width => index / 5 % 4,
                Axis::Channels => index % 5,
            };
            (1..3).contains(&place)
        };
        let expected: Vec<f32> = (0..60).filter(inside).map(|index| inputs[0][index]).collect();
        assert_eq!(found, expected);
    }
}

fn sliced(shape: Shape, axis: Axis) -> Shape {
    match axis {
        Axis::Height => Shape { height: 2, ..shape },
        Axis::Width => Shape { width: 2, ..shape },
        Axis::Channels => Shape { channels: 2, ..shape },
    }
}

/// The message of a graph of one node that does not fit.
fn refusal(operator: Operator, inputs: &[Shape], output: Shape) -> String {
    let mut graph = Graph::default();
    let ids: Vec<_> = inputs.iter().map(|&shape| graph.add_tensor("input", shape)).collect();
    let result = graph.add_tensor("output", output);
    (graph.inputs, graph.outputs) = (ids.clone(), vec![result]);
    graph.nodes.push(Node { name: "blocks.0".into(), operator, inputs: ids, output: result });
    FloatModel::new(&graph).err().expect("it is refused").to_string()
}

#[test]
fn what_does_not_fit_is_refused_with_the_node_and_the_reason() {
    let shape = Shape::new(4, 6, 8);
    let of = |attention: Attention| refusal(Operator::Attention(attention), &[shape; 3], shape);
    let bias = |heads, queries, length| {
        Some(AttentionBias { heads, queries, values: vec![f32::NEG_INFINITY; length] })
    };
    let cases = [
        (of(Attention::of_heads(3, 1.0)), "3 heads do not divide the 8 channels"),
        (of(Attention::of_heads(0, 1.0)), "0 heads do not divide"),
        (of(Attention { patch: [3, 2], ..Attention::of_heads(2, 1.0) }), "patches of 3x2 do not divide"),
        (of(Attention { patch: [2, 2], ..Attention::of_heads(2, 1.0) }), "4 sequences, its key 1"),
        (of(Attention { bias: bias(1, 1, 23), ..Attention::of_heads(2, 1.0) }), "24 key tokens"),
        (of(Attention { bias: bias(1, 1, 24), ..Attention::of_heads(2, 1.0) }), "hides all keys"),
        (
            refusal(Operator::MatMul { transpose_second: true }, &[shape, Shape::new(2, 3, 8)], shape),
            "2x3x8 transposed is not 4x6x8",
        ),
        (
            refusal(Operator::Slice { axis: Axis::Width, start: 5 }, &[shape], Shape { width: 2, ..shape }),
            "from 5 on is no part of 4x6x8",
        ),
        (
            refusal(Operator::SeparableAttention { patch: [1, 1] }, &[shape; 3], shape),
            "must have one channel",
        ),
    ];
    for (message, expected) in cases {
        assert!(message.contains("blocks.0") && message.contains(expected), "{message}");
    }
}
