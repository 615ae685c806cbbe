//! From a step's record to a kernel: each operator binds (checks that tensors and parameters fit together), then runs.

mod attention;
mod conv;
mod elementwise;
mod layout;
mod matmul;
mod norm;
mod overlaps;
mod packed;
mod pool;
mod scratch;
mod softmax;

use core::ops::Range;

use ocelli_format::{Model, Operator, Step, Target, TensorInfo};
use ocelli_kernels::arch::armv6m::Armv6m;
use ocelli_kernels::arch::armv7m::Armv7m;
use ocelli_kernels::arch::dsp::Dsp;
use ocelli_kernels::arch::helium::Helium;
use ocelli_kernels::arch::rv32::Rv32;
use ocelli_kernels::arch::{Arch, Portable};
use ocelli_kernels::{Map, Q32, Requantize, TfLite, TfLiteFullyConnected, Window};

use crate::Problem;
use crate::memory::{self, Operands};

/// A step whose tensors and parameters were checked.
pub(crate) trait Bound<'m>: Sized {
    /// Whether it makes all rows of its output at once.
    const WHOLE: bool = false;

    /// Whether its output may lie where its first input lies.
    const IN_PLACE: bool = false;

    /// Checks the step; the error says what does not fit.
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem>;

    /// Checks what takes long, once: `bind` is called again for every few rows.
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }

    /// Makes these rows of the output, which lie together; `None` never happens after `bind` and `check` passed.
    fn rows(&self, model: &Model<'m>, arena: &mut [i8], rows: Range<usize>) -> Option<()>;
}

/// What to do with a step.
pub(crate) enum Action<'a> {
    /// Only check it.
    Check,
    /// Make rows of its output, which lie together, on an arena.
    Rows(&'a mut [i8], Range<usize>),
}

/// Why a step was not done.
pub(crate) enum Refusal {
    /// The model's target has no kernels here.
    Target,
    /// Its operator is not among `OPERATORS`.
    Operator,
    /// It does not fit together.
    Problem(Problem),
}

/// Rows that a target's kernels like to make at once.
pub fn rows_at_once(target: Target) -> usize {
    match target {
        Target::Portable => Portable::ROWS,
        Target::Dsp => <Dsp>::ROWS,
        Target::Helium => Helium::ROWS,
        Target::Armv7m => Armv7m::ROWS,
        Target::Armv6m => Armv6m::ROWS,
        Target::Rv32 => Rv32::ROWS,
    }
}

/// Checks or runs a step with the kernels of the model's target. Only what `OPERATORS` names is linked.
pub(crate) fn perform<'m, const OPERATORS: u64>(
    model: &Model<'m>,
    step: &Step<'m>,
    action: Action<'_>,
) -> Result<(), Refusal> {
    macro_rules! dispatch {
        ($($target:ident => $arch:ty,)*) => {
            match model.target() {
                $(Target::$target if OPERATORS & Target::$target.bit() != 0 => {
                    with_kernels::<OPERATORS, $arch>(model, step, action)
                })*
                _ => Err(Refusal::Target),
            }
        };
    }
    dispatch! {
        Portable => Portable,
        Dsp => Dsp<OPERATORS>,
        Helium => Helium,
        Armv7m => Armv7m,
        Armv6m => Armv6m,
        Rv32 => Rv32,
    }
}

fn with_kernels<'m, const OPERATORS: u64, A: Arch>(
    model: &Model<'m>,
    step: &Step<'m>,
    action: Action<'_>,
) -> Result<(), Refusal> {
    macro_rules! dispatch {
        ($($operator:ident => $bound:ty,)*) => {
            match step.operator {
                $(Operator::$operator if OPERATORS & Operator::$operator.bit() != 0 => {
                    go::<$bound>(model, step, action).map_err(Refusal::Problem)
                })*
                _ => Err(Refusal::Operator),
            }
        };
    }
    dispatch! {
        Conv2dQ32 => conv::Conv<'m, Q32>,
        Conv2dTfLite => conv::Conv<'m, TfLite>,
        FullyConnectedTfLite => conv::FullyConnected<'m>,
        DepthwiseConv2dQ32 => conv::Depthwise<'m, Q32>,
        DepthwiseConv2dTfLite => conv::Depthwise<'m, TfLite>,
        AddQ32 => elementwise::AddQ32<'m, A>,
        AddTfLite => elementwise::AddTfLite<'m, A>,
        MulQ32 => elementwise::MulQ32<'m, A>,
        MulTfLite => elementwise::MulTfLite<'m, A>,
        PReluQ32 => elementwise::PReluQ32<'m>,
        PReluTfLite => elementwise::PReluTfLite<'m>,
        AveragePoolQ32 => pool::AverageQ32<'m, A>,
        AveragePoolTfLite => pool::AverageTfLite<'m, A>,
        MaxPool => pool::Max<'m, A>,
        MeanTfLite => pool::MeanTfLite<'m, A>,
        SoftmaxQ32 => softmax::SoftmaxQ32<'m>,
        SoftmaxTfLite => softmax::SoftmaxTfLite<'m>,
        Table => elementwise::Table<'m, A>,
        ChannelTables => elementwise::ChannelTables<'m>,
        Concat => layout::Concat<'m>,
        Pad => layout::Pad<'m>,
        Transpose => layout::Transpose<'m>,
        AttentionQ32 => attention::AttentionQ32<'m, A>,
        SeparableAttentionQ32 => attention::SeparableAttentionQ32<'m>,
        NormQ32 => norm::NormQ32<'m, A>,
        MatMulQ32 => matmul::MatMulQ32<'m>,
        Slice => layout::Slice<'m>,
        Unfold => layout::Unfold<'m>,
        Fold => layout::Fold<'m>,
        PackedConv2dQ32 => packed::Conv<'m, A, Q32, false>,
        PackedConv2dTfLite => packed::Conv<'m, A, TfLite, false>,
        PackedDepthwiseConv2dQ32 => packed::Conv<'m, A, Q32, true>,
        PackedDepthwiseConv2dTfLite => packed::Conv<'m, A, TfLite, true>,
        PackedSeparableConv2dQ32 => packed::Separable<'m, A, Q32>,
        PackedSeparableConv2dTfLite => packed::Separable<'m, A, TfLite>,
    }
}

#[inline(never)]
fn go<'m, B: Bound<'m>>(model: &Model<'m>, step: &Step<'m>, action: Action<'_>) -> Result<(), Problem> {
    // Not moved, but for an error: it is large.
    let bound = B::bind(model, step);
    let bound = bound.as_ref().map_err(|&problem| problem)?;
    match action {
        Action::Check => {
            bound.check()?;
            overlaps::check(model, step, B::WHOLE, B::IN_PLACE)
        }
        Action::Rows(arena, rows) => bound.rows(model, arena, rows).ok_or(Problem::NotRun),
    }
}

/// A requantization rule as records keep it.
pub(crate) trait Rule:
    Requantize<Channel: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable>
{
    /// The rule for an output.
    fn new(output: &TensorInfo, min: i8, max: i8) -> Self;
}

impl Rule for Q32 {
    fn new(_: &TensorInfo, _: i8, _: i8) -> Self {
        Self
    }
}

impl Rule for TfLite {
    fn new(output: &TensorInfo, min: i8, max: i8) -> Self {
        Self { zero_point: i32::from(output.zero_point), min: i32::from(min), max: i32::from(max) }
    }
}

impl Rule for TfLiteFullyConnected {
    fn new(output: &TensorInfo, min: i8, max: i8) -> Self {
        Self(TfLite::new(output, min, max))
    }
}

/// The one input and the output of a step that reads and writes different bytes.
fn one_to_one<'m>(model: &Model<'m>, step: &Step<'m>) -> Result<[&'m TensorInfo; 2], Problem> {
    if step.inputs.len() != 1 {
        return Err(Problem::OneInput);
    }
    let (input, output) = (memory::input(model, step, 0)?, memory::output(model, step)?);
    Ok([input, output])
}

/// The inputs and the output of a step that updates its first input in place, or a copy of it.
fn in_place<'m, const INPUTS: usize>(
    model: &Model<'m>,
    step: &Step<'m>,
) -> Result<([&'m TensorInfo; INPUTS], &'m TensorInfo), Problem> {
    if step.inputs.len() != INPUTS {
        return Err(Problem::Inputs);
    }
    let output = memory::output(model, step)?;
    let mut inputs = [output; INPUTS];
    for (index, input) in inputs.iter_mut().enumerate() {
        *input = memory::input(model, step, index)?;
        if index == 0 && input.len() != output.len() {
            return Err(Problem::Sizes);
        }
    }
    Ok((inputs, output))
}

/// Makes rows of the output one by one from a map of the input, of which no row before `first` is read.
#[inline]
fn rows(
    model: &Model<'_>,
    arena: &mut [i8],
    [input, output]: [&TensorInfo; 2],
    rows: Range<usize>,
    first: usize,
    row: impl Fn(&Map<'_>, usize, &mut [i8]) -> Option<()>,
) -> Option<()> {
    let length = output.row_len();
    if length == 0 {
        return None;
    }
    let mut operands = Operands::split(model, arena, output, &rows, None)?;
    let (map, values) = operands.map_and_output(input, first)?;
    for (y, values) in rows.zip(values.chunks_exact_mut(length)) {
        row(&map, y, values)?;
    }
    Some(())
}

/// The first row that a window sees from output row `y`.
#[inline]
fn first_row(window: &Window, y: usize) -> usize {
    let [stride, _] = window.stride;
    let [padding, _] = window.padding;
    y.wrapping_mul(usize::from(stride)).saturating_sub(usize::from(padding))
}

/// A window must be possible, and near enough to the map that coordinates fit 26 bits.
fn check_window(window: &Window, output: &TensorInfo) -> Result<(), Problem> {
    const FAR: u64 = 1 << 24;
    let outputs = [output.height, output.width];
    let parameters = window.kernel.iter().zip(&window.stride).zip(&window.dilation);
    for (((&kernel, &stride), &dilation), outputs) in parameters.zip(outputs) {
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Problem::WindowZero);
        }
        let reach = u64::from(kernel - 1) * u64::from(dilation);
        let last = u64::from(outputs.saturating_sub(1)) * u64::from(stride);
        if reach > FAR || last > FAR {
            return Err(Problem::WindowFar);
        }
    }
    Ok(())
}
