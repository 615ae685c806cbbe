//! Blocks of transformers, made by hand of random weights: the int8 network against the float one.

mod graph_maker;

use graph_maker::{Maker, expect, try_quantize};
use ocelli::{Engine, Model, operator, test_bytes};
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::{
    Activation, Attention, AttentionBias, Axis, Bias, Constant, Graph, Norm, NormExtent, Operator, Shape,
    TensorId, Weights,
};
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Quantized, constant_channels};
use ocelli_compiler::quantized::{Operation, QuantizedGraph};
use ocelli_compiler::simplify::simplify;
use ocelli_format::Metadata;

impl Maker {
    /// A linear layer of each pixel whose outputs are about as large as its inputs.
    fn linear(&mut self, input: TensorId, outputs: usize) -> TensorId {
        let inputs = self.graph.tensor(input).shape.channels;
        self.conv(input, 1, 1, outputs, (3.0 / inputs as f32).sqrt())
    }

    fn norm(&mut self, input: TensorId, centered: bool, over: NormExtent) -> TensorId {
        let channels = self.graph.tensor(input).shape.channels;
        let gamma = self.noise.many(channels).iter().map(|noise| 1.0 + 0.5 * noise).collect();
        let beta = self.noise.many(channels).iter().map(|noise| 0.3 * noise).collect();
        self.same(Operator::Norm(Norm { centered, over, epsilon: 1e-5, gamma, beta }), input)
    }

    fn layer_norm(&mut self, input: TensorId) -> TensorId {
        self.norm(input, true, NormExtent::Channels)
    }

    fn slice(&mut self, input: TensorId, start: usize, channels: usize) -> TensorId {
        let shape = Shape { channels, ..self.graph.tensor(input).shape };
        self.node(Operator::Slice { axis: Axis::Channels, start }, &[input], shape)
    }

    fn add(&mut self, first: TensorId, second: TensorId) -> TensorId {
        let shape = self.graph.tensor(first).shape;
        self.node(Operator::Add, &[first, second], shape)
    }

    fn attend(&mut self, attention: Attention, [query, key, value]: [TensorId; 3]) -> TensorId {
        let shape = attention.output(self.graph.tensor(query).shape, self.graph.tensor(value).shape);
        self.node(Operator::Attention(attention), &[query, key, value], shape)
    }

    /// Self-attention whose query, key and value come of one layer, cut in three.
    fn self_attention(&mut self, input: TensorId, attention: Attention) -> TensorId {
        let channels = self.graph.tensor(input).shape.channels;
        let fused = self.linear(input, 3 * channels);
        let parts = [0, 1, 2].map(|part| self.slice(fused, part * channels, channels));
        let attended = self.attend(attention, parts);
        self.linear(attended, channels)
    }

    /// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    fn transformer(&mut self, input: TensorId, attention: Attention) -> TensorId {
        let channels = self.graph.tensor(input).shape.channels;
        let normed = self.layer_norm(input);
        let attended = self.self_attention(normed, attention);
        let middle = self.add(input, attended);
        let normed = self.layer_norm(middle);
        let wide = self.linear(normed, 2 * channels);
        let wide = self.same(Operator::Activation(Activation::Gelu), wide);
        let narrow = self.linear(wide, channels);
        self.add(middle, narrow)
    }
}

/// Heads of a dimension, over the sequences of a patch.
fn heads(heads: usize, dimension: usize, patch: [usize; 2]) -> Attention {
    let scale = 1.0 / (dimension as f32).sqrt();
    Attention { patch, key_patch: patch, ..Attention::of_heads(heads, scale) }
}

fn count(quantized: &Quantized, is: impl Fn(&Operation) -> bool) -> usize {
    quantized.graph.nodes.iter().filter(|node| is(&node.operation)).count()
}

#[test]
fn a_block_of_a_vision_transformer() {
    let (mut maker, input) = Maker::new(Shape::new(8, 8, 32));
    maker.transformer(input, heads(4, 8, [1, 1]));
    simplify(&mut maker.graph);
    let quantized = expect(&maker.graph, 30.0);
    let slices = count(&quantized, |operation| matches!(operation, Operation::Slice { .. }));
    assert_eq!(slices, 0, "the fused layer falls apart");
    let attention = quantized.report.iter().find(|layer| layer.operation == "Attention").unwrap();
    assert!(attention.sqnr_db > 25.0, "{attention:?}");
    assert_eq!(attention.macs, 2 * 64 * 64 * 32);
}

#[test]
fn a_layer_cut_by_heads_falls_apart_too() {
    let shape = Shape::new(2, 3, 16);
    let (mut maker, input) = Maker::new(shape);
    let fused = maker.linear(input, 48);
    // Each pixel holds its heads side by side, and each head its query, key and value.
    let apart = maker.node(Operator::Reshape, &[fused], Shape::new(6, 2, 24));
    let parts = [0, 8, 16].map(|start| {
        let part = maker.slice(apart, start, 8);
        maker.node(Operator::Reshape, &[part], shape)
    });
    maker.attend(heads(2, 8, [1, 1]), parts);
    let before = maker.graph.clone();
    simplify(&mut maker.graph);
    let slices = maker.graph.nodes.iter().filter(|node| matches!(node.operator, Operator::Slice { .. }));
    assert_eq!((slices.count(), maker.graph.nodes.len()), (0, 4));
    same_values(&before, &maker.graph, &maker.noise.many(shape.len()));
}

#[test]
fn slices_that_stay_share_a_scale() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 24));
    let parts = [0, 8, 16].map(|start| maker.slice(input, start, 8));
    let attended = maker.attend(heads(2, 4, [1, 1]), parts);
    maker.linear(attended, 8);
    let quantized = expect(&maker.graph, 30.0);
    assert_eq!(count(&quantized, |operation| matches!(operation, Operation::Slice { .. })), 3);
}

#[test]
fn a_block_of_mobilevit() {
    let (mut maker, input) = Maker::new(Shape::new(8, 8, 8));
    let local = maker.conv(input, 3, 1, 8, 0.2);
    let mut map = maker.linear(local, 16);
    for _ in 0..2 {
        map = maker.transformer(map, heads(4, 4, [2, 2]));
    }
    let map = maker.layer_norm(map);
    let global = maker.linear(map, 8);
    let both = maker.node(Operator::Concat(Axis::Channels), &[input, global], Shape::new(8, 8, 16));
    maker.conv(both, 3, 1, 8, 0.15);
    simplify(&mut maker.graph);
    expect(&maker.graph, 30.0);
}

#[test]
fn a_block_of_mobilevit_v2() {
    let shape = Shape::new(8, 8, 16);
    let (mut maker, input) = Maker::new(shape);
    let normed = maker.norm(input, true, NormExtent::Map);
    let fused = maker.linear(normed, 33);
    let (scores, key, value) =
        (maker.slice(fused, 0, 1), maker.slice(fused, 1, 16), maker.slice(fused, 17, 16));
    let value = maker.same(Operator::Activation(Activation::RELU), value);
    let operator = Operator::SeparableAttention { patch: [2, 2] };
    let attended = maker.node(operator, &[scores, key, value], shape);
    let attended = maker.linear(attended, 16);
    maker.add(input, attended);
    simplify(&mut maker.graph);
    let quantized = expect(&maker.graph, 30.0);
    assert_eq!(count(&quantized, |operation| matches!(operation, Operation::Conv2d(_))), 4);
}

#[test]
fn norms_without_mean() {
    for over in [NormExtent::Channels, NormExtent::Map] {
        let (mut maker, input) = Maker::new(Shape::new(4, 4, 16));
        let scaled = maker.linear(input, 16);
        let normed = maker.norm(scaled, false, over);
        maker.linear(normed, 8);
        expect(&maker.graph, 32.0);
    }
}

#[test]
fn an_epsilon_as_large_as_the_variance() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 16));
    let normed = maker.layer_norm(input);
    maker.linear(normed, 8);
    if let Operator::Norm(norm) = &mut maker.graph.nodes[0].operator {
        norm.epsilon = 0.5;
    }
    expect(&maker.graph, 36.0);
}

#[test]
fn causal_attention_of_a_batch_of_sequences() {
    let (mut maker, input) = Maker::new(Shape::new(3, 16, 16));
    let attention = Attention { causal: true, ..heads(2, 8, [3, 1]) };
    maker.transformer(input, attention);
    expect(&maker.graph, 30.0);
}

#[test]
fn hidden_keys_and_position_biases() {
    let mut hidden = vec![0.0; 16];
    hidden[11..].fill(f32::NEG_INFINITY);
    let mask = AttentionBias { heads: 1, queries: 1, values: hidden };
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 16));
    let values = maker.noise.many(2 * 16 * 16).iter().map(|noise| 3.0 * noise).collect();
    let positions = AttentionBias { heads: 2, queries: 16, values };
    let first = maker.transformer(input, Attention { bias: Some(mask), ..heads(2, 8, [1, 1]) });
    maker.transformer(first, Attention { bias: Some(positions), ..heads(2, 8, [1, 1]) });
    expect(&maker.graph, 30.0);
}

#[test]
fn attention_to_a_smaller_map() {
    let (mut maker, input) = Maker::new(Shape::new(8, 8, 16));
    let query = maker.linear(input, 16);
    let pooled = maker.node(Operator::Slice { axis: Axis::Height, start: 2 }, &[input], Shape::new(4, 8, 16));
    let (key, value) = (maker.linear(pooled, 16), maker.linear(pooled, 24));
    let attention = Attention { key_patch: [1, 4], ..heads(4, 4, [2, 2]) };
    let attended = maker.attend(attention, [query, key, value]);
    maker.linear(attended, 16);
    expect(&maker.graph, 30.0);
}

#[test]
fn constants_take_part_in_attention() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 16));
    let learned = Shape::new(1, 3, 16);
    let values = maker.noise.many(learned.len());
    let query = maker.node(Operator::Constant(Constant::Float(values)), &[], learned);
    // Normalized once, at conversion.
    let query = maker.layer_norm(query);
    let (key, value) = (maker.linear(input, 16), maker.linear(input, 16));
    let pooled = maker.attend(heads(2, 8, [1, 1]), [query, key, value]);
    let values = maker.noise.many(16 * 5);
    let matrix = maker.node(Operator::Constant(Constant::Float(values)), &[], Shape::new(1, 16, 5));
    maker.node(Operator::MatMul { transpose_second: false }, &[pooled, matrix], Shape::new(1, 3, 5));
    let quantized = expect(&maker.graph, 33.0);
    assert_eq!(count(&quantized, |operation| matches!(operation, Operation::Norm(_))), 0);
}

#[test]
fn products_of_maps() {
    for (height, transpose_second) in [(4, true), (4, false), (1, true), (1, false)] {
        let (mut maker, input) = Maker::new(Shape::new(4, 8, 16));
        let first = maker.linear(input, 16);
        let part =
            maker.node(Operator::Slice { axis: Axis::Height, start: 0 }, &[input], Shape::new(height, 8, 16));
        let second = maker.linear(part, 12);
        let (first, output) = match transpose_second {
            true => (maker.linear(first, 12), 8),
            false => (maker.linear(first, 8), 12),
        };
        let operator = Operator::MatMul { transpose_second };
        let product = maker.node(operator, &[first, second], Shape::new(4, 8, output));
        maker.linear(product, 8);
        expect(&maker.graph, 30.0);
    }
}

#[test]
fn what_int8_cannot_hold_is_refused_with_the_node_and_the_bound() {
    let (mut maker, input) = Maker::new(Shape::new(129, 128, 2));
    maker.attend(heads(1, 2, [1, 1]), [input; 3]);
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("16512 tokens are longer than 16384"), "{error}");

    let (mut maker, input) = Maker::new(Shape::new(5, 4, 6));
    maker.attend(heads(4, 2, [1, 1]), [input; 3]);
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("4 heads do not divide the 6 channels"), "{error}");
    maker.graph.nodes[0].operator = Operator::Attention(heads(3, 2, [2, 2]));
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("patches of 2x2 do not divide"), "{error}");
    let bias = AttentionBias { heads: 1, queries: 2, values: vec![0.0; 40] };
    maker.graph.nodes[0].operator =
        Operator::Attention(Attention { bias: Some(bias), ..heads(3, 2, [1, 1]) });
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("20 or 1 query tokens"), "{error}");
}

/// What an int8 network computes for noise.
fn outputs(graph: &QuantizedGraph) -> Vec<i8> {
    let packed = pack(graph, &plan(graph), Metadata::default()).unwrap();
    let packed = AlignedBytes::new(&packed);
    let model = Model::open(packed.bytes()).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).unwrap();
    let length = graph.tensor(graph.input).shape.len();
    (1..5)
        .flat_map(|seed| {
            let input: Vec<i8> = test_bytes(seed).take(length).collect();
            engine.run(&input).unwrap().values().to_vec()
        })
        .collect()
}

#[test]
fn constant_channels_go_where_attention_and_norms_do_not_see_them() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 16));
    maker.transformer(input, heads(2, 8, [2, 2]));
    for node in &mut maker.graph.nodes {
        let Operator::Conv2d(conv) = &mut node.operator else { continue };
        let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
            continue;
        };
        // Channels of query, key, value, and of the layers after them.
        let taps = weights.len() / bias.len();
        for channel in (1..bias.len()).step_by(5) {
            weights[channel * taps..(channel + 1) * taps].fill(0.0);
        }
    }
    simplify(&mut maker.graph);
    let (quantized, _) = try_quantize(&maker.graph).unwrap();
    let mut folded = quantized.graph.clone();
    // Of the layers, only the wide one is read by a layer alone: its channels 1, 6, .. 31 go, before and after its activation.
    assert_eq!(constant_channels::fold(&mut folded), 2 * 7);
    assert_eq!(outputs(&folded), outputs(&quantized.graph));
}

#[test]
fn attention_steps_work_in_the_same_memory() {
    let (mut maker, input) = Maker::new(Shape::new(8, 8, 16));
    let first = maker.attend(heads(2, 8, [1, 1]), [input; 3]);
    maker.attend(heads(2, 8, [1, 1]), [first; 3]);
    let (quantized, _) = try_quantize(&maker.graph).unwrap();
    let plan = plan(&quantized.graph);
    // 64 weights and a centred query of 8 channels, of two bytes each, at a multiple of 4.
    let scratch = 2 * (64 + 8) + 3;
    let sizes: Vec<Vec<usize>> =
        quantized.graph.nodes.iter().map(|node| quantized.graph.scratch_bytes(node)).collect();
    assert_eq!(sizes, [[scratch], [scratch]]);
    assert!(plan.scratch.iter().all(Option::is_some));
    assert!(plan.arena_bytes < 2 * 1024 + scratch + 8, "{}", plan.arena_bytes);
}

#[test]
fn scales_after_a_norm_fold_into_it() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 8));
    let normed = maker.layer_norm(input);
    let scaled = maker.conv(normed, 1, 8, 8, 1.0);
    let affine = Operator::Activation(Activation::Affine { scale: 0.5, offset: 0.25 });
    let scaled = maker.same(affine, scaled);
    maker.linear(scaled, 4);
    let before = maker.graph.clone();
    simplify(&mut maker.graph);
    assert_eq!(maker.graph.nodes.len(), 2, "{:?}", maker.graph.nodes);
    same_values(&before, &maker.graph, &maker.noise.many(128));
}

/// Checks that two float networks compute the same.
fn same_values(before: &Graph, after: &Graph, input: &[f32]) {
    let run = |graph| FloatModel::new(graph).unwrap().run(input).unwrap();
    for (before, after) in run(before).iter().zip(run(after)) {
        assert!((before - after).abs() < 1e-5, "{before} {after}");
    }
}

#[test]
fn a_layer_that_is_also_read_whole_stays_whole() {
    let (mut maker, input) = Maker::new(Shape::new(2, 2, 8));
    let fused = maker.linear(input, 8);
    let [first, second] = [0, 4].map(|start| maker.slice(fused, start, 4));
    let joined = maker.node(Operator::Concat(Axis::Channels), &[first, second], Shape::new(2, 2, 8));
    maker.add(fused, joined);
    simplify(&mut maker.graph);
    let convolutions = maker.graph.nodes.iter().filter(|node| matches!(node.operator, Operator::Conv2d(_)));
    assert_eq!(convolutions.count(), 1);
}

#[test]
fn factors_of_a_norm_that_differ_much_cost_little() {
    let (mut maker, input) = Maker::new(Shape::new(4, 4, 32));
    let normed = maker.layer_norm(input);
    maker.linear(normed, 16);
    if let Operator::Norm(norm) = &mut maker.graph.nodes[0].operator {
        for (channel, gamma) in norm.gamma.iter_mut().enumerate() {
            *gamma = 0.8_f32.powi(channel as i32);
        }
        norm.beta.fill(0.0);
    }
    let quantized = expect(&maker.graph, 36.0);
    let norm = quantized.report.iter().find(|layer| layer.operation == "LayerNorm").unwrap();
    assert!(norm.sqnr_db > 38.0, "{norm:?}");
}
