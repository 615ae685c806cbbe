//! Two places for a packed model in a microcontroller's flash, so that the model is replaced without the program. `no_std`, without heap.
//!
//! The flash has two *slots* of equal size, one after the other. A slot is a [header](HEADER_BYTES) and, from there on, the packed model. An update goes
//! into the slot that is not in use: it is erased, the model is written part by part and looked at as a whole (checksum, format version, signature,
//! and whatever the board asks of a model), and only then the header is written. So until the last write of an update the board starts with the
//! model that it had, and from then on with the new one; a write that the power cut in half leaves a header whose own checksum does not match.
//! Where the newer model was damaged later, the board starts with the other one.
//!
//! Headers are numbered: the model of the higher number is the newer one. Nothing forbids to install an older model again.
#![no_std]
#![forbid(unsafe_code)]

mod error;
mod header;
mod store;
mod trust;

pub use error::SlotError;
pub use header::{HEADER_BYTES, SIGNATURE_BYTES};
pub use store::{Installed, MappedFlash, Offer, PART_BYTES, Progress, Store};
pub use trust::{Anyone, Trust};
#[cfg(feature = "signed")]
pub use trust::{KEY_BYTES, SignedBy};
