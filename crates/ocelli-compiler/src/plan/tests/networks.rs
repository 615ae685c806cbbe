//! Networks that are known by name, with arbitrary weights: what their arenas take.

use ocelli_format::Target;

use super::maker::{Maker, Random, empty};
use crate::graph::{Attention, Axis, Norm, NormExtent, Padding, Shape, TensorId, Window};
use crate::plan::{Optimize, PlanOptions, plan_for};
use crate::quantized::{Operation, QuantizedGraph, UNBOUNDED};

/// MobileNetV2 of width 0.35, as Keras has it, for a square picture; its weights are arbitrary.
fn mobilenet_v2(side: usize) -> QuantizedGraph {
    let mut maker = Maker { graph: empty(), random: Random(1) };
    let conv = |maker: &mut Maker, input: TensorId, channels: usize, side: usize, stride: usize| {
        let depthwise = channels == 0;
        let of = maker.shape(input);
        let padding = match (side, stride) {
            (1, _) => Padding::default(),
            // TensorFlow's: what is left over is on the right and below.
            (_, 2) if of.height.is_multiple_of(2) => Padding { bottom: 1, right: 1, ..Padding::default() },
            _ => Padding { top: 1, left: 1, bottom: 1, right: 1 },
        };
        let window = Window { kernel: [side; 2], stride: [stride; 2], dilation: [1; 2], padding };
        let channels = if depthwise { of.channels } else { channels };
        maker.conv_of(input, depthwise, window, channels).expect("it fits")
    };
    let mut last = maker.tensor(Shape::new(side, side, 3));
    last = conv(&mut maker, last, 16, 3, 2);
    let blocks = [
        (1, 8, 1, 1),
        (6, 8, 2, 2),
        (6, 16, 3, 2),
        (6, 24, 4, 2),
        (6, 32, 3, 1),
        (6, 56, 3, 2),
        (6, 112, 1, 1),
    ];
    for (expansion, channels, count, stride) in blocks {
        for index in 0..count {
            let (input, stride) = (last, if index == 0 { stride } else { 1 });
            if expansion > 1 {
                let expanded = maker.shape(last).channels * expansion;
                last = conv(&mut maker, last, expanded, 1, 1);
            }
            last = conv(&mut maker, last, 0, 3, stride);
            last = conv(&mut maker, last, channels, 1, 1);
            if index > 0 {
                let shape = maker.shape(last);
                last = maker.node(Operation::Add(UNBOUNDED), &[last, input], shape);
            }
        }
    }
    last = conv(&mut maker, last, 1280, 1, 1);
    last = maker.node(Operation::Mean, &[last], Shape::new(1, 1, 1280));
    conv(&mut maker, last, 10, 1, 1);
    maker.graph
}

/// MobileViT-XXS, as timm has it, for a square picture; its weights are arbitrary.
struct MobileVit(Maker);

impl MobileVit {
    fn of(side: usize) -> QuantizedGraph {
        let mut network = Self(Maker { graph: empty(), random: Random(1) });
        let mut last = network.0.tensor(Shape::new(side, side, 3));
        last = network.activated(last, 16, 3, 2);
        for (channels, stride) in [(16, 1), (24, 2), (24, 1), (24, 1), (48, 2)] {
            last = network.inverted(last, channels, stride);
        }
        last = network.bridge(last, 64, 2);
        last = network.inverted(last, 64, 2);
        last = network.bridge(last, 80, 4);
        last = network.inverted(last, 80, 2);
        last = network.bridge(last, 96, 3);
        last = network.activated(last, 320, 1, 1);
        last = network.0.node(Operation::Mean, &[last], Shape::new(1, 1, 320));
        network.0.pointwise(last, 1000);
        network.0.graph
    }

    /// A convolution, or with no channels a depthwise one.
    fn conv(&mut self, input: TensorId, channels: usize, side: usize, stride: usize) -> TensorId {
        let edge = side / 2;
        let padding = Padding { top: edge, left: edge, bottom: edge, right: edge };
        let window = Window { kernel: [side; 2], stride: [stride; 2], dilation: [1; 2], padding };
        self.0.conv_of(input, channels == 0, window, channels).expect("it fits")
    }

    /// The same, and SiLU.
    fn activated(&mut self, input: TensorId, channels: usize, side: usize, stride: usize) -> TensorId {
        let made = self.conv(input, channels, side, stride);
        self.0.table(made)
    }

    fn inverted(&mut self, input: TensorId, channels: usize, stride: usize) -> TensorId {
        let of = self.0.shape(input);
        let expanded = self.activated(input, 2 * of.channels, 1, 1);
        let middle = self.activated(expanded, 0, 3, stride);
        let made = self.conv(middle, channels, 1, 1);
        if stride == 1 && of.channels == channels { self.add(made, input) } else { made }
    }

    fn add(&mut self, first: TensorId, second: TensorId) -> TensorId {
        let shape = self.0.shape(first);
        self.0.node(Operation::Add(UNBOUNDED), &[first, second], shape)
    }

    fn norm(&mut self, input: TensorId) -> TensorId {
        let shape = self.0.shape(input);
        let (gamma, beta) = (vec![1.0; shape.channels], vec![0.0; shape.channels]);
        let norm = Norm { centered: true, over: NormExtent::Channels, epsilon: 1e-5, gamma, beta };
        self.0.node(Operation::Norm(norm), &[input], shape)
    }

    fn bridge(&mut self, input: TensorId, dimension: usize, depth: usize) -> TensorId {
        let channels = self.0.shape(input).channels;
        let local = self.activated(input, channels, 3, 1);
        let mut map = self.conv(local, dimension, 1, 1);
        let shape = self.0.shape(map);
        for _ in 0..depth {
            let norm = self.norm(map);
            let of_attention = [(); 3].map(|()| self.0.pointwise(norm, dimension));
            let attention = Attention { patch: [2, 2], key_patch: [2, 2], ..Attention::of_heads(4, 0.0001) };
            let attended = self.0.node(Operation::Attention(attention), &of_attention, shape);
            let projected = self.0.pointwise(attended, dimension);
            map = self.add(map, projected);
            let norm = self.norm(map);
            let hidden = self.activated(norm, 2 * dimension, 1, 1);
            let made = self.0.pointwise(hidden, dimension);
            map = self.add(map, made);
        }
        let norm = self.norm(map);
        let projected = self.activated(norm, channels, 1, 1);
        let size = Shape { channels: 2 * channels, ..shape };
        let both = self.0.node(Operation::Concat(Axis::Channels), &[input, projected], size);
        self.activated(both, channels, 3, 1)
    }
}

/// Bytes of the arena of a network that is fed by rows.
fn arena(graph: &QuantizedGraph, target: Target, arena_limit: Option<usize>) -> usize {
    let options = PlanOptions { feed: ocelli::Feed::Rows, optimize: Optimize::Memory, arena_limit };
    plan_for(graph, target, &options).1.arena_bytes
}

#[test]
fn mobilenet_v2_at_144_fed_by_rows_takes_40_kib() {
    let graph = mobilenet_v2(144);
    for target in [Target::Portable, Target::Dsp] {
        let bytes = arena(&graph, target, Some(40 << 10));
        assert!(bytes <= 40 << 10, "{bytes} bytes for {}", target.name());
    }
}

/// At 256x256 without a limit, so at few instructions more than those of whole maps, by the planner's estimate.
#[test]
fn mobilevit_xxs_takes_160_kib_at_256_and_45_kib_at_128() {
    for (side, limit, most) in [(256, None, 160 << 10), (128, Some(45 << 10), 45 << 10)] {
        let bytes = arena(&MobileVit::of(side), Target::Dsp, limit);
        assert!(bytes <= most, "{bytes} bytes at {side}");
    }
}
