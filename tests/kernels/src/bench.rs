//! Micro-benchmarks: the instructions of one call on fixed shapes.

use ocelli_kernels::arch::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use ocelli_kernels::attention::{Attention, scratch_bytes};
use ocelli_kernels::elementwise::{self, AddTfLite};
use ocelli_kernels::norm::Norm;
use ocelli_kernels::pool::AveragePool;
use ocelli_kernels::{Map, Q32, Q32Channel, TfLite, TfLiteChannel, Window};
use zerocopy::{FromBytes, IntoBytes};

use crate::attention::exponentials;
use crate::convolution::{pack, portable_conv, portable_depthwise};
use crate::memory::Workspace;
use crate::random::Random;
use crate::rows::whole;
use crate::rule::DrawRule;
use crate::separable::pointwise;

/// What a benchmark calls.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// Kernel, stride, side of the output, input and output channels.
    Conv([u16; 2], u16, usize, [usize; 2]),
    /// Kernel, stride, side of the output, channels.
    Depthwise([u16; 2], u16, usize, usize),
    /// Stride, side of the output, input and output channels: 3x3 depthwise, then 1x1.
    Separable(u16, usize, [usize; 2]),
    /// Values.
    Add(usize),
    /// Tokens, heads, head dimension.
    Attention(usize, usize, usize),
    /// Pixels and channels.
    Norm(usize, usize),
    /// Side of the input, channels: a mean over the whole map.
    Average(usize, usize),
    /// Values.
    Table(usize),
}

/// A fixed shape under a rule.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// Shape in words, without blanks.
    pub name: &'static str,
    call: Call,
    /// Whether there is a `TfLite` variant, too.
    two_rules: bool,
}

const fn both(name: &'static str, call: Call) -> Benchmark {
    Benchmark { name, call, two_rules: true }
}

const fn one(name: &'static str, call: Call) -> Benchmark {
    Benchmark { name, call, two_rules: false }
}

/// All benchmarks.
pub const BENCHMARKS: &[Benchmark] = &[
    both("pointwise 16->32 @24", Call::Conv([1, 1], 1, 24, [16, 32])),
    both("pointwise 64->64 @12", Call::Conv([1, 1], 1, 12, [64, 64])),
    both("pointwise 256->256 @3", Call::Conv([1, 1], 1, 3, [256, 256])),
    both("conv 3x3 s2 3->8 @48", Call::Conv([3, 3], 2, 48, [3, 8])),
    both("conv 3x3 16->16 @32", Call::Conv([3, 3], 1, 32, [16, 16])),
    both("conv 3x3 64->64 @8", Call::Conv([3, 3], 1, 8, [64, 64])),
    both("depthwise 3x3 8 @48", Call::Depthwise([3, 3], 1, 48, 8)),
    both("depthwise 3x3 128 @6", Call::Depthwise([3, 3], 1, 6, 128)),
    both("depthwise 3x3 s2 64 @12", Call::Depthwise([3, 3], 2, 12, 64)),
    both("separable 64->64 @12", Call::Separable(1, 12, [64, 64])),
    both("separable 8->16 @48", Call::Separable(1, 48, [8, 16])),
    both("separable s2 64->128 @6", Call::Separable(2, 6, [64, 128])),
    both("add 4096", Call::Add(4096)),
    one("table 4096", Call::Table(4096)),
    both("average 256 @3", Call::Average(3, 256)),
    one("norm 64x64", Call::Norm(64, 64)),
    one("attention 64 tokens 4x16", Call::Attention(64, 4, 16)),
];

/// What a call took.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// Under the `TfLite` rule, not `Q32`.
    pub tflite: bool,
    /// Instructions of one call.
    pub instructions: u64,
    /// Multiplications of a convolution or attention, else values.
    pub operations: usize,
    /// Whose kernel and parameters it was.
    pub form: Form,
}

/// Whose kernel and parameters a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The architecture's kernel, with packed parameters.
    Packed,
    /// The portable kernel, because the architecture has none for this convolution.
    Portable,
    /// What the architecture has for this operator, which may be the portable kernel.
    Unpacked,
}

impl Form {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Portable => "portable",
            Self::Unpacked => "-",
        }
    }

    fn of(packed: Option<&[u32]>) -> Self {
        if packed.is_some() { Self::Packed } else { Self::Portable }
    }
}

/// What repeated calls of a function take together, at least: ticks of counters then count for little.
const LONG: u64 = 400_000;

/// Instructions of one call, from a counter that may tick coarsely.
fn instructions(counter: &impl Fn() -> u64, mut call: impl FnMut() -> Option<()>) -> Option<u64> {
    let mut repeat = |calls: u64| {
        let start = counter();
        (0..calls).try_for_each(|_| call())?;
        Some(counter() - start)
    };
    let calls = LONG.div_ceil(repeat(1)?.max(1));
    Some((repeat(calls)? + calls / 2) / calls)
}

impl Benchmark {
    /// Measures it under each rule that it has; `counter` counts instructions from some moment on. `None` where a kernel refuses.
    pub fn measure<A: Arch>(
        &self,
        workspace: &mut Workspace,
        counter: &impl Fn() -> u64,
        mut seen: impl FnMut(Measurement),
    ) -> Option<()> {
        seen(self.measure_rule::<A, Q32>(workspace, counter)?);
        if self.two_rules {
            seen(self.measure_rule::<A, TfLite>(workspace, counter)?);
        }
        Some(())
    }

    fn measure_rule<A: Arch, R: DrawRule>(
        &self,
        workspace: &mut Workspace,
        counter: &impl Fn() -> u64,
    ) -> Option<Measurement> {
        let random = Random::new(1);
        workspace.inputs.iter_mut().for_each(|input| random.garbage(input));
        let weights = workspace.weights.iter_mut().flatten();
        weights.for_each(|weight| *weight = random.within(-127, 127) as i8);
        let of = |instructions: u64, operations: usize| Measurement {
            tflite: R::TFLITE,
            instructions,
            operations,
            form: Form::Unpacked,
        };
        let Workspace { inputs: [input, other, third], expected, scratch, exponentials: table, .. } =
            workspace;
        Some(match self.call {
            Call::Conv(kernel, stride, side, [inputs, outputs]) => conv::<A, R, false>(
                &random,
                workspace,
                &square(kernel, stride, side, [inputs, outputs]),
                counter,
            )?,
            Call::Depthwise(kernel, stride, side, channels) => {
                conv::<A, R, true>(&random, workspace, &square(kernel, stride, side, [channels; 2]), counter)?
            }
            Call::Separable(stride, side, [inputs, outputs]) => {
                let depthwise = square([3, 3], stride, side, [inputs; 2]);
                separable::<A, R>(&random, workspace, &SeparableShape { depthwise, outputs }, counter)?
            }
            Call::Add(length) => {
                let (data, other) = (&mut input[..length], &other[..length]);
                if R::TFLITE {
                    let scale = TfLiteChannel { bias: 0, multiplier: 1_500_000_000, shift: -1 };
                    let half = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: 0 };
                    let output = TfLiteChannel { shift: -19, ..scale };
                    let rule = TfLite { zero_point: -5, min: -128, max: 127 };
                    let add = AddTfLite { zero_points: [-3, 7], operands: [half, scale], output, rule };
                    of(instructions(counter, || A::add_tflite(&add, data, other))?, length)
                } else {
                    let add = elementwise::Add { multipliers: [16000, 14000], bias: 1 << 14, shift: 15 };
                    of(instructions(counter, || A::add(&add, data, other))?, length)
                }
            }
            Call::Table(length) => {
                let mut table = [0; 256];
                random.garbage(&mut table);
                let data = &mut input[..length];
                let call = || {
                    A::table(data, &table);
                    Some(())
                };
                of(instructions(counter, call)?, length)
            }
            Call::Norm(pixels, count) => {
                let channels = [Q32Channel { bias: 1 << 9, multiplier: 30 << 26 }; 64];
                let norm = Norm {
                    centered: true,
                    zero_point: 3,
                    epsilon: 100,
                    shift: 10,
                    channels: channels.get(..count)?,
                };
                let data = &mut input[..pixels * count];
                of(instructions(counter, || A::norm_pixels(&norm, data))?, pixels * count)
            }
            Call::Average(side, channels) => {
                let window =
                    Window { kernel: [side as u16; 2], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
                let shape = ConvShape {
                    window,
                    input: [side, side, channels],
                    output: [1, 1, channels],
                    zero_point: -128,
                };
                let (map, output) = (whole(&shape, input), &mut expected[..channels]);
                let length = side * side * channels;
                if R::TFLITE {
                    let rule = TfLite { zero_point: 0, min: -128, max: 127 };
                    let call = || A::average_row_tflite(&window, &map, 0, output, &rule);
                    of(instructions(counter, call)?, length)
                } else {
                    let channel = Q32::plain(&random, (side * side) as i32 * 120);
                    let pool = AveragePool { window, count_include_pad: false, shift: 0, channel: &channel };
                    of(instructions(counter, || A::average_row(&pool, &map, 0, output))?, length)
                }
            }
            Call::Attention(tokens, heads, dimension) => {
                exponentials(table, tokens);
                let kernel = Attention {
                    heads,
                    patch: [1, 1],
                    key_patch: [1, 1],
                    causal: false,
                    score_multiplier: 1 << 25,
                    score_shift: 0,
                    exponentials: table,
                    output_multiplier: 1_500_000_000,
                    output_bias: 1 << 18,
                    output_shift: 19,
                    zero_point: 0,
                    bias: None,
                };
                let channels = heads * dimension;
                let height = (tokens as u32).isqrt() as usize;
                let width = tokens / height;
                let length = tokens * channels;
                let map = |data, zero_point| Map::whole(data, [height, width, channels], zero_point);
                let maps = [map(&input[..length], 3), map(&other[..length], -4), map(&third[..length], 5)];
                let output = &mut expected[..length];
                let scratch = scratch.get_mut(..A::attention_scratch(tokens, dimension, dimension))?;
                debug_assert!(scratch.len() >= scratch_bytes(tokens, dimension));
                let call = || A::attention(&kernel, maps.each_ref(), 0, output, scratch);
                of(instructions(counter, call)?, 2 * tokens * tokens * channels)
            }
        })
    }
}

/// A window that keeps the size, or divides it by the stride, with padding below and on the right as TFLite has it.
fn square(kernel: [u16; 2], stride: u16, side: usize, [inputs, outputs]: [usize; 2]) -> ConvShape {
    let size = side * usize::from(stride);
    let padding = kernel.map(|taps| if stride == 1 { taps / 2 } else { 0 });
    let window = Window { kernel, stride: [stride; 2], dilation: [1, 1], padding };
    ConvShape { window, input: [size, size, inputs], output: [side, side, outputs], zero_point: -128 }
}

/// The parameters of each output channel, as they are in networks.
fn channels<'a, R: DrawRule>(
    random: &Random,
    memory: &'a mut [u8],
    count: usize,
    products: usize,
) -> &'a [R::Channel] {
    let (channels, _) =
        <[R::Channel]>::mut_from_prefix_with_elems(memory, count).expect("the buffer is for the largest map");
    let typical = (products as u32).isqrt() as i32 * 5400;
    channels.iter_mut().for_each(|channel| *channel = R::plain(random, typical));
    channels
}

/// A convolution of one group, or a depthwise one.
fn conv<A: Arch, R: DrawRule, const DEPTHWISE: bool>(
    random: &Random,
    workspace: &mut Workspace,
    shape: &ConvShape,
    counter: &impl Fn() -> u64,
) -> Option<Measurement> {
    let Workspace {
        packed,
        channels: [entries, _],
        weights: [weights, _],
        inputs: [input, ..],
        expected,
        scratch,
        ..
    } = workspace;
    let seen = if DEPTHWISE { 1 } else { shape.input[2] };
    let taps = shape.window.kernel.map(usize::from).iter().product::<usize>() * seen;
    let entries = channels::<R>(random, entries.as_mut_bytes(), shape.output[2], taps);
    let weights = weights.get(..taps * shape.output[2])?;
    let parameters = Parameters { rule: R::plain_rule(), channels: entries, weights };
    let output = expected.get_mut(..shape.output.iter().product())?;
    let operations = output.len() * taps;
    let (words, scratch_bytes) = if DEPTHWISE {
        (A::depthwise_words::<R>(shape), A::depthwise_scratch::<R>(shape))
    } else {
        (A::conv_words::<R>(shape), A::conv_scratch::<R>(shape))
    };
    let write = |packed: &mut [u32]| {
        if DEPTHWISE {
            A::pack_depthwise(shape, &parameters, packed)
        } else {
            A::pack_conv(shape, &parameters, packed)
        }
    };
    let packed = pack(packed, words, write).ok()?;
    let instructions = match packed {
        Some(packed) => {
            let scratch = scratch.get_mut(..scratch_bytes)?;
            let (map, rule) = (whole(shape, input), &parameters.rule);
            instructions(counter, || {
                if DEPTHWISE {
                    A::depthwise(shape, rule, packed, &map, 0, output, scratch)
                } else {
                    A::conv(shape, rule, packed, &map, 0, output, scratch)
                }
            })?
        }
        None => instructions(counter, || {
            if DEPTHWISE {
                portable_depthwise(shape, &parameters, input, output)
            } else {
                portable_conv(shape, &parameters, input, output)
            }
        })?,
    };
    Some(Measurement { tflite: R::TFLITE, instructions, operations, form: Form::of(packed) })
}

fn separable<A: Arch, R: DrawRule>(
    random: &Random,
    workspace: &mut Workspace,
    shape: &SeparableShape,
    counter: &impl Fn() -> u64,
) -> Option<Measurement> {
    let Workspace {
        packed,
        channels: [first_entries, second_entries],
        weights: [first_weights, second_weights],
        inputs: [input, middle, _],
        expected,
        scratch,
        ..
    } = workspace;
    let SeparableShape { depthwise, outputs } = shape;
    let second_shape = pointwise(depthwise, *outputs);
    let (inputs, taps) = (depthwise.input[2], 9);
    let first = Parameters {
        rule: R::plain_rule(),
        channels: channels::<R>(random, first_entries.as_mut_bytes(), inputs, taps),
        weights: first_weights.get(..taps * inputs)?,
    };
    let second = Parameters {
        rule: R::plain_rule(),
        channels: channels::<R>(random, second_entries.as_mut_bytes(), *outputs, inputs),
        weights: second_weights.get(..inputs * outputs)?,
    };
    let output = expected.get_mut(..second_shape.output.iter().product())?;
    let middle = middle.get_mut(..depthwise.output.iter().product())?;
    let operations = middle.len() * (taps + outputs);
    let write = |packed: &mut [u32]| A::pack_separable(shape, [&first, &second], packed);
    let packed = pack(packed, A::separable_words::<R>(shape), write).ok()?;
    let instructions = match packed {
        Some(packed) => {
            let rules = SeparableRules { depthwise: first.rule, table: None, pointwise: second.rule };
            let scratch = scratch.get_mut(..A::separable_scratch::<R>(shape))?;
            let map = whole(depthwise, input);
            instructions(counter, || A::separable(shape, &rules, packed, &map, 0, output, scratch))?
        }
        None => instructions(counter, || {
            portable_depthwise(depthwise, &first, input, middle)?;
            portable_conv(&second_shape, &second, middle, output)
        })?,
    };
    Some(Measurement { tflite: R::TFLITE, instructions, operations, form: Form::of(packed) })
}
