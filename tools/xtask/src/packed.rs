//! Packed models, read from their files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use ocelli::{ALIGNMENT, Model};

/// A packed model's file in memory, aligned as reading it asks for.
pub struct Packed {
    path: PathBuf,
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Packed {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let length = bytes.len();
        let mut memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        memory.get_mut(start..start + length).context("the memory is large enough")?.copy_from_slice(&bytes);
        Ok(Self { path: path.to_owned(), memory, start, length })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// The model.
    pub fn model(&self) -> Result<Model<'_>> {
        Model::open(self.bytes()).map_err(|error| anyhow!("{}: {error}", self.path.display()))
    }
}
