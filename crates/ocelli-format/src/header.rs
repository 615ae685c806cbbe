//! The fixed start of the file.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The first eight bytes: the name, and bytes that a transfer in text mode would change.
pub const MAGIC: [u8; 8] = *b"OCELLI\x1a\n";

/// The one format version that is read and written. Any change of layout or meaning raises it; new operator codes do not.
pub const VERSION: u16 = 2;

/// Alignment of the file in memory and of its sections in the file, bytes.
pub const ALIGNMENT: usize = 16;

/// A range of bytes, relative to the start of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Span {
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub length: u32,
}

/// The fixed start of the file, 96 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u16,
    /// A [`Target`].
    pub target: u8,
    /// A [`Numerics`].
    pub numerics: u8,
    /// Length of the whole file.
    pub file_bytes: u32,
    /// CRC-32 (ISO-HDLC, as zip and PNG use) of the whole file but for these four bytes.
    pub checksum: u32,
    /// Bytes that all tensors need that are not constant, and the counters.
    pub arena_bytes: u32,
    /// The [operators](crate::operator) and the target's [kernels](crate::operator::KERNELS) in use, a bit each.
    pub operators: u64,
    /// Multiply-accumulate operations an inference, for reports.
    pub macs: u32,
    /// [`TensorInfo`](crate::TensorInfo) records.
    pub tensors: Span,
    /// Steps in execution order.
    pub steps: Span,
    /// Weights, tables and per-channel parameters; offsets in steps and constant tensors are relative to it.
    pub weights: Span,
    /// Name and labels.
    pub text: Span,
    /// How a picture's bytes become the input's.
    pub preprocessing: Span,
    /// A seed and the output that it must give.
    pub self_test: Span,
    /// Tensor index of the input.
    pub input: u16,
    /// Tensor index of the output.
    pub output: u16,
    /// Number of counters of rows, two bytes each at the end of the arena.
    pub counters: u16,
    /// A [`Feed`].
    pub feed: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Header>() == 96);

impl Header {
    /// Where the checksum lies.
    pub(crate) const CHECKSUM: core::ops::Range<usize> = 16..20;
    /// Where `target` lies.
    pub(crate) const TARGET: usize = 10;
    /// Where `arena_bytes` lies.
    pub(crate) const ARENA_BYTES: usize = 20;
    /// Where `operators` lies.
    pub(crate) const OPERATORS: usize = 24;
}

/// How the input arrives, which decides what of it must be in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Feed {
    /// All of it is in the arena before the first step.
    #[default]
    Frame = 0,
    /// Row by row, each used before the next ones come.
    Rows = 1,
}

impl Feed {
    /// The feed of a code in the header.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::Frame),
            1 => Some(Self::Rows),
            _ => None,
        }
    }

    /// The name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Rows => "rows",
        }
    }
}

/// The instruction set whose kernels run a model: packed convolutions have parameters in its layout. Maps are the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Target {
    /// Plain layouts and kernels without assembly, for any core.
    Portable = 0,
    /// DSP instructions: Cortex-M4, M7 and M33.
    Dsp = 1,
    /// Helium, the vectors of Cortex-M55 and M85.
    Helium = 2,
    /// Cortex-M3.
    Armv7m = 3,
    /// Cortex-M0 and M0+.
    Armv6m = 4,
    /// 32-bit RISC-V with multiplication.
    Rv32 = 5,
}

impl Target {
    /// All targets, by code.
    pub const ALL: [Self; 6] =
        [Self::Portable, Self::Dsp, Self::Helium, Self::Armv7m, Self::Armv6m, Self::Rv32];

    /// The target of a code in the header.
    pub const fn from_code(code: u8) -> Option<Self> {
        let code = code as usize;
        if code < Self::ALL.len() { Some(Self::ALL[code]) } else { None }
    }

    /// Its bit in a mask of [operators](crate::operator), whose top eight bits are a set of targets.
    pub const fn bit(self) -> u64 {
        1 << (56 + self as u32)
    }

    /// The name in messages and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Dsp => "dsp",
            Self::Helium => "helium",
            Self::Armv7m => "armv7m",
            Self::Armv6m => "armv6m",
            Self::Rv32 => "rv32",
        }
    }
}

/// The rule by which accumulators become int8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Numerics {
    /// One rounding, for models quantized by Ocelli.
    Q32 = 0,
    /// TFLite's, for imported int8 models.
    TfLite = 1,
}

impl Numerics {
    /// The rule of a code in the header.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Q32),
            1 => Some(Self::TfLite),
            _ => None,
        }
    }

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q32 => "q32",
            Self::TfLite => "tflite",
        }
    }
}
