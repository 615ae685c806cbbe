//! A network made hard on purpose: one channel of an expansion is 500 times as large as it was, and the next layer takes it back.

mod digits_common;

use digits_common::{evaluated, graph};
use ocelli_compiler::graph::{Activation, Bias, Graph, Operator, Weights};
use ocelli_compiler::quantize::Options;

const FACTOR: f32 = 500.0;
const CHANNEL: usize = 3;

/// The digits network, whose first expansion has one channel that takes nearly all of the range. No activation there reaches 6, so that the
/// clip at 6 can be dropped without changing what the network computes.
fn hard() -> Graph {
    let mut graph = graph();
    let depthwise = (0..graph.nodes.len())
        .filter(|&node| matches!(&graph.nodes[node].operator, Operator::Conv2d(conv) if conv.groups > 1))
        .nth(1)
        .expect("a depthwise convolution behind an expansion");
    let clip = graph.producer(graph.nodes[depthwise].inputs[0]).expect("it reads a clip");
    let expansion = graph.producer(graph.nodes[clip].inputs[0]).expect("it reads a convolution");
    graph.nodes[clip].operator = Operator::Activation(Activation::Clip { min: 0.0, max: f32::INFINITY });
    for (node, factor) in [(expansion, FACTOR), (depthwise, 1.0 / FACTOR)] {
        let Operator::Conv2d(conv) = &mut graph.nodes[node].operator else { panic!("a convolution") };
        let (Weights::Float(weights), Bias::Float(bias)) = (&mut conv.weights, &mut conv.bias) else {
            panic!("a float network")
        };
        let taps = weights.len() / bias.len();
        weights[CHANNEL * taps..][..taps].iter_mut().for_each(|weight| *weight *= factor);
        if factor > 1.0 {
            bias[CHANNEL] *= factor;
        }
    }
    graph
}

#[test]
fn one_channel_of_500_times_the_size_costs_at_most_half_a_point() {
    let easy = evaluated(&graph(), &Options { samples: 100, ..Options::default() });
    let found = evaluated(&hard(), &Options { samples: 100, ..Options::default() });
    let accuracy = found.accuracy.unwrap();
    assert!(accuracy.float_percent >= easy.accuracy.unwrap().float_percent - 0.3, "{accuracy:?}");
    assert!(accuracy.int8_percent >= accuracy.float_percent - 0.5, "{accuracy:?}");
    println!("{:.1} dB, {:.1} dB before", found.sqnr_db, easy.sqnr_db);
    assert!(found.sqnr_db > easy.sqnr_db - 3.0, "{} dB, {} dB before", found.sqnr_db, easy.sqnr_db);
}
