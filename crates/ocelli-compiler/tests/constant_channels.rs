//! Networks without their constant channels give the same bytes.

use ocelli::{Engine, Model, operator, test_bytes};
use ocelli_compiler::graph::{Padding, Quantization, Shape, TensorId, Window};
use ocelli_compiler::pack::{AlignedBytes, pack};
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::constant_channels::fold;
use ocelli_compiler::quantized::{
    Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode, QuantizedTensor, UNBOUNDED,
};
use ocelli_format::{Metadata, Numerics, Target};
use proptest::prelude::*;

/// What makes one output channel of a convolution.
#[derive(Clone, Copy, Debug)]
enum Filter {
    Random,
    /// All weights zero: constant at its bias.
    Zero,
    /// A bias far below any activation: constant at the lower end of the range.
    Closed,
}

#[derive(Clone, Debug)]
struct Layer {
    filters: Vec<Filter>,
    kernel: usize,
    stride: usize,
    padded: bool,
    depthwise: bool,
    zero_point: i8,
}

struct Builder {
    graph: QuantizedGraph,
    noise: Box<dyn Iterator<Item = i8>>,
}

impl Builder {
    fn new(numerics: Numerics, shape: Shape, seed: u32) -> Self {
        let quantization = Quantization { scale: 0.05, zero_point: 3 };
        let input = QuantizedTensor { name: "input".into(), shape, quantization, constant: None };
        let graph = QuantizedGraph {
            name: "random".into(),
            numerics,
            target: Target::Portable,
            tensors: vec![input],
            nodes: Vec::new(),
            input: TensorId(0),
            output: TensorId(0),
        };
        Self { graph, noise: Box::new(test_bytes(seed)) }
    }

    fn push(&mut self, operation: Operation, inputs: Vec<TensorId>, shape: Shape, zero_point: i8) {
        let output = TensorId(self.graph.tensors.len());
        let quantization = Quantization { scale: 0.05, zero_point };
        let name = format!("t{}", output.0);
        self.graph.tensors.push(QuantizedTensor { name: name.clone(), shape, quantization, constant: None });
        self.graph.nodes.push(QuantizedNode { name, operation, inputs, output });
        self.graph.output = output;
    }

    fn layer(&mut self, layer: &Layer) {
        let input = self.graph.output;
        let shape = self.graph.tensor(input).shape;
        let kernel = layer.kernel.min(shape.height).min(shape.width);
        let border = if layer.padded { kernel / 2 } else { 0 };
        let padding = Padding { top: border, left: border, bottom: border, right: border };
        let window = Window { kernel: [kernel; 2], stride: [layer.stride; 2], dilation: [1, 1], padding };
        let [height, width] = window.output(shape.height, shape.width).expect("it fits");
        let outputs = if layer.depthwise { shape.channels } else { layer.filters.len() };
        let taps = kernel * kernel * if layer.depthwise { 1 } else { shape.channels };
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for channel in 0..outputs {
            let filter = layer.filters[channel % layer.filters.len()];
            for _ in 0..taps {
                let weight = self.noise.next().expect("it never ends").max(-127);
                weights.push(if matches!(filter, Filter::Zero) { 0 } else { weight });
            }
            let small = i32::from(self.noise.next().expect("it never ends")) * 20;
            bias.push(if matches!(filter, Filter::Closed) { -4_000_000 } else { small });
        }
        let conv = QuantizedConv2d {
            window,
            groups: if layer.depthwise { shape.channels } else { 1 },
            weights,
            weight_scales: vec![0.004; outputs],
            bias,
            bounds: UNBOUNDED,
            fully_connected: false,
        };
        self.push(Operation::Conv2d(conv), vec![input], Shape::new(height, width, outputs), layer.zero_point);
    }

    /// A residual branch around the last tensor: `x + table(x)`.
    fn residual(&mut self) {
        let input = self.graph.output;
        let shape = self.graph.tensor(input).shape;
        let zero_point = self.graph.tensor(input).quantization.zero_point;
        let table = Box::new(std::array::from_fn(|index| (index / 2) as i8));
        self.push(Operation::Table(table), vec![input], shape, zero_point);
        self.push(Operation::Add(UNBOUNDED), vec![input, self.graph.output], shape, zero_point);
    }
}

fn run(graph: &QuantizedGraph) -> Vec<i8> {
    let file = pack(graph, &plan(graph), Metadata::default()).expect("it packs");
    let file = AlignedBytes::new(&file);
    let model = Model::open(file.bytes()).expect("it opens");
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).expect("it starts");
    let mut outputs = Vec::new();
    for seed in 1..6 {
        let input: Vec<i8> = test_bytes(seed).take(engine.model().input().len()).collect();
        outputs.extend_from_slice(engine.run(&input).expect("it runs").values());
    }
    outputs
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![3 => Just(Filter::Random), 1 => Just(Filter::Zero), 2 => Just(Filter::Closed)]
}

prop_compose! {
    fn layer()(
        filters in prop::collection::vec(filter(), 1..7), kernel in prop_oneof![Just(1usize), Just(3)], stride in 1usize..3,
        padded: bool, depthwise: bool, zero_point in prop_oneof![Just(-128i8), Just(0), any::<i8>()],
    ) -> Layer {
        Layer { filters, kernel, stride, padded, depthwise, zero_point }
    }
}

proptest! {
    #[test]
    fn outputs_stay_the_same(
        layers in prop::collection::vec((layer(), any::<bool>()), 2..6), size in 1usize..9, channels in 1usize..5, tflite: bool,
        seed in 1u32..1000,
    ) {
        let numerics = if tflite { Numerics::TfLite } else { Numerics::Q32 };
        let mut builder = Builder::new(numerics, Shape::new(size, size, channels), seed);
        for (layer, residual) in &layers {
            builder.layer(layer);
            if *residual {
                builder.residual();
            }
        }
        let mut graph = builder.graph;
        let expected = run(&graph);
        fold(&mut graph);
        prop_assert_eq!(run(&graph), expected);
    }
}

#[test]
fn closed_filters_leave_the_network() {
    let mut builder = Builder::new(Numerics::Q32, Shape::new(8, 8, 3), 1);
    let closed = Layer {
        filters: vec![Filter::Random, Filter::Closed, Filter::Zero, Filter::Random],
        kernel: 3,
        stride: 1,
        padded: true,
        depthwise: false,
        zero_point: -128,
    };
    builder.layer(&closed);
    builder.layer(&Layer { filters: vec![Filter::Random; 4], depthwise: true, ..closed.clone() });
    builder.layer(&Layer { filters: vec![Filter::Random; 5], kernel: 1, ..closed });
    let mut graph = builder.graph;
    let macs = |graph: &QuantizedGraph| graph.nodes.iter().map(|node| graph.macs(node)).sum::<u64>();
    let before = macs(&graph);
    assert!(fold(&mut graph) >= 2);
    assert!(macs(&graph) < before * 4 / 5, "{} of {before}", macs(&graph));
}
