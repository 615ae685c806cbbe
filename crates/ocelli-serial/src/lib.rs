//! Rows of pictures over a serial line: the packets that host and board exchange. `no_std`, without heap.
//!
//! A packet is `kind: u8, number: u16, length: u16, payload, checksum: u32`, little-endian; `length` is the payload's in bytes, `checksum` the
//! CRC-32 (ISO-HDLC) of all before it. On the line a packet is encoded by COBS and ends with a zero byte, so that whatever was lost or
//! damaged, the next zero byte starts afresh.
//!
//! The host sends [`Kind::Ask`] and gets [`Kind::Info`]; then it sends the rows of a picture from 0, each after the answer to the one before:
//! [`Kind::Ready`] or [`Kind::Refused`], whose number is the row to send next. Row 0 always starts a picture, also where another is not
//! whole. After the last row the board sends [`Kind::Output`], in parts, and [`Kind::Done`].
//!
//! A board whose model lies in flash of its own takes another: the host sends [`Kind::Offer`], then the model's parts from 0, each after the answer to
//! the one before: [`Kind::Stored`] or [`Kind::Refused`], whose number is the part to send next. After the last part the board sends [`Kind::Installed`]
//! and starts again.
#![no_std]
#![forbid(unsafe_code)]

mod message;
mod packet;
mod receiver;

pub use message::{Done, Info, Offer, PROTOCOL, Pixels, Reason, Refusal, Unit};
pub use packet::{Damage, ENCODED_OVERHEAD, Kind, OVERHEAD, Packet, encoded_len};
pub use receiver::Receiver;

/// Values in a [`Kind::Output`] packet, at most.
pub const OUTPUT_PART: usize = 64;

/// Bytes of a [`Kind::Part`] packet's payload, but for a model's last.
pub const MODEL_PART: usize = 256;
