//! What packets from the board carry.

use core::fmt;

use zerocopy::little_endian::{F32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of packets and payloads.
pub const PROTOCOL: u8 = 1;

/// Payload of [`Kind::Info`](crate::Kind::Info): the board's model.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u8,
    /// The [`Pixels`] that the board takes.
    pub pixels: u8,
    /// Rows of the input; 0 where the board has no model.
    pub height: U16,
    /// Pixels a row.
    pub width: U16,
    /// Values a pixel.
    pub channels: U16,
    /// Values of the output.
    pub outputs: U32,
    /// Size of one step of the output.
    pub scale: F32,
    /// The output's value that stands for 0.0.
    pub zero_point: i8,
    /// Checksum of the packed model's file.
    pub model: U32,
}

/// What rows of pixels a board takes, besides int8 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Pixels {
    /// None: the model does not say how pixels become its input.
    None = 0,
    /// Gray alone.
    Gray = 1,
    /// Red, green and blue, or gray for all three.
    Color = 2,
}

impl Pixels {
    /// The pixels of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Gray, Self::Color].into_iter().find(|pixels| *pixels as u8 == code)
    }
}

/// Why a board refused a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Reason {
    /// It came damaged.
    Damaged = 1,
    /// It has more bytes than the board has room for.
    Large = 2,
    /// A row has not the model's size: bytes expected, and found.
    Size = 3,
    /// It is not the row that comes next: row expected, and found.
    Number = 4,
    /// The model does not take such pixels.
    Pixels = 5,
    /// The packet is none for a board.
    Kind = 6,
    /// The model did not run.
    Inference = 7,
    /// The board's model is part of its program.
    Slots = 8,
    /// A slot has no room for the model: bytes that it has room for, and found.
    Room = 9,
    /// It is not the part of a model that comes next: part expected, and found.
    Part = 10,
    /// What came is no packed model of this version.
    Model = 11,
    /// The model is not signed by whom the board trusts.
    Signature = 12,
    /// The board has not the memory or the kernels for the model.
    Unfit = 13,
    /// The board's flash failed.
    Flash = 14,
    /// The board has no model.
    Empty = 15,
}

impl Reason {
    const ALL: [Self; 15] = [
        Self::Damaged,
        Self::Large,
        Self::Size,
        Self::Number,
        Self::Pixels,
        Self::Kind,
        Self::Inference,
        Self::Slots,
        Self::Room,
        Self::Part,
        Self::Model,
        Self::Signature,
        Self::Unfit,
        Self::Flash,
        Self::Empty,
    ];

    /// The reason of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}

/// Payload of [`Kind::Refused`](crate::Kind::Refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Refusal {
    /// A [`Reason`].
    pub reason: u8,
    /// What was expected, where the reason says of what.
    pub expected: U32,
    /// What came.
    pub found: U32,
}

impl Refusal {
    /// A refusal for that reason.
    pub fn new(reason: Reason, expected: usize, found: usize) -> Self {
        let number = |value: usize| U32::new(u32::try_from(value).unwrap_or(u32::MAX));
        Self { reason: reason as u8, expected: number(expected), found: number(found) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, expected, found } = self;
        match Reason::from_code(*reason) {
            Some(Reason::Damaged) => formatter.write_str("a packet came damaged"),
            Some(Reason::Large) => write!(
                formatter,
                "a packet has more than the {expected} bytes that the board has room for; build it for larger rows"
            ),
            Some(Reason::Size) => {
                write!(formatter, "a row has {found} bytes, the model takes {expected}")
            }
            Some(Reason::Number) => write!(formatter, "row {found} came, row {expected} is the next"),
            Some(Reason::Pixels) => {
                formatter.write_str("the model does not take such pixels; send its int8 values (.bin)")
            }
            Some(Reason::Kind) => formatter.write_str("the packet is none for a board"),
            Some(Reason::Inference) => formatter.write_str("the model did not run"),
            Some(Reason::Slots) => formatter.write_str(
                "the board's model is part of its program; flash it with firmware that has slots for models",
            ),
            Some(Reason::Room) => {
                write!(formatter, "the model has {found} bytes, the board's slots have room for {expected}")
            }
            Some(Reason::Part) => {
                write!(formatter, "part {found} of the model came, part {expected} is the next")
            }
            Some(Reason::Model) => formatter.write_str(
                "what came is no packed model of the version that its firmware reads; pack it with the `ocelli` of that version",
            ),
            Some(Reason::Signature) => {
                formatter.write_str("the model is not signed by the key that the board trusts")
            }
            Some(Reason::Unfit) => formatter.write_str(
                "the board has not the memory for the model's arena, or its firmware not the model's operators",
            ),
            Some(Reason::Flash) => formatter.write_str("its flash failed"),
            Some(Reason::Empty) => {
                formatter.write_str("the board has no model yet: `ocelli install` gives it one")
            }
            None => write!(formatter, "reason {reason}, which this program does not know"),
        }
    }
}

/// Payload of [`Kind::Offer`](crate::Kind::Offer): a model that is to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Offer {
    /// Bytes of the packed model.
    pub length: U32,
    /// Its Ed25519 signature; zeros where it has none.
    pub signature: [u8; 64],
}

/// What [`Done::count`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Unit {
    /// Nothing was measured.
    None = 0,
    /// Cycles of the core.
    Cycles = 1,
    /// Instructions.
    Instructions = 2,
    /// Microseconds.
    Microseconds = 3,
}

impl Unit {
    /// The unit of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Cycles, Self::Instructions, Self::Microseconds]
            .into_iter()
            .find(|unit| *unit as u8 == code)
    }

    /// Its name after a number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Cycles => "cycles",
            Self::Instructions => "instructions",
            Self::Microseconds => "us",
        }
    }
}

/// Payload of [`Kind::Done`](crate::Kind::Done): what the inference took, without waiting for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Done {
    /// A [`Unit`].
    pub unit: u8,
    /// So many of them.
    pub count: U64,
}
