//! What a slot begins with.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a slot before the model: a multiple of what any flash writes at once and of a packed model's alignment.
pub const HEADER_BYTES: usize = 128;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"OCSL";

/// A header is written seldom: it needs no table.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// A slot's first bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    magic: [u8; 4],
    /// Counts installed models; it wraps.
    sequence: U32,
    /// Bytes of the model.
    length: U32,
    /// Zeros where models are not signed.
    signature: [u8; SIGNATURE_BYTES],
    unused: [u8; HEADER_BYTES - 4 * 4 - SIGNATURE_BYTES],
    /// CRC-32 (ISO-HDLC) of all before it.
    checksum: U32,
}

impl Header {
    pub fn new(sequence: u32, length: u32, signature: [u8; SIGNATURE_BYTES]) -> Self {
        let mut header = Self {
            magic: MAGIC,
            sequence: U32::new(sequence),
            length: U32::new(length),
            signature,
            unused: [0; _],
            checksum: U32::new(0),
        };
        header.checksum = U32::new(header.found_checksum());
        header
    }

    /// The header that a slot begins with; `None` where it is erased, half written or damaged.
    pub fn read(slot: &[u8]) -> Option<Self> {
        let (header, _) = Self::read_from_prefix(slot).ok()?;
        (header.magic == MAGIC && header.checksum.get() == header.found_checksum()).then_some(header)
    }

    pub fn sequence(&self) -> u32 {
        self.sequence.get()
    }

    pub fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.signature
    }

    /// The model in the slot; `None` where the slot is too short.
    pub fn model<'a>(&self, slot: &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(self.length.get()).ok()?;
        slot.get(HEADER_BYTES..)?.get(..length)
    }

    fn found_checksum(&self) -> u32 {
        let body = self.as_bytes().get(..HEADER_BYTES - size_of::<U32>());
        CRC.checksum(body.unwrap_or_default())
    }
}
