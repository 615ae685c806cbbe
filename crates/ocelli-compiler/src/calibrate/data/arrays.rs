//! NumPy arrays and raw files.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use npyz::npz::{NpzArchive, file_name_from_array_name};
use npyz::{DType, NpyFile, Order, TypeChar};

use super::{DataError, Sample, npy};
use crate::graph::Shape;

/// What a raw file holds, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Unsigned bytes.
    U8,
    /// Signed bytes.
    I8,
    /// Floats of 4 bytes.
    F32,
}

impl Element {
    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::F32 => 4,
        }
    }
}

impl Sample {
    pub(super) fn element(&self) -> Element {
        match self {
            Self::U8(_) => Element::U8,
            Self::I8(_) => Element::I8,
            Self::F32(_) => Element::F32,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    pub(super) fn slice(&self, start: usize, length: usize) -> Self {
        match self {
            Self::U8(values) => Self::U8(values[start..start + length].to_vec()),
            Self::I8(values) => Self::I8(values[start..start + length].to_vec()),
            Self::F32(values) => Self::F32(values[start..start + length].to_vec()),
        }
    }

    /// Samples of channels first as samples of channels last.
    fn channels_last(self, shape: Shape) -> Self {
        match self {
            Self::U8(values) => Self::U8(channels_last(&values, shape)),
            Self::I8(values) => Self::I8(channels_last(&values, shape)),
            Self::F32(values) => Self::F32(channels_last(&values, shape)),
        }
    }
}

fn channels_last<T: Copy>(values: &[T], shape: Shape) -> Vec<T> {
    let (pixels, channels) = (shape.pixels(), shape.channels);
    let pick = |at: usize| {
        let (sample, inner) = (at / shape.len(), at % shape.len());
        values[sample * shape.len() + (inner % channels) * pixels + inner / channels]
    };
    (0..values.len()).map(pick).collect()
}

/// Number of samples in a raw file.
pub(super) fn raw_count(path: &Path, element: Element, shape: Shape) -> Result<usize, DataError> {
    let metadata =
        std::fs::metadata(path).map_err(|error| DataError::Read { path: path.to_owned(), error })?;
    let (bytes, sample) = (metadata.len() as usize, shape.len() * element.bytes());
    if bytes == 0 || !bytes.is_multiple_of(sample) {
        return Err(DataError::Shape {
            path: path.to_owned(),
            found: format!("its {bytes} bytes are not a multiple of {sample}"),
            expected: shape,
            remedy: ": check the file, and whether its elements are u8, i8 or f32",
        });
    }
    Ok(bytes / sample)
}

pub(super) fn raw_sample(
    path: &Path,
    element: Element,
    index: usize,
    length: usize,
) -> Result<Sample, DataError> {
    let read = || {
        let mut bytes = vec![0; length * element.bytes()];
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start((index * bytes.len()) as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| DataError::Read { path: path.to_owned(), error })?;
    Ok(match element {
        Element::U8 => Sample::U8(bytes),
        Element::I8 => Sample::I8(bytes.into_iter().map(u8::cast_signed).collect()),
        Element::F32 => {
            Sample::F32(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
        }
    })
}

pub(super) fn is_array(extension: &str) -> bool {
    matches!(extension, "npy" | "npz")
}

/// Reads all samples of an array file: their values, their number and, of an archive that has them, their classes.
pub(super) fn read(path: &Path, shape: Shape) -> Result<(Sample, usize, Option<Vec<usize>>), DataError> {
    let refuse = |reason: String| DataError::Array { path: path.to_owned(), reason };
    let unreadable = |error: std::io::Error| DataError::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let file = BufReader::new(file);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        let array = npy::open(file, length).map_err(refuse)?;
        let (values, count) = samples(array, path, shape)?;
        return Ok((values, count, None));
    }

    let mut archive = NpzArchive::new(file)
        .map_err(|error| refuse(format!("it is no NumPy archive that can be read ({error})")))?;
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let mut arrays = Vec::new();
    for name in &names {
        let array = member(&mut archive, name).map_err(refuse)?;
        arrays.push((array.shape().len(), array.len()));
    }
    let fits = |name: &str| {
        let (axes, elements) = arrays[names.iter().position(|other| other == name)?];
        (axes > 1 && elements.is_multiple_of(shape.len() as u64)).then(|| name.to_owned())
    };
    let inputs =
        fits("x").or_else(|| names.iter().find_map(|name| fits(name))).ok_or_else(|| DataError::Shape {
            path: path.to_owned(),
            found: format!("none of its arrays ({}) holds inputs", names.join(", ")),
            expected: shape,
            remedy: "",
        })?;
    let (values, count) = samples(member(&mut archive, &inputs).map_err(refuse)?, path, shape)?;
    let labels = names.iter().zip(&arrays).find(|(name, (_, elements))| {
        ["y", "labels", "label"].contains(&name.as_str()) && *elements == count as u64
    });
    let Some((name, _)) = labels else { return Ok((values, count, None)) };
    let labels = integers(member(&mut archive, name).map_err(refuse)?)
        .map_err(|error| refuse(format!("its array `{name}` is cut or damaged ({error})")))?
        .ok_or_else(|| refuse(format!("its array `{name}` holds no class numbers")))?;
    Ok((values, count, Some(labels)))
}

/// An array of an archive.
fn member<'a, R: Read + Seek>(
    archive: &'a mut NpzArchive<R>,
    name: &str,
) -> Result<npy::Array<impl Read + use<'a, R>>, String> {
    let refuse = |reason: String| format!("its array `{name}`: {reason}");
    let entry = archive.zip_archive().by_name(&file_name_from_array_name(name));
    let entry = entry.map_err(|error| refuse(error.to_string()))?;
    let length = entry.size();
    npy::open(entry, length).map_err(refuse)
}

/// The samples of an array: `N x height x width x channels`, `N x channels x height x width`, or `N` times as many values in the first
/// order; without `N`, one sample.
fn samples<R: Read>(array: NpyFile<R>, path: &Path, shape: Shape) -> Result<(Sample, usize), DataError> {
    let dimensions: Vec<usize> =
        array.shape().iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
    let of_shape = |inner: &[usize]| {
        let count = inner.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        count == Some(shape.len())
    };
    let inner = match dimensions.as_slice() {
        [_, inner @ ..] if !inner.is_empty() && of_shape(inner) => inner,
        all if of_shape(all) => all,
        _ => {
            return Err(DataError::Shape {
                path: path.to_owned(),
                found: format!("an array of shape {dimensions:?}"),
                expected: shape,
                remedy: ": put the samples on the first axis",
            });
        }
    };
    let Shape { height, width, channels } = shape;
    let first = inner == [channels, height, width] && inner != [height, width, channels];
    let last = inner.len() < 3 || inner == [height, width, channels] || inner.contains(&1) && !first;
    if !first && !last {
        return Err(DataError::Shape {
            path: path.to_owned(),
            found: format!("an array of shape {dimensions:?}"),
            expected: shape,
            remedy: ": transpose it to samples x height x width x channels",
        });
    }
    let refuse = |reason: String| DataError::Array { path: path.to_owned(), reason };
    if array.order() == Order::Fortran && dimensions.len() > 1 {
        return Err(refuse("its array is in Fortran order: save it with numpy.ascontiguousarray".to_owned()));
    }
    let kind = array.dtype();
    let values = typed(array)
        .map_err(|error| refuse(format!("it is cut or damaged ({error})")))?
        .ok_or_else(|| refuse(format!("its elements are {}, not u8, i8, f32 or f64", kind.descr())))?;
    if values.len() == 0 {
        return Err(refuse("it is empty".to_owned()));
    }
    let count = values.len() / shape.len();
    Ok((if first { values.channels_last(shape) } else { values }, count))
}

/// The kind and size in bytes of an array's elements.
fn kind(dtype: &DType) -> Option<(TypeChar, u64)> {
    match dtype {
        DType::Plain(kind) => Some((kind.type_char(), kind.size_field())),
        _ => None,
    }
}

fn typed<R: Read>(array: NpyFile<R>) -> std::io::Result<Option<Sample>> {
    Ok(Some(match kind(&array.dtype()) {
        Some((TypeChar::Uint, 1)) => Sample::U8(array.into_vec()?),
        Some((TypeChar::Int, 1)) => Sample::I8(array.into_vec()?),
        Some((TypeChar::Float, 4)) => Sample::F32(array.into_vec()?),
        Some((TypeChar::Float, 8)) => {
            let values: Vec<f64> = array.into_vec()?;
            Sample::F32(values.into_iter().map(|value| value as f32).collect())
        }
        _ => return Ok(None),
    }))
}

fn integers<R: Read>(array: NpyFile<R>) -> std::io::Result<Option<Vec<usize>>> {
    let values: Vec<i64> = match kind(&array.dtype()) {
        Some((TypeChar::Uint, 1)) => array.into_vec::<u8>()?.into_iter().map(i64::from).collect(),
        Some((TypeChar::Int, 1)) => array.into_vec::<i8>()?.into_iter().map(i64::from).collect(),
        Some((TypeChar::Int, 4)) => array.into_vec::<i32>()?.into_iter().map(i64::from).collect(),
        Some((TypeChar::Int, 8)) => array.into_vec::<i64>()?,
        _ => return Ok(None),
    };
    Ok(values.into_iter().map(|value| usize::try_from(value).ok()).collect())
}
