//! Packets: their bytes, their checksum, and how they are encoded on the line.

use core::fmt;

use cobs::CobsEncoder;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// A line is slow: it needs no table.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Bytes of a packet before its payload: kind, number and length.
pub(crate) const HEADER: usize = 5;

/// Bytes of a packet around its payload.
pub const OVERHEAD: usize = HEADER + size_of::<u32>();

/// Bytes that the encoding of a packet of at most 254 bytes adds, with the zero that ends it.
pub const ENCODED_OVERHEAD: usize = 2;

/// Bytes that a packet with such a payload takes on the line, at most.
pub const fn encoded_len(payload: usize) -> usize {
    let bytes = payload + OVERHEAD;
    bytes + bytes / 254 + ENCODED_OVERHEAD
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// To the board: what model is there? No payload.
    Ask = 0x01,
    /// To the board: row `number` as the model's int8 values.
    Values = 0x02,
    /// To the board: row `number` as red, green and blue bytes.
    Rgb888 = 0x03,
    /// To the board: row `number` as a byte a pixel.
    Gray = 0x04,
    /// To the board: row `number` as two bytes a pixel, the low one first: blue in the low five bits, then six of green, then five of red.
    Rgb565 = 0x05,
    /// To the board: an [`Offer`](crate::Offer) of another model.
    Offer = 0x06,
    /// To the board: part `number` of that model, of [`MODEL_PART`](crate::MODEL_PART) bytes but for the last.
    Part = 0x07,
    /// From the board: an [`Info`](crate::Info).
    Info = 0x81,
    /// From the board: row `number` is the next. No payload.
    Ready = 0x82,
    /// From the board: a packet was refused, as the [`Refusal`](crate::Refusal) says; row `number` is the next.
    Refused = 0x83,
    /// From the board: the output's int8 values from the `number`th part of [`OUTPUT_PART`](crate::OUTPUT_PART) on.
    Output = 0x84,
    /// From the board: the output is whole; a [`Done`](crate::Done).
    Done = 0x85,
    /// From the board: part `number` of the model is the next. No payload.
    Stored = 0x86,
    /// From the board: the model is whole and installed, and the board starts again with it. No payload.
    Installed = 0x87,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Ask,
        Self::Values,
        Self::Rgb888,
        Self::Gray,
        Self::Rgb565,
        Self::Offer,
        Self::Part,
        Self::Info,
        Self::Ready,
        Self::Refused,
        Self::Output,
        Self::Done,
        Self::Stored,
        Self::Installed,
    ];

    /// The kind of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Damage {
    /// The encoding broke off.
    Encoding,
    /// More bytes came than the receiver has room for.
    Large {
        /// Bytes of a packet that there is room for.
        room: usize,
    },
    /// The stated length is not that of the payload.
    Length {
        /// Bytes that the packet states.
        stated: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The checksum does not match.
    Checksum,
    /// There is no such kind.
    Kind(u8),
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => formatter.write_str("a packet broke off"),
            Self::Large { room } => write!(formatter, "a packet has more than {room} bytes"),
            Self::Length { stated, found } => {
                write!(formatter, "a packet states {stated} bytes and has {found}")
            }
            Self::Checksum => formatter.write_str("a packet's checksum does not match"),
            Self::Kind(code) => write!(formatter, "there is no packet of kind {code:#04x}"),
        }
    }
}

impl core::error::Error for Damage {}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// The row or part that it is about, else 0.
    pub number: u16,
    /// What it carries, at most 65,535 bytes.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A packet without payload.
    pub const fn empty(kind: Kind, number: u16) -> Self {
        Self { kind, number, payload: &[] }
    }

    /// Reads the bytes of a packet, already decoded.
    ///
    /// # Errors
    /// Why they are none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(Damage::Encoding)?;
        if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
            return Err(Damage::Checksum);
        }
        let (&[kind, n0, n1, l0, l1], payload) =
            body.split_first_chunk::<HEADER>().ok_or(Damage::Encoding)?;
        let (stated, found) = (usize::from(u16::from_le_bytes([l0, l1])), payload.len());
        if stated != found {
            return Err(Damage::Length { stated, found });
        }
        let kind = Kind::from_code(kind).ok_or(Damage::Kind(kind))?;
        Ok(Self { kind, number: u16::from_le_bytes([n0, n1]), payload })
    }

    /// Encodes it for the line, with the zero that ends it; `None` where `buffer` has not [`encoded_len`] bytes or the payload is too long.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let [n0, n1] = self.number.to_le_bytes();
        let [l0, l1] = u16::try_from(self.payload.len()).ok()?.to_le_bytes();
        let start: [u8; HEADER] = [self.kind as u8, n0, n1, l0, l1];
        let mut digest = CRC.digest();
        digest.update(&start);
        digest.update(self.payload);
        let checksum = digest.finalize().to_le_bytes();
        let mut encoder = CobsEncoder::new(buffer);
        for part in [&start, self.payload, &checksum] {
            encoder.push(part).ok()?;
        }
        let length = encoder.finalize();
        *buffer.get_mut(length)? = 0;
        buffer.get(..length.wrapping_add(1))
    }
}
