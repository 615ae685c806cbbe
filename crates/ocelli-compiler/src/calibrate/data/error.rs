//! What can be wrong with a data set.

use std::path::PathBuf;

use thiserror::Error;

use super::shown;
use crate::graph::Shape;

/// Why a data set cannot be read. Messages name the file and the remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}", shown(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// No sample was found.
    #[error(
        "{} holds no inputs: give a folder of pictures (png, jpeg, bmp, gif, webp, pnm), strips of pictures, a .npy or .npz array, or raw \
         files, of {expected} values each",
        shown(.path)
    )]
    Empty {
        /// The first place that was searched.
        path: PathBuf,
        /// Shape of an input.
        expected: Shape,
    },
    /// A file is not a picture.
    #[error("{} is not a picture that can be read ({reason}): remove it or convert it to PNG", shown(.path))]
    Picture {
        /// The file.
        path: PathBuf,
        /// The decoder's message.
        reason: String,
    },
    /// Pictures are given to a network that does not take pictures.
    #[error("{} is a picture, but the network takes {channels} channels: give .npy arrays or raw files", shown(.path))]
    PictureChannels {
        /// The file.
        path: PathBuf,
        /// Channels of the input.
        channels: usize,
    },
    /// The file's kind is not known.
    #[error("{}: cannot tell what it holds: {remedy}", shown(.path))]
    Kind {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// Sizes do not match.
    #[error("{}: {found}, but the network takes inputs of {expected} (height x width x channels){remedy}", shown(.path))]
    Shape {
        /// The file.
        path: PathBuf,
        /// What the file holds.
        found: String,
        /// Shape of an input.
        expected: Shape,
        /// What to do, after a colon, or nothing.
        remedy: &'static str,
    },
    /// An array cannot be read.
    #[error("{}: {reason}", shown(.path))]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Labels do not match the samples.
    #[error("labels in {}: {reason}", shown(.path))]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The preprocessing is not one.
    #[error(
        "preprocessing `{given}`: {reason}; it is `unit` (byte / 255), `symmetric` (byte / 127.5 - 1), `raw` (the byte), `imagenet` (mean and \
         standard deviation), `SCALE,OFFSET`, or a scale a channel and then an offset a channel"
    )]
    Preprocessing {
        /// What was given.
        given: String,
        /// What is wrong.
        reason: String,
    },
}
