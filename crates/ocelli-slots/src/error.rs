//! What can be wrong with an update.

use core::fmt;

use ocelli_format::ModelError;

/// Why a model was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SlotError<E> {
    /// Slots do not begin and end where the flash is erased, lie outside of it, or it writes more at once than a part of a model.
    Layout,
    /// A slot has no room for the model.
    Room {
        /// Bytes that a model may have.
        room: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// No update has begun, or the part is not the next one.
    Part {
        /// Number of the part that is expected.
        expected: usize,
        /// Number of the part that came.
        found: usize,
    },
    /// A part has not the bytes that are left, or [`PART_BYTES`](crate::PART_BYTES) of them.
    Size {
        /// Bytes that are expected.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// What was written is no packed model of this version.
    Model(ModelError),
    /// The model is not signed by whom the board trusts.
    Signature,
    /// The board has not the memory or the kernels for the model.
    Unfit,
    /// The flash failed.
    Flash(E),
}

impl<E: fmt::Debug> fmt::Display for SlotError<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout => formatter.write_str(
                "the slots do not begin and end where the flash can be erased, or lie outside of it",
            ),
            Self::Room { room, found } => {
                write!(formatter, "the model has {found} bytes, a slot has room for {room}")
            }
            Self::Part { expected, found } => {
                write!(formatter, "part {found} came, part {expected} is the next")
            }
            Self::Size { expected, found } => {
                write!(formatter, "a part has {found} bytes, it should have {expected}")
            }
            Self::Model(error) => write!(formatter, "the model is refused: {error}"),
            Self::Signature => {
                formatter.write_str("the model is not signed by the key that the board trusts")
            }
            Self::Unfit => formatter.write_str("the board has not the memory or the kernels for the model"),
            Self::Flash(error) => write!(formatter, "the flash failed: {error:?}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for SlotError<E> {}
