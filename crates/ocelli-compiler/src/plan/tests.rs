//! Random small networks, run whole and under every division into stages that is drawn: the same bytes.

use ocelli::{Engine, Model, RunError, operator};
use ocelli_format::{Metadata, Numerics, Target};
use proptest::prelude::*;

use super::schedule::Way;
use super::schedule::{Stage, events};
use super::steps::Network;
use super::{Flow, Plan, by_sequence, laid_out, plan};
use crate::graph::{Attention, Axis, Padding, Quantization, Shape, TensorId, Window};
use crate::pack::{AlignedBytes, assemble};
use crate::quantized::{
    Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode, QuantizedTensor, UNBOUNDED,
};
use crate::targets::lower;

/// Numbers from a seed.
struct Random(u32);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as usize % count
    }

    fn byte(&mut self) -> i8 {
        self.below(256) as u8 as i8
    }
}

const QUANTIZATION: Quantization = Quantization { scale: 1.0, zero_point: -3 };

struct Maker {
    graph: QuantizedGraph,
    random: Random,
}

impl Maker {
    fn tensor(&mut self, shape: Shape) -> TensorId {
        let name = format!("tensor {}", self.graph.tensors.len());
        self.graph.tensors.push(QuantizedTensor { name, shape, quantization: QUANTIZATION, constant: None });
        TensorId(self.graph.tensors.len() - 1)
    }

    fn node(&mut self, operation: Operation, inputs: &[TensorId], shape: Shape) -> TensorId {
        let output = self.tensor(shape);
        let name = format!("node {}", self.graph.nodes.len());
        self.graph.nodes.push(QuantizedNode { name, operation, inputs: inputs.to_vec(), output });
        self.graph.output = output;
        output
    }

    fn shape(&self, id: TensorId) -> Shape {
        self.graph.tensor(id).shape
    }

    fn window(&mut self, shape: Shape, largest: usize) -> Option<(Window, [usize; 2])> {
        let kernel = [1 + self.random.below(largest), 1 + self.random.below(largest)];
        let stride = [1 + self.random.below(2), 1 + self.random.below(2)];
        let dilation = if self.random.below(4) == 0 { [2, 1] } else { [1, 1] };
        let mut side = |axis: usize| self.random.below(kernel[axis]);
        let padding = Padding { top: side(0), left: side(1), bottom: side(0), right: side(1) };
        let window = Window { kernel, stride, dilation, padding };
        let size = window.output(shape.height, shape.width)?;
        size.iter().all(|&size| size > 0).then_some((window, size))
    }

    fn conv(&mut self, input: TensorId, depthwise: bool) -> Option<TensorId> {
        let (window, _) = self.window(self.shape(input), 4)?;
        let channels = 1 + self.random.below(9);
        self.conv_of(input, depthwise, window, channels)
    }

    /// A depthwise convolution and a 1x1 convolution, as MobileNets have them, which targets make one layer of.
    fn separable(&mut self, input: TensorId) -> Option<TensorId> {
        let stride = 1 + self.random.below(2);
        let top = self.random.below(2);
        let padding = Padding { top, left: top, bottom: 1, right: 1 };
        let window = Window { kernel: [3; 2], stride: [stride; 2], dilation: [1; 2], padding };
        let middle = self.conv_of(input, true, window, 0)?;
        let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: Padding::default() };
        let channels = 1 + self.random.below(9);
        self.conv_of(middle, false, window, channels)
    }

    /// A convolution of so many output channels, or a depthwise one.
    fn conv_of(
        &mut self,
        input: TensorId,
        depthwise: bool,
        window: Window,
        channels: usize,
    ) -> Option<TensorId> {
        let shape = self.shape(input);
        let size = window.output(shape.height, shape.width)?;
        let [height, width] = size;
        if height == 0 || width == 0 {
            return None;
        }
        let channels = if depthwise { shape.channels } else { channels };
        let groups = if depthwise { shape.channels } else { 1 };
        Some(self.convolution(input, window, groups, Shape { height, width, channels }))
    }

    fn table(&mut self, input: TensorId) -> TensorId {
        let table = std::array::from_fn(|_| self.random.byte());
        self.node(Operation::Table(Box::new(table)), &[input], self.shape(input))
    }

    fn pointwise(&mut self, input: TensorId, channels: usize) -> TensorId {
        self.convolution(input, Window::pointwise(), 1, Shape { channels, ..self.shape(input) })
    }

    /// A residual branch with an attention in patches; what makes query, key and value may differ.
    fn bridge(&mut self, map: TensorId) -> Option<TensorId> {
        let shape = self.shape(map);
        let patch = [[2, 2], [1, 2], [2, 1], [1, 3], [4, 1]][self.random.below(5)];
        let divides = shape.height.is_multiple_of(patch[0]) && shape.width.is_multiple_of(patch[1]);
        if !divides {
            return None;
        }
        let heads = 1 + self.random.below(2);
        let [dimension, value_dimension] = [(); 2].map(|()| heads * (1 + self.random.below(3)));
        let norm = self.table(map);
        let other = if self.random.below(3) == 0 { self.table(norm) } else { norm };
        let query = self.pointwise(norm, dimension);
        let key = self.pointwise(other, dimension);
        let from = if self.random.below(3) == 0 { map } else { other };
        let value = self.pointwise(from, value_dimension);
        let attention = Attention { patch, key_patch: patch, ..Attention::of_heads(heads, 0.001) };
        let size = Shape { channels: value_dimension, ..shape };
        let attended = self.node(Operation::Attention(attention), &[query, key, value], size);
        let projected = self.pointwise(attended, shape.channels);
        let operands = if self.random.below(2) == 0 { [map, projected] } else { [projected, map] };
        Some(self.node(Operation::Add(UNBOUNDED), &operands, shape))
    }

    fn convolution(&mut self, input: TensorId, window: Window, groups: usize, output: Shape) -> TensorId {
        let (shape, channels) = (self.shape(input), output.channels);
        let taps = window.kernel[0] * window.kernel[1] * shape.channels / groups;
        let conv = QuantizedConv2d {
            window,
            groups,
            weights: (0..channels * taps).map(|_| self.random.byte()).collect(),
            weight_scales: vec![0.002; channels],
            bias: (0..channels).map(|_| self.random.below(2000) as i32 - 1000).collect(),
            bounds: UNBOUNDED,
            fully_connected: false,
        };
        self.node(Operation::Conv2d(conv), &[input], output)
    }

    /// One more node, on one of the last tensors; `None` where what was drawn does not fit.
    fn grow(&mut self, tensors: &[TensorId]) -> Option<TensorId> {
        let recent = tensors.len().min(3);
        let input = tensors[tensors.len() - 1 - self.random.below(recent)];
        let shape = self.shape(input);
        let like = |maker: &mut Self, fits: &dyn Fn(Shape) -> bool| {
            let others: Vec<TensorId> =
                tensors.iter().copied().filter(|&id| id != input && fits(maker.shape(id))).collect();
            (!others.is_empty()).then(|| others[maker.random.below(others.len())])
        };
        match self.random.below(17) {
            0..3 => self.conv(input, false),
            3 | 4 => self.conv(input, true),
            5 => Some(self.table(input)),
            10 | 11 => self.bridge(input),
            6 => {
                let other = like(self, &|of| of == shape)?;
                Some(self.node(Operation::Add(UNBOUNDED), &[input, other], shape))
            }
            7 => {
                let other = like(self, &|of| [of.height, of.width] == [shape.height, shape.width])?;
                let channels = shape.channels + self.shape(other).channels;
                Some(self.node(
                    Operation::Concat(Axis::Channels),
                    &[input, other],
                    Shape { channels, ..shape },
                ))
            }
            8 => {
                let padding =
                    Padding { top: self.random.below(3), left: 1, bottom: self.random.below(2), right: 0 };
                let output = Shape {
                    height: shape.height + padding.top + padding.bottom,
                    width: shape.width + 1,
                    channels: shape.channels,
                };
                Some(self.node(Operation::Pad { padding, value: 5 }, &[input], output))
            }
            9 => self.separable(input),
            13 => {
                // Squeeze and excite: the whole map gates itself.
                let mean = self.node(Operation::Mean, &[input], Shape::new(1, 1, shape.channels));
                let gate = self.table(mean);
                self.graph.tensors[gate.0].quantization.scale = 0.01;
                Some(self.node(Operation::Mul(UNBOUNDED), &[input, gate], shape))
            }
            14 => {
                // A fully connected layer sees all rows of the map in one.
                let flat = self.node(Operation::Reshape, &[input], Shape::new(1, 1, shape.len()));
                Some(self.pointwise(flat, 3))
            }
            12 => {
                let (window, [height, width]) = self.window(Shape { channels: 1, ..shape }, 3)?;
                let window = Window { dilation: [1, 1], ..window };
                let pool = Operation::AveragePool { window, count_include_pad: true, bounds: UNBOUNDED };
                let seen = window.output(shape.height, shape.width) == Some([height, width]);
                seen.then(|| self.node(pool, &[input], Shape { height, width, ..shape }))
            }
            _ => {
                let (window, [height, width]) = self.window(Shape { channels: 1, ..shape }, 3)?;
                let window = Window { dilation: [1, 1], ..window };
                let size = window.output(shape.height, shape.width);
                let seen = size == Some([height, width]);
                seen.then(|| {
                    self.node(
                        Operation::MaxPool(window, UNBOUNDED),
                        &[input],
                        Shape { height, width, ..shape },
                    )
                })
            }
        }
    }
}

/// A network without nodes.
fn empty() -> QuantizedGraph {
    QuantizedGraph {
        name: "random".into(),
        numerics: Numerics::Q32,
        target: Target::Portable,
        tensors: Vec::new(),
        nodes: Vec::new(),
        input: TensorId(0),
        output: TensorId(0),
    }
}

/// A network of a few nodes, the last of which is the output.
fn network(seed: u32) -> QuantizedGraph {
    let mut maker = Maker { graph: empty(), random: Random(seed | 1) };
    let mut shape =
        Shape::new(3 + maker.random.below(12), 2 + maker.random.below(11), 1 + maker.random.below(8));
    if maker.random.below(2) == 0 {
        // Patches divide it.
        (shape.height, shape.width) = (4 * shape.height.div_ceil(4), 2 * shape.width.div_ceil(2));
    }
    let mut tensors = vec![maker.tensor(shape)];
    for _ in 0..2 + maker.random.below(9) {
        if let Some(made) = maker.grow(&tensors) {
            tensors.push(made);
        }
    }
    if maker.graph.nodes.is_empty() {
        maker.table(TensorId(0));
    }
    maker.graph
}

/// The network with its attentions one sequence at a time, where they can be.
fn unfolded(graph: &QuantizedGraph) -> QuantizedGraph {
    let lowered = lower(graph, Target::Portable);
    by_sequence::by_sequence(&lowered).unwrap_or(lowered).graph
}

/// A division into stages; where rows cannot flow through what was drawn, its steps stand alone.
fn division(network: &Network, flow: &Flow, random: &mut Random) -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut start = 0;
    while start < network.steps.len() {
        let end = (start + 1 + random.below(6)).min(network.steps.len());
        let streamed = end > start + 1 || random.below(2) == 0;
        let stage = Stage { steps: start..end, streamed };
        let arrivals = start == 0 && flow.by_rows;
        if events(network, &stage, arrivals, &flow.ways).is_some() {
            stages.push(stage);
        } else {
            stages.extend((start..end).map(|step| Stage { steps: step..step + 1, streamed: false }));
        }
        start = end;
    }
    stages
}

/// Runs a plan between poisoned guards, in the ways there are, and after every misuse.
fn run(graph: &QuantizedGraph, plan: &Plan, input: &[i8]) -> Vec<i8> {
    const GUARD: usize = 64;
    let file = AlignedBytes::new(&assemble(graph, plan, &Metadata::default()).expect("it packs"));
    let model = Model::open(file.bytes()).expect("it opens");
    assert_eq!(model.arena_bytes(), plan.arena_bytes);
    let mut memory = vec![0xa5; plan.arena_bytes + 2 * GUARD];
    let short = &mut memory[GUARD..GUARD + plan.arena_bytes - 1];
    assert!(Engine::<{ operator::ALL }>::new(model, short).is_err(), "a byte less than stated");
    let mut outputs = Vec::new();
    {
        let arena = &mut memory[GUARD..GUARD + plan.arena_bytes];
        let mut engine = Engine::<{ operator::ALL }>::new(model, arena).expect("it starts");
        let (height, length) = (usize::from(model.input().height), model.input().row_len());
        outputs.push(engine.run(input).expect("it runs").to_vec());

        assert_eq!(engine.finish().err(), Some(RunError::MissingRows { expected: height, found: 0 }));
        engine.push_row(&input[..length]).expect("a row");
        assert_eq!(
            engine.push_row(&input[1..length]).err(),
            Some(RunError::RowLength { expected: length, found: length - 1 })
        );
        if height > 1 {
            let missing = RunError::MissingRows { expected: height, found: 1 };
            assert_eq!(engine.finish().err(), Some(missing));
        } else {
            engine.restart();
        }
        for row in input.chunks_exact(length) {
            engine.push_row(row).expect("a row");
        }
        assert_eq!(engine.push_row(&input[..length]).err(), Some(RunError::TooManyRows { expected: height }));
        outputs.push(engine.finish().expect("all rows came").to_vec());

        let resident = engine.input_mut();
        if !resident.is_empty() {
            resident.copy_from_slice(input);
            outputs.push(engine.invoke().expect("it runs").to_vec());
        }
        let unfit = engine.run(&input[1..]).err();
        assert_eq!(unfit, Some(RunError::InputLength { expected: input.len(), found: input.len() - 1 }));
        outputs.push(engine.run(input).expect("it runs again").to_vec());
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]), "ways to run differ");
    let (before, after) = (&memory[..GUARD], &memory[GUARD + plan.arena_bytes..]);
    assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "a guard was written");
    outputs.swap_remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_give_the_bytes_of_whole_maps(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(7919) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let graph = if random.below(3) > 0 { unfolded(&graph) } else { graph };
        let of = Network::of(&graph);
        let flow = Flow { by_rows, ways: vec![Way::default(); of.steps.len()] };
        let stages = division(&of, &flow, &mut random);
        let streamed = laid_out(&graph, &of, &stages, &flow).expect("rows flow through these stages");
        prop_assert!(streamed.peak_bytes + 2 * streamed.counters <= streamed.arena_bytes);
        prop_assert_eq!(run(&graph, &streamed, &input), expected);
    }

    #[test]
    fn all_targets_give_the_bytes_of_whole_maps(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(15_485_863) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let target = Target::ALL[random.below(Target::ALL.len())];
        let lowered = lower(&graph, target).graph;
        let of = Network::of(&lowered);
        // Each step alone or together, in as much memory as any.
        let way = |step: &super::steps::Step| Way {
            waits: of.at_once > 1 && random.below(2) == 0,
            scratch: random.below(step.scratch.len().max(1)),
        };
        let flow = Flow { by_rows, ways: of.steps.iter().map(way).collect() };
        let stages = division(&of, &flow, &mut random);
        let streamed = laid_out(&lowered, &of, &stages, &flow).expect("rows flow through these stages");
        prop_assert_eq!(run(&lowered, &streamed, &input), expected);
    }

    #[test]
    fn the_smallest_plan_gives_the_same_bytes(seed in any::<u32>(), by_rows: bool) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(104_729) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let whole = plan(&graph);
        let feed = if by_rows { ocelli::Feed::Rows } else { ocelli::Feed::Frame };
        let options = super::PlanOptions { feed, optimize: super::Optimize::Memory, arena_limit: None };
        let (lowered, smallest) = super::plan_for(&graph, Target::Portable, &options);
        prop_assert_eq!(run(&lowered.graph, &smallest, &input), run(&graph, &whole, &input));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_limit_gives_the_same_bytes(seed in any::<u32>(), by_rows: bool, part in 0..5usize) {
        let graph = network(seed);
        let mut random = Random(seed.wrapping_mul(86_028_121) | 1);
        let input: Vec<i8> = (0..graph.tensor(graph.input).shape.len()).map(|_| random.byte()).collect();
        let expected = run(&graph, &plan(&graph), &input);
        let target = Target::ALL[random.below(Target::ALL.len())];
        let feed = if by_rows { ocelli::Feed::Rows } else { ocelli::Feed::Frame };
        let options = |arena_limit| super::PlanOptions { feed, optimize: super::Optimize::Memory, arena_limit };
        let arena = |limit| super::plan_for(&graph, target, &options(limit)).1.arena_bytes;
        let [least, most] = [arena(Some(1)), plan(&lower(&graph, target).graph).arena_bytes];
        let limit = least + (most.saturating_sub(least)) * part / 4;
        let (lowered, limited) = super::plan_for(&graph, target, &options(Some(limit)));
        prop_assert!(limited.arena_bytes <= limit, "{} bytes, {} allowed", limited.arena_bytes, limit);
        prop_assert_eq!(run(&lowered.graph, &limited, &input), expected);
    }
}

/// Beside a map of four sequences there are the keys and values of one, whatever follows.
#[test]
fn a_bridge_holds_one_sequence() {
    let mut maker = Maker { graph: empty(), random: Random(5) };
    let (shape, heads) = (Shape::new(32, 32, 8), 4);
    let mut map = maker.tensor(Shape { channels: 1, ..shape });
    maker.graph.input = map;
    map = maker.pointwise(map, 8);
    for _ in 0..2 {
        let norm = maker.table(map);
        let [query, key, value] = [(); 3].map(|()| maker.pointwise(norm, 8));
        let attention = Attention { patch: [2, 2], key_patch: [2, 2], ..Attention::of_heads(heads, 0.001) };
        let attended = maker.node(Operation::Attention(attention), &[query, key, value], shape);
        let projected = maker.pointwise(attended, 8);
        map = maker.node(Operation::Add(UNBOUNDED), &[map, projected], shape);
    }
    let options =
        super::PlanOptions { feed: ocelli::Feed::Rows, optimize: super::Optimize::Memory, arena_limit: None };
    let whole = super::plan_with(&maker.graph, &options).arena_bytes;
    let (made, of_sequences) = super::plan_for(&maker.graph, Target::Portable, &options);
    let (map, row, sequences) = (32 * 32 * 8, 32 * 8, 4);
    let at_least = map + 2 * map / sequences;
    assert!(whole > 3 * map, "{whole}");
    assert!(
        (at_least..at_least + 8 * row).contains(&of_sequences.arena_bytes),
        "{}",
        of_sequences.arena_bytes
    );
    let folds = made.graph.nodes.iter().filter(|node| matches!(node.operation, Operation::Fold { .. }));
    assert_eq!(folds.count(), 2);

    let input: Vec<i8> = (0..32 * 32).map(|_| maker.random.byte()).collect();
    assert_eq!(run(&made.graph, &of_sequences, &input), run(&maker.graph, &plan(&maker.graph), &input));
    let file =
        AlignedBytes::new(&assemble(&made.graph, &of_sequences, &Metadata::default()).expect("it packs"));
    let mut arena = vec![0; of_sequences.arena_bytes];
    let model = Model::open(file.bytes()).expect("it opens");
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).expect("it starts");
    let mut folded = Vec::new();
    let observe = |_, step: &ocelli::Step<'_>, rows: std::ops::Range<usize>, values: &[i8]| {
        if step.operator == ocelli::Operator::Fold {
            assert_eq!(values.len(), if rows == (0..32) { shape.len() } else { 0 });
            folded = values.to_vec();
        }
    };
    let output = engine.run_observed(&input, observe).expect("it runs").to_vec();
    assert_eq!(folded, output, "the last map that is folded is the output");
}

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

#[test]
fn mobilenet_v2_at_144_fed_by_rows_takes_40_kib() {
    let graph = mobilenet_v2(144);
    let options = super::PlanOptions {
        feed: ocelli::Feed::Rows,
        optimize: super::Optimize::Memory,
        arena_limit: Some(40 << 10),
    };
    for target in [Target::Portable, Target::Dsp] {
        let (_, plan) = super::plan_for(&graph, target, &options);
        assert!(plan.arena_bytes <= 40 << 10, "{} bytes for {}", plan.arena_bytes, target.name());
    }
}
