//! Data sets: folders of pictures, strips of pictures, `.npy` and `.npz` arrays, raw files.
//!
//! Samples are read when they are asked for and may be asked for from several threads. A sample of bytes stands for
//! `byte * scale + offset` ([`Preprocessing`]); a sample of floats is taken as it is.

mod arrays;
mod error;
mod files;
mod images;
mod labels;
mod npy;
mod preprocessing;

use std::path::{Path, PathBuf};

pub use arrays::Element;
pub use error::DataError;
pub use preprocessing::Preprocessing;

use crate::graph::{Quantization, Shape};
use files::Part;

/// How to read a data set.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// What bytes stand for.
    pub preprocessing: Preprocessing,
    /// A file of labels, which takes precedence over sub-folders: one byte a sample (`.u8`), or text with one class a line, alone
    /// (in the order of the samples) or after a file name and a comma.
    pub labels: Option<PathBuf>,
    /// Names of the classes: where all sub-folders are among them, they give the class indices.
    pub class_names: Vec<String>,
    /// What raw files (`.bin`, `.raw`, `.dat`) hold; files that end in `.u8`, `.i8` or `.f32` say it themselves.
    pub raw: Option<Element>,
    /// Width and height of the pictures in strips: with it, every picture file holds pictures of this size, one or more below each
    /// other; without it, each is one picture.
    pub tile: Option<[usize; 2]>,
}

/// Inputs for a network, with classes where they are known.
#[derive(Debug)]
pub struct Dataset {
    shape: Shape,
    preprocessing: Preprocessing,
    parts: Vec<Part>,
    /// Index of each part's first sample.
    starts: Vec<usize>,
    length: usize,
    labels: Option<Vec<usize>>,
}

/// A sample as it is stored, in HWC order.
#[derive(Clone, Debug, PartialEq)]
enum Sample {
    U8(Vec<u8>),
    I8(Vec<i8>),
    F32(Vec<f32>),
}

impl Dataset {
    /// Opens files and folders, one after the other, for inputs of `shape`. Pictures are not decoded yet.
    ///
    /// # Errors
    /// [`DataError`] names the file, what was expected and the remedy.
    pub fn open(paths: &[PathBuf], shape: Shape, options: &DataOptions) -> Result<Self, DataError> {
        options.preprocessing.check(shape.channels)?;
        let mut parts = Vec::new();
        let mut found = Vec::new();
        for path in paths {
            files::collect(path, shape, options, &mut parts, &mut found)?;
        }
        let mut starts = Vec::with_capacity(parts.len());
        let mut length = 0;
        for part in &parts {
            starts.push(length);
            length += part.len();
        }
        if length == 0 {
            return Err(DataError::Empty {
                path: paths.first().cloned().unwrap_or_default(),
                expected: shape,
            });
        }
        let labels = match &options.labels {
            Some(path) => Some(labels::read(path, &parts, length)?),
            None => found.into_iter().collect::<Option<Vec<Vec<usize>>>>().map(|labels| labels.concat()),
        };
        Ok(Self { shape, preprocessing: options.preprocessing.clone(), parts, starts, length, labels })
    }

    /// Number of samples, at least one.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none: never.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The shape of each sample.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What bytes stand for.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Whether samples have classes.
    pub fn is_labelled(&self) -> bool {
        self.labels.is_some()
    }

    /// The class of a sample.
    pub fn label(&self, index: usize) -> Option<usize> {
        self.labels.as_ref()?.get(index).copied()
    }

    /// The name of a sample: its file as it was given or found, and where that holds several samples the sample's index in it, such as
    /// `strip.png[3]`.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn name(&self, index: usize) -> String {
        let (part, place) = self.place(index);
        let path = shown(part.path());
        if part.len() == 1 { path } else { format!("{path}[{place}]") }
    }

    /// A sample as real values in HWC order.
    ///
    /// # Errors
    /// If its file cannot be read or decoded.
    pub fn input(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let channels = self.shape.channels;
        Ok(match self.sample(index)? {
            Sample::U8(bytes) => self.preprocessing.apply(bytes.into_iter().map(f32::from), channels),
            Sample::I8(bytes) => self.preprocessing.apply(bytes.into_iter().map(f32::from), channels),
            Sample::F32(values) => values,
        })
    }

    /// A sample as the int8 values of a network's input: bytes as [`Preprocessing::tables`] maps them.
    ///
    /// # Errors
    /// As [`Dataset::input`].
    pub fn quantized(&self, index: usize, quantization: Quantization) -> Result<Vec<i8>, DataError> {
        let channels = self.shape.channels;
        Ok(match self.sample(index)? {
            Sample::U8(bytes) => {
                let tables = self.preprocessing.tables(quantization).tables;
                bytes
                    .iter()
                    .enumerate()
                    .map(|(at, &byte)| tables[(at % channels).min(tables.len() - 1)][usize::from(byte)])
                    .collect()
            }
            Sample::I8(bytes) => {
                let real = self.preprocessing.apply(bytes.into_iter().map(f32::from), channels);
                real.into_iter().map(|value| preprocessing::nearest(value, quantization)).collect()
            }
            Sample::F32(values) => {
                values.into_iter().map(|value| preprocessing::nearest(value, quantization)).collect()
            }
        })
    }

    /// A sample's bytes in HWC order, in the network's order of channels; `None` where it is none of unsigned bytes.
    ///
    /// # Errors
    /// As [`Dataset::input`].
    pub fn bytes(&self, index: usize) -> Result<Option<Vec<u8>>, DataError> {
        Ok(match self.sample(index)? {
            Sample::U8(bytes) => Some(bytes),
            Sample::I8(_) | Sample::F32(_) => None,
        })
    }

    /// The scale and zero point under which every byte has an int8 value of its own, where samples are bytes and all channels have
    /// one scale.
    pub fn grid(&self) -> Option<Quantization> {
        let signed = self.parts.iter().map(Part::is_signed).collect::<Option<Vec<bool>>>()?;
        let first = *signed.first()?;
        signed.iter().all(|&other| other == first).then(|| self.preprocessing.grid(first)).flatten()
    }

    /// At most `count` sample indices, evenly spread, so that a data set sorted by class gives each its share.
    pub fn spread(&self, count: usize) -> Vec<usize> {
        let count = count.min(self.length);
        (0..count).map(|index| index * self.length / count).collect()
    }

    fn sample(&self, index: usize) -> Result<Sample, DataError> {
        let (part, place) = self.place(index);
        part.sample(place, self.shape, self.preprocessing.bgr)
    }

    /// The file of a sample, and the sample's index in it.
    fn place(&self, index: usize) -> (&Part, usize) {
        let part = self.starts.partition_point(|&start| start <= index) - 1;
        (&self.parts[part], index - self.starts[part])
    }
}

/// The name in messages: the path as the user would type it.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
