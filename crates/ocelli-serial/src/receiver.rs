//! Taking packets from the bytes of a line.

use cobs::{DecodeResult, DecoderState};

use crate::packet::HEADER;
use crate::{Damage, Packet};

/// Takes packets of at most `N` bytes, [`OVERHEAD`](crate::OVERHEAD) and payload, from the bytes of a line.
#[derive(Debug)]
pub struct Receiver<const N: usize> {
    state: DecoderState,
    bytes: [u8; N],
    /// Bytes of this packet that came; more than `N` where it is too large.
    length: usize,
}

impl<const N: usize> Default for Receiver<N> {
    fn default() -> Self {
        Self { state: DecoderState::Idle, bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Receiver<N> {
    /// Takes the next byte of the line; gives what a packet became when the byte ends one.
    pub fn feed(&mut self, byte: u8) -> Option<Result<Packet<'_>, Damage>> {
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => None,
            Ok(DecodeResult::DataStart) => {
                self.length = 0;
                None
            }
            Ok(DecodeResult::DataContinue(value)) => {
                if let Some(place) = self.bytes.get_mut(self.length) {
                    *place = value;
                }
                self.length = self.length.saturating_add(1);
                None
            }
            Ok(DecodeResult::DataComplete) => {
                let bytes = self.bytes.get(..self.length).ok_or(Damage::Large { room: N });
                Some(bytes.and_then(Packet::parse))
            }
            Err(_) => Some(Err(Damage::Encoding)),
        }
    }

    /// The payload of the packet that the last byte ended, for where the packet itself cannot be kept.
    pub fn payload(&self) -> &[u8] {
        let end = self.length.saturating_sub(size_of::<u32>());
        self.bytes.get(HEADER..end).unwrap_or_default()
    }
}
