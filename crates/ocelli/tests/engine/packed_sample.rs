//! A model for a target: every packed operator, in the shapes for which kernels have ways of their own.

use ocelli::{Operator, Target};
use ocelli_format::Metadata;
use ocelli_format::operator::{PackedConvRecord, PackedSeparableConvRecord};
use ocelli_kernels::arch::armv6m::Armv6m;
use ocelli_kernels::arch::armv7m::Armv7m;
use ocelli_kernels::arch::dsp::Dsp;
use ocelli_kernels::arch::helium::Helium;
use ocelli_kernels::arch::rv32::Rv32;
use ocelli_kernels::arch::{Arch, ConvShape, Parameters, SeparableShape};
use ocelli_kernels::{Q32, Q32Channel, Rule, TfLite, TfLiteChannel, Window};

use crate::network::{Network, Shape, run};
use crate::sample::{bytes, window};

/// The targets that have packed operators.
pub const TARGETS: [Target; 5] = [Target::Dsp, Target::Helium, Target::Armv7m, Target::Armv6m, Target::Rv32];

const BOUNDS: [i8; 2] = [-110, 120];

/// Bytes of scratch that suffice for all steps, so that files stay the same where kernels want more or less of it.
const SCRATCH: u16 = 4096;

/// The file for a target, with the self-test that the engine gives.
pub fn file(target: Target) -> Vec<u8> {
    const SEED: u32 = 20_261_123;
    let (network, input, output, shape) = match target {
        Target::Dsp => build::<Dsp>(),
        Target::Helium => build::<Helium>(),
        Target::Armv7m => build::<Armv7m>(),
        Target::Armv6m => build::<Armv6m>(),
        Target::Rv32 => build::<Rv32>(),
        Target::Portable => panic!("it has no packed operators"),
    };
    let mut metadata =
        Metadata { name: format!("every operator packed for {}", target.name()), ..Metadata::default() };
    let file = |metadata: &Metadata| network.file_for(target, input, output, metadata);
    let values = shape.into_iter().map(usize::from).product();
    let answer = run(&file(&metadata), &bytes(SEED, values)).unwrap();
    metadata.self_test = Some((SEED, answer));
    file(&metadata)
}

fn build<A: Arch>() -> (Network, u16, u16, Shape) {
    let shape = [7, 5, 3];
    let mut network = Network::default();
    let input = network.tensor(shape, 0.02, -128);
    let scratch = network.tensor([1, 1, SCRATCH], 1.0, 0);
    let mut maker =
        Maker { network, scratch, last: Last { tensor: input, shape, zero_point: -128 }, seed: 1 };
    maker.conv::<A, Q32>(window([3, 3], 2, 1, 1), [4, 3, 8]);
    maker.conv::<A, Q32>(window([3, 3], 1, 1, 1), [4, 3, 6]);
    maker.depthwise::<A, Q32>(window([3, 3], 1, 1, 1), [4, 3, 6]);
    maker.separable::<A, Q32>(window([3, 3], 2, 1, 1), [2, 2, 9], true);
    maker.conv::<A, TfLite>(window([1, 1], 1, 1, 0), [2, 2, 4]);
    maker.conv::<A, TfLite>(window([3, 3], 1, 1, 1), [2, 2, 5]);
    maker.depthwise::<A, TfLite>(window([3, 3], 1, 1, 1), [2, 2, 5]);
    maker.separable::<A, TfLite>(window([3, 3], 1, 1, 1), [2, 2, 18], true);
    maker.separable::<A, TfLite>(window([3, 3], 2, 1, 1), [1, 1, 7], false);
    (maker.network, input, maker.last.tensor, shape)
}

/// Parameters that all targets compute exactly.
trait Channels: Rule {
    const OPERATORS: [Operator; 3];

    fn rule(zero_point: i8) -> Self;

    fn channel(index: usize) -> Self::Channel;
}

impl Channels for Q32 {
    const OPERATORS: [Operator; 3] =
        [Operator::PackedConv2dQ32, Operator::PackedDepthwiseConv2dQ32, Operator::PackedSeparableConv2dQ32];

    fn rule(_zero_point: i8) -> Self {
        Q32
    }

    fn channel(index: usize) -> Q32Channel {
        Q32Channel { bias: 700 - 450 * index as i32, multiplier: (300 + index as i32) << 16 }
    }
}

impl Channels for TfLite {
    const OPERATORS: [Operator; 3] = [
        Operator::PackedConv2dTfLite,
        Operator::PackedDepthwiseConv2dTfLite,
        Operator::PackedSeparableConv2dTfLite,
    ];

    fn rule(zero_point: i8) -> Self {
        let [min, max] = BOUNDS.map(i32::from);
        TfLite { zero_point: zero_point.into(), min, max }
    }

    fn channel(index: usize) -> TfLiteChannel {
        TfLiteChannel { bias: 300 - 170 * index as i32, multiplier: 0x5a3c_7e19 + index as i32, shift: -6 }
    }
}

struct Maker {
    network: Network,
    scratch: u16,
    last: Last,
    seed: u32,
}

#[derive(Clone, Copy)]
struct Last {
    tensor: u16,
    shape: Shape,
    zero_point: i8,
}

impl Maker {
    /// An output tensor with a zero point of its own, and the shape of the convolution that makes it.
    fn next(&mut self, window: Window, shape: Shape) -> (Last, ConvShape) {
        let zero_point = (self.seed * 11 % 40) as i8 - 20;
        let Last { shape: from, zero_point: zero_point_in, .. } = self.last;
        let output = self.network.tensor(shape, 0.05, zero_point);
        let [input, output_axes] = [from, shape].map(|shape| shape.map(usize::from));
        let conv = ConvShape { window, input, output: output_axes, zero_point: zero_point_in };
        (Last { tensor: output, shape, zero_point }, conv)
    }

    fn weights(&mut self, length: usize) -> Vec<i8> {
        self.seed += 1;
        // The least weight has no place in pairs of channels.
        bytes(self.seed, length).into_iter().map(|weight| weight.max(-127)).collect()
    }

    fn step<T: zerocopy::IntoBytes + zerocopy::Immutable>(
        &mut self,
        operator: Operator,
        record: &T,
        scratch: usize,
        output: Last,
    ) {
        assert!(scratch <= SCRATCH.into());
        self.network.writer.step(operator, &[self.last.tensor, self.scratch], output.tensor, record);
        self.last = output;
    }

    fn conv<A: Arch, R: Channels>(&mut self, window: Window, shape: Shape) {
        let (output, conv) = self.next(window, shape);
        let weights = self.weights(conv.output[2] * taps(&window) * conv.input[2]);
        let channels: Vec<R::Channel> = (0..conv.output[2]).map(R::channel).collect();
        let parameters =
            Parameters { rule: R::rule(output.zero_point), channels: &channels, weights: &weights };
        let mut words = vec![0; A::conv_words::<R>(&conv).expect("a kernel")];
        A::pack_conv(&conv, &parameters, &mut words).expect("exact");
        let record = self.record(window, &words);
        self.step(R::OPERATORS[0], &record, A::conv_scratch::<R>(&conv), output);
    }

    fn depthwise<A: Arch, R: Channels>(&mut self, window: Window, shape: Shape) {
        let (output, conv) = self.next(window, shape);
        let weights = self.weights(taps(&window) * conv.output[2]);
        let channels: Vec<R::Channel> = (0..conv.output[2]).map(R::channel).collect();
        let parameters =
            Parameters { rule: R::rule(output.zero_point), channels: &channels, weights: &weights };
        let mut words = vec![0; A::depthwise_words::<R>(&conv).expect("a kernel")];
        A::pack_depthwise(&conv, &parameters, &mut words).expect("exact");
        let record = self.record(window, &words);
        self.step(R::OPERATORS[1], &record, A::depthwise_scratch::<R>(&conv), output);
    }

    fn separable<A: Arch, R: Channels>(&mut self, window: Window, shape: Shape, table: bool) {
        const MIDDLE: i8 = 9;
        let (output, mut conv) = self.next(window, shape);
        let [_, _, middle] = conv.input;
        conv.output[2] = middle;
        let separable = SeparableShape { depthwise: conv, outputs: shape[2].into() };
        let first_weights = self.weights(taps(&window) * middle);
        let second_weights = self.weights(middle * separable.outputs);
        let channels: Vec<R::Channel> = (0..middle.max(separable.outputs)).map(R::channel).collect();
        let first =
            Parameters { rule: R::rule(MIDDLE), channels: &channels[..middle], weights: &first_weights };
        let second = Parameters {
            rule: R::rule(output.zero_point),
            channels: &channels[..separable.outputs],
            weights: &second_weights,
        };
        let mut words = vec![0; A::separable_words::<R>(&separable).expect("a kernel")];
        A::pack_separable(&separable, [&first, &second], &mut words).expect("exact");
        let [min, max] = BOUNDS;
        let function: [i8; 256] = std::array::from_fn(|index| (index as i32 * 3 / 4 - 100) as i8);
        let table = table.then(|| self.network.writer.weights(&function));
        let record = PackedSeparableConvRecord {
            window,
            packed: self.network.writer.packed(&words),
            words: words.len() as u32,
            table: table.unwrap_or(PackedSeparableConvRecord::NO_TABLE),
            middle_min: min,
            middle_max: max,
            middle_zero_point: MIDDLE,
            min,
            max,
            reserved: [0; 3],
        };
        self.step(R::OPERATORS[2], &record, A::separable_scratch::<R>(&separable), output);
    }

    fn record(&mut self, window: Window, words: &[u32]) -> PackedConvRecord {
        let [min, max] = BOUNDS;
        let packed = self.network.writer.packed(words);
        PackedConvRecord { window, packed, words: words.len() as u32, min, max, reserved: [0; 2] }
    }
}

fn taps(window: &Window) -> usize {
    window.kernel.into_iter().map(usize::from).product()
}
