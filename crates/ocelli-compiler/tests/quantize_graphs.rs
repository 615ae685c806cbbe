//! Networks made by hand, each with something that is hard to quantize.

mod graph_maker;

use graph_maker::{Maker, expect, noise_data, try_quantize};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::graph::{
    Activation, Axis, Bias, Constant, Conv2d, Operator, Quantization, Shape, Weights, Window,
};
use ocelli_compiler::quantize::{Options, Quantized, quantize};
use ocelli_compiler::quantized::Operation;

fn tables(quantized: &Quantized) -> usize {
    let is_table = |operation: &Operation| matches!(operation, Operation::Table(_));
    quantized.graph.nodes.iter().filter(|node| is_table(&node.operation)).count()
}

const SHAPE: Shape = Shape::new(6, 6, 8);

#[test]
fn clips_fuse_where_saturation_does_them() {
    for (min, max, fused) in [
        (0.0, f32::INFINITY, true),
        (0.0, 1.0, true),
        (-0.5, 0.5, true),
        (0.25, 1.0, false),
        (-1.0, -0.25, false),
    ] {
        let (mut maker, input) = Maker::new(SHAPE);
        let conv = maker.conv(input, 1, 1, 8, 1.0);
        let clip = maker.clip(conv, min, max);
        maker.conv(clip, 3, 1, 4, 0.2);
        let quantized = expect(&maker.graph, 33.0);
        assert_eq!(tables(&quantized), usize::from(!fused), "{min}..{max}");
    }
}

#[test]
fn a_value_read_before_its_clip_keeps_its_range() {
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 1, 1, 8, 1.0);
    let clip = maker.clip(conv, 0.0, f32::INFINITY);
    maker.node(Operator::Add, &[conv, clip], SHAPE);
    assert_eq!(tables(&expect(&maker.graph, 33.0)), 1);
}

#[test]
fn concatenated_tensors_share_a_scale_unless_a_clip_would_be_lost() {
    // The wide branch gives the result a range far beyond the other branch's clip.
    for ([min, max], copies) in [([f32::NEG_INFINITY, f32::INFINITY], 0), ([0.0, 1.0], 1)] {
        let (mut maker, input) = Maker::new(SHAPE);
        let narrow = maker.conv(input, 1, 1, 4, 1.0);
        let narrow = maker.clip(narrow, min, max);
        let wide = maker.conv(input, 1, 1, 4, 4.0);
        let both = maker.node(Operator::Concat(Axis::Channels), &[narrow, wide], SHAPE);
        maker.conv(both, 1, 1, 4, 0.5);
        let quantized = expect(&maker.graph, 33.0);
        assert_eq!(tables(&quantized), copies, "{min}..{max}");
    }
}

#[test]
fn a_concatenated_tensor_that_others_read_is_copied() {
    let (mut maker, input) = Maker::new(SHAPE);
    let first = maker.conv(input, 1, 1, 8, 0.1);
    let second = maker.conv(first, 1, 1, 8, 8.0);
    let shape = Shape { channels: 16, ..SHAPE };
    let both = maker.node(Operator::Concat(Axis::Channels), &[first, second], shape);
    maker.node(Operator::Mean, &[both], Shape::new(1, 1, 16));
    assert_eq!(tables(&expect(&maker.graph, 33.0)), 1);
}

#[test]
fn large_depthwise_weights_keep_their_clip() {
    // As in MobileNets with folded normalization: an output step is smaller than an input step times a weight step.
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 1, 1, 8, 6.0);
    let clip = maker.clip(conv, 0.0, 6.0);
    let depthwise = maker.conv(clip, 3, 8, 8, 1.0);
    if let Weights::Float(weights) = &mut maker.conv_of(depthwise).weights {
        weights[4] = 300.0;
    }
    let clip = maker.clip(depthwise, 0.0, 6.0);
    maker.conv(clip, 1, 1, 4, 0.3);
    expect(&maker.graph, 18.0);
}

#[test]
fn channels_of_very_different_size_before_a_depthwise_convolution_keep_their_accuracy() {
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 1, 1, 8, 1.0);
    for channel in 0..8 {
        let factor = 0.5f32.powi(channel);
        let conv = maker.conv_of(conv);
        let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
            unreachable!("made of floats")
        };
        weights[channel as usize * 8..][..8].iter_mut().for_each(|weight| *weight *= factor);
        bias[channel as usize] *= factor;
    }
    let relu = maker.clip(conv, 0.0, f32::INFINITY);
    let depthwise = maker.conv(relu, 3, 8, 8, 1.0);
    if let Weights::Float(weights) = &mut maker.conv_of(depthwise).weights {
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight *= 2f32.powi(at as i32 / 9);
        }
    }
    maker.conv(depthwise, 1, 1, 4, 1.0);
    expect(&maker.graph, 33.0);
}

#[test]
fn channels_of_very_different_size_around_hard_swish_and_a_gate_keep_their_accuracy() {
    let (mut maker, input) = Maker::new(SHAPE);
    let wide = maker.conv(input, 1, 1, 8, 1.0);
    let depthwise = maker.conv(wide, 3, 8, 8, 1.0);
    let conv = maker.conv_of(depthwise);
    let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
        unreachable!("made of floats")
    };
    for channel in 0..8 {
        let factor = 8.0 * 0.5f32.powi(channel);
        weights[channel as usize * 9..][..9].iter_mut().for_each(|weight| *weight *= factor);
        bias[channel as usize] *= factor;
    }
    let active = maker.same(Operator::Activation(Activation::HardSwish), depthwise);
    let pooled = maker.node(Operator::Mean, &[active], Shape::new(1, 1, 8));
    let gate = maker.conv(pooled, 1, 1, 8, 1.0);
    let gate = maker.same(Operator::Activation(Activation::Sigmoid), gate);
    let gated = maker.node(Operator::Mul, &[active, gate], SHAPE);
    let last = maker.conv(gated, 1, 1, 4, 1.0);
    if let Weights::Float(weights) = &mut maker.conv_of(last).weights {
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight *= 2f32.powi(at as i32 % 8);
        }
    }
    // Only a clear gain brings the tables in.
    let quantized = expect(&maker.graph, 27.0);
    let several = |operation: &Operation| matches!(operation, Operation::ChannelTables { .. });
    assert!(quantized.graph.nodes.iter().any(|node| several(&node.operation)));
}

#[test]
fn dead_channels_do_not_overflow() {
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 3, 1, 8, 1.0);
    let Conv2d { weights: Weights::Float(weights), bias: Bias::Float(bias), .. } = maker.conv_of(conv) else {
        unreachable!("made of floats")
    };
    weights[..72].iter_mut().for_each(|weight| *weight *= 1e-12);
    weights[72..144].fill(0.0);
    bias[..2].copy_from_slice(&[3.5, -2.0]);
    maker.clip(conv, 0.0, 6.0);
    expect(&maker.graph, 33.0);
}

#[test]
fn tensors_that_are_always_zero_are_no_problem() {
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 1, 1, 8, 1.0);
    let Conv2d { weights: Weights::Float(weights), bias: Bias::Float(bias), .. } = maker.conv_of(conv) else {
        unreachable!("made of floats")
    };
    weights.fill(0.0);
    bias.fill(0.0);
    let sum = maker.node(Operator::Add, &[conv, input], SHAPE);
    let product = maker.node(Operator::Mul, &[sum, conv], SHAPE);
    maker.node(Operator::Add, &[product, input], SHAPE);
    expect(&maker.graph, 33.0);
}

#[test]
fn scales_of_the_file_are_kept() {
    let (mut maker, input) = Maker::new(SHAPE);
    let given = Quantization { scale: 0.05, zero_point: -11 };
    maker.graph.tensors[input.0].quantization = Some(Quantization { scale: 1.0 / 100.0, zero_point: 3 });
    let conv = maker.conv(input, 1, 1, 8, 1.0);
    maker.graph.tensors[conv.0].quantization = Some(given);
    let pool = Window { kernel: [2, 2], stride: [2, 2], ..Window::pointwise() };
    maker.node(Operator::MaxPool(pool), &[conv], Shape::new(3, 3, 8));
    let quantized = expect(&maker.graph, 30.0).graph;
    assert_eq!(quantized.tensor(input).quantization.zero_point, 3);
    assert_eq!(quantized.tensor(conv).quantization, given);
    assert_eq!(quantized.tensor(quantized.output).quantization, given);

    maker.graph.tensors[conv.0].quantization = Some(Quantization { scale: 1e-6, zero_point: 0 });
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("import the float network"), "{error}");
}

#[test]
fn what_cannot_be_quantized_is_named() {
    let (mut maker, input) = Maker::new(SHAPE);
    let conv = maker.conv(input, 1, 1, 8, 1.0);
    let good = maker.graph.clone();
    if let Weights::Float(weights) = &mut maker.conv_of(conv).weights {
        weights[5] = f32::NAN;
    }
    let error = try_quantize(&maker.graph).unwrap_err().to_string();
    assert!(error.contains("node 0") && error.contains("not numbers"), "{error}");

    let mut graph = good.clone();
    graph.outputs.push(input);
    let error = try_quantize(&graph).unwrap_err().to_string();
    assert!(error.contains("2 outputs"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let data = noise_data(folder.path(), Shape::new(1, 1, 8));
    let error = quantize(&good, &data, &Options::default(), &|_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("6x6x8") && error.contains("1x1x8"), "{error}");

    let path = folder.path().join("bad.f32");
    std::fs::write(&path, [f32::NAN.to_le_bytes(); 288].concat()).unwrap();
    let data = Dataset::open(&[path], SHAPE, &DataOptions::default()).unwrap();
    let error = quantize(&good, &data, &Options::default(), &|_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("`input`") && error.contains("calibration input 0"), "{error}");
}

#[test]
fn constants_of_a_network_are_computed_once() {
    let (mut maker, input) = Maker::new(SHAPE);
    let values = Constant::Float(maker.noise.many(8));
    let constant = maker.node(Operator::Constant(values), &[], Shape::new(1, 1, 8));
    let gate = maker.same(Operator::Activation(Activation::Sigmoid), constant);
    maker.node(Operator::Mul, &[input, gate], SHAPE);
    let quantized = expect(&maker.graph, 33.0);
    assert_eq!(quantized.graph.nodes.len(), 1);
}
