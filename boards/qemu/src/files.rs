//! Files of the host.

use core::ffi::CStr;
use core::fmt;

use ocelli_app::Files;
use semihosting::fd::OwnedFd;
use semihosting::fs::File;
use semihosting::io::{self, Read, Write};

/// Why a file could not be read or written.
#[derive(Debug)]
pub enum FileError {
    /// The host refused.
    Host {
        /// The file's name.
        name: &'static CStr,
        /// The host's reason.
        error: io::Error,
    },
    /// The file ends within an input, or cannot be written on.
    Short(&'static CStr),
    /// The file does not fit the memory for it.
    Large {
        /// The file's name.
        name: &'static CStr,
        /// Bytes that there are.
        available: usize,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &'static CStr| name.to_str().unwrap_or_default();
        match self {
            Self::Host { name, error } => write!(f, "file {}: {error}", text(name)),
            Self::Short(name) => {
                write!(f, "file {}: it is not a whole number of inputs, or the disk is full", text(name))
            }
            Self::Large { name, available } => {
                write!(f, "file {}: it has more than the {available} bytes that fit", text(name))
            }
        }
    }
}

/// Whether there is a file of that name.
pub fn exists(name: &'static CStr) -> bool {
    File::open(name).is_ok()
}

/// Reads a whole file into memory, and gives the bytes read.
///
/// # Errors
/// If the file cannot be read, or does not fit.
pub fn read<'a>(name: &'static CStr, memory: &'a mut [u8]) -> Result<&'a [u8], FileError> {
    let mut file = File::open(name).map_err(|error| FileError::Host { name, error })?;
    let available = memory.len();
    let length = fill(&mut file, name, memory)?;
    match memory.get(..length) {
        Some(bytes) if length < available => Ok(bytes),
        _ => Err(FileError::Large { name, available }),
    }
}

/// Reads until `bytes` is full or the file ends; gives the number of bytes read.
fn fill(file: &mut File, name: &'static CStr, bytes: &mut [u8]) -> Result<usize, FileError> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(|error| FileError::Host { name, error })? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The first tensor in `inputs`, or zeros where there is no such file.
#[derive(Debug)]
pub struct FirstInput(Option<OwnedFd>);

impl FirstInput {
    /// Opens `inputs`.
    pub fn open() -> Self {
        Self(File::open(INPUTS).ok().map(OwnedFd::from))
    }

    /// Fills `values` with the next values; zeros after the end.
    pub fn read(&mut self, values: &mut [i8]) {
        values.fill(0);
        // Reading checks, with a panic, that an open file's number is not -1: here it is plain to see that it is not.
        if let Some(number) = self.0.take().filter(|number| number.as_raw_fd() != -1) {
            let mut file = File::from(number);
            // A short file, like none, leaves the rest zero.
            let _ = fill(&mut file, INPUTS, unsigned(values));
            self.0 = Some(file.into());
        }
    }
}

fn unsigned(values: &mut [i8]) -> &mut [u8] {
    // SAFETY: `i8` and `u8` have the same size and alignment, and every bit pattern is valid for both.
    unsafe { core::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), values.len()) }
}

/// A file of inputs, concatenated, and one that outputs are appended to.
#[derive(Debug)]
pub struct InputsAndOutputs {
    inputs: File,
    outputs: File,
}

const INPUTS: &CStr = c"inputs";
const OUTPUTS: &CStr = c"outputs";

impl InputsAndOutputs {
    /// Opens `inputs` and creates `outputs`.
    ///
    /// # Errors
    /// If the host refuses.
    pub fn open() -> Result<Self, FileError> {
        let inputs = File::open(INPUTS).map_err(|error| FileError::Host { name: INPUTS, error })?;
        let outputs = File::create(OUTPUTS).map_err(|error| FileError::Host { name: OUTPUTS, error })?;
        Ok(Self { inputs, outputs })
    }
}

impl Files for InputsAndOutputs {
    type Error = FileError;

    fn read_input(&mut self, input: &mut [i8]) -> Result<bool, FileError> {
        let bytes = unsigned(input);
        match fill(&mut self.inputs, INPUTS, bytes)? {
            0 => Ok(false),
            count if count == bytes.len() => Ok(true),
            _ => Err(FileError::Short(INPUTS)),
        }
    }

    fn write_output(&mut self, output: &[i8]) -> Result<(), FileError> {
        // SAFETY: as in `unsigned`.
        let bytes = unsafe { core::slice::from_raw_parts(output.as_ptr().cast::<u8>(), output.len()) };
        self.outputs.write_all(bytes).map_err(|error| FileError::Host { name: OUTPUTS, error })
    }
}
