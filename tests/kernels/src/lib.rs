//! Random cases and micro-benchmarks for the kernels of every architecture.
//!
//! [`check`] draws a case from a seed (a shape, parameters, inputs), runs an architecture on it and compares with the portable kernels byte
//! for byte. It works without an operating system, so that the same cases run on the host and on the machines.
#![no_std]
#![forbid(unsafe_code)]

mod attention;
mod bench;
mod convolution;
mod edge;
mod elementwise;
mod memory;
mod pool;
mod random;
mod rows;
mod rule;
mod separable;
mod shape;

use core::fmt;

use ocelli_kernels::arch::{Arch, ConvShape};
use ocelli_kernels::{Q32, TfLite};

pub use bench::{BENCHMARKS, Benchmark, Form, Measurement};
pub use memory::Workspace;
use random::Random;

/// What a case calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Arch::conv`] under the `Q32` rule.
    ConvQ32,
    /// [`Arch::conv`] under the `TfLite` rule.
    ConvTfLite,
    /// [`Arch::conv`] under the `Q32` rule, with accumulators as large as packers take.
    EdgeQ32,
    /// The same under the `TfLite` rule.
    EdgeTfLite,
    /// [`Arch::depthwise`] under the `Q32` rule.
    DepthwiseQ32,
    /// [`Arch::depthwise`] under the `TfLite` rule.
    DepthwiseTfLite,
    /// [`Arch::separable`] under the `Q32` rule.
    SeparableQ32,
    /// [`Arch::separable`] under the `TfLite` rule.
    SeparableTfLite,
    /// [`Arch::add`].
    Add,
    /// [`Arch::add_tflite`].
    AddTfLite,
    /// [`Arch::mul`] under the `Q32` rule.
    MulQ32,
    /// [`Arch::mul`] under the `TfLite` rule.
    MulTfLite,
    /// [`Arch::table`].
    Table,
    /// [`Arch::max_row`].
    Max,
    /// [`Arch::average_row`].
    Average,
    /// [`Arch::average_row_tflite`].
    AverageTfLite,
    /// [`Arch::mean_tflite`].
    MeanTfLite,
    /// [`Arch::norm_pixels`].
    Norm,
    /// [`Arch::attention`].
    Attention,
}

impl Kind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::ConvQ32,
        Self::ConvTfLite,
        Self::EdgeQ32,
        Self::EdgeTfLite,
        Self::DepthwiseQ32,
        Self::DepthwiseTfLite,
        Self::SeparableQ32,
        Self::SeparableTfLite,
        Self::Add,
        Self::AddTfLite,
        Self::MulQ32,
        Self::MulTfLite,
        Self::Table,
        Self::Max,
        Self::Average,
        Self::AverageTfLite,
        Self::MeanTfLite,
        Self::Norm,
        Self::Attention,
    ];

    /// Its name; [`Kind::named`] takes the start of names.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvQ32 => "conv_q32",
            Self::ConvTfLite => "conv_tflite",
            Self::EdgeQ32 => "edge_q32",
            Self::EdgeTfLite => "edge_tflite",
            Self::DepthwiseQ32 => "depthwise_q32",
            Self::DepthwiseTfLite => "depthwise_tflite",
            Self::SeparableQ32 => "separable_q32",
            Self::SeparableTfLite => "separable_tflite",
            Self::Add => "add_q32",
            Self::AddTfLite => "add_tflite",
            Self::MulQ32 => "mul_q32",
            Self::MulTfLite => "mul_tflite",
            Self::Table => "table",
            Self::Max => "max",
            Self::Average => "average_q32",
            Self::AverageTfLite => "average_tflite",
            Self::MeanTfLite => "mean_tflite",
            Self::Norm => "norm",
            Self::Attention => "attention",
        }
    }

    /// The kinds whose names start with `prefix`.
    pub fn named(prefix: &str) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |kind| kind.name().starts_with(prefix))
    }
}

/// What a case showed, where nothing was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The architecture gave the portable kernels' bytes.
    Equal,
    /// The architecture has no packed form for this layer.
    Portable,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first byte that differs.
    Byte {
        /// Its position in the whole output.
        at: u32,
        /// The portable kernel's.
        expected: i8,
        /// The architecture's.
        found: i8,
    },
    /// It wrote beside the output.
    BesideOutput,
    /// It wrote beside its scratch.
    BesideScratch,
    /// It wrote beside its packed parameters, or changed them.
    PackedParameters,
    /// It refused what the portable kernel does.
    Refused,
    /// It wants more words of packed parameters or bytes of scratch than this suite has.
    TooLarge,
    /// The portable kernel itself refuses the case: a fault of this suite.
    Case,
}

/// The layer of a case, for messages.
#[derive(Clone, Copy, Debug)]
pub enum Layer {
    /// A convolution, a depthwise one or a pool.
    Window(ConvShape),
    /// Depthwise, outputs behind it, and whether there is a table between.
    Separable(ConvShape, u16, bool),
    /// Length of the first and the second operand.
    Elements(usize, usize),
    /// Pixels and channels.
    Pixels(usize, usize),
    /// Heads; height, width and channels of query and value; patches of query and key.
    Attention(u16, [[u16; 3]; 2], [[u16; 2]; 2]),
}

/// A case that failed; displayed with what it takes to run it again alone.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// What was called.
    pub kind: Kind,
    /// The case's seed.
    pub seed: u32,
    /// The layer.
    pub layer: Layer,
    /// How rows were asked for: rows at once, row slots of the input.
    pub rows: [u16; 2],
    /// What was wrong.
    pub fault: Fault,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, seed, layer, rows: [at_once, slots], fault } = self;
        write!(f, "{} --seed {seed} --cases 1: {fault:?}; {layer:?}", kind.name())?;
        if *at_once > 0 {
            write!(f, "; {at_once} rows at once, {slots} row slots")?;
        }
        Ok(())
    }
}

/// What a case gives inside this crate.
type Checked = Result<Verdict, (Layer, [u16; 2], Fault)>;

/// Draws and runs one case.
///
/// # Errors
/// What was wrong with the architecture's answer.
pub fn check<A: Arch>(kind: Kind, seed: u32, workspace: &mut Workspace) -> Result<Verdict, Difference> {
    let random = &Random::new(seed);
    let checked = match kind {
        Kind::ConvQ32 => convolution::conv::<A, Q32>(random, workspace),
        Kind::ConvTfLite => convolution::conv::<A, TfLite>(random, workspace),
        Kind::EdgeQ32 => edge::edge::<A, Q32>(random, workspace),
        Kind::EdgeTfLite => edge::edge::<A, TfLite>(random, workspace),
        Kind::DepthwiseQ32 => convolution::depthwise::<A, Q32>(random, workspace),
        Kind::DepthwiseTfLite => convolution::depthwise::<A, TfLite>(random, workspace),
        Kind::SeparableQ32 => separable::separable::<A, Q32>(random, workspace),
        Kind::SeparableTfLite => separable::separable::<A, TfLite>(random, workspace),
        Kind::Add => elementwise::add::<A>(random, workspace),
        Kind::AddTfLite => elementwise::add_tflite::<A>(random, workspace),
        Kind::MulQ32 => elementwise::mul::<A, Q32>(random, workspace),
        Kind::MulTfLite => elementwise::mul::<A, TfLite>(random, workspace),
        Kind::Table => elementwise::table::<A>(random, workspace),
        Kind::Max => pool::max::<A>(random, workspace),
        Kind::Average => pool::average::<A>(random, workspace),
        Kind::AverageTfLite => pool::average_tflite::<A>(random, workspace),
        Kind::MeanTfLite => pool::mean_tflite::<A>(random, workspace),
        Kind::Norm => elementwise::norm::<A>(random, workspace),
        Kind::Attention => attention::attention::<A>(random, workspace),
    };
    checked.map_err(|(layer, rows, fault)| Difference { kind, seed, layer, rows, fault })
}
