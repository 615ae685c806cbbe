//! Why bytes are not a model that can run.

use core::fmt;

/// Why [`Model::open`](crate::Model::open) refused some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes do not start at a multiple of [`ALIGNMENT`](crate::ALIGNMENT).
    Misaligned,
    /// The bytes are not a packed model at all.
    Magic,
    /// The file ends early, or bytes follow it.
    Length {
        /// Bytes that the header states (or that a header takes).
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The file is of a format version that this library does not read.
    Version {
        /// The file's.
        found: u16,
    },
    /// The checksum does not match: the file was damaged.
    Checksum,
    /// A field of the header has no meaning, or points out of the file.
    Header {
        /// The field.
        field: &'static str,
    },
    /// A tensor points out of the arena or the weights.
    Tensor {
        /// Its index.
        index: usize,
    },
    /// A step is cut, names a tensor that is not there, or an unknown operator.
    Step {
        /// Its index.
        index: usize,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => formatter
                .write_str("the model does not start at a multiple of 16 bytes; wrap it in `Aligned`"),
            Self::Magic => {
                formatter.write_str("this is not a packed Ocelli model; make one with `ocelli quantize`")
            }
            Self::Length { expected, found } => write!(
                formatter,
                "the model should have {expected} bytes but {found} are there; it was cut or is not whole yet, copy it again"
            ),
            Self::Version { found } => write!(
                formatter,
                "the model has format version {found}, this library reads {}; pack it again with the matching `ocelli`",
                crate::VERSION
            ),
            Self::Checksum => formatter
                .write_str("the model's checksum does not match: it was damaged, copy or pack it again"),
            Self::Header { field } => {
                write!(formatter, "the model's header has an impossible `{field}`; pack the model again")
            }
            Self::Tensor { index } => {
                write!(formatter, "tensor {index} lies outside the arena or the file; pack the model again")
            }
            Self::Step { index } => write!(
                formatter,
                "step {index} is not one that this library knows or is cut; pack the model again with the matching `ocelli`"
            ),
        }
    }
}

impl core::error::Error for ModelError {}
