//! What files and folders hold.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::images::{self, Strip};
use super::{DataError, DataOptions, Element, Sample, arrays};
use crate::graph::Shape;

/// A file, and how many samples it holds.
#[derive(Debug)]
pub(super) enum Part {
    /// One picture, resized where it has another size.
    Picture(PathBuf),
    /// Pictures below each other in one file.
    Strip(Strip),
    /// Samples one after the other, without a header.
    Raw { path: PathBuf, element: Element, count: usize },
    /// Samples of an array, in memory.
    Array { path: PathBuf, values: Sample, count: usize },
}

impl Part {
    pub fn path(&self) -> &Path {
        match self {
            Self::Picture(path) | Self::Raw { path, .. } | Self::Array { path, .. } => path,
            Self::Strip(strip) => &strip.path,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Picture(_) => 1,
            Self::Strip(strip) => strip.count,
            Self::Raw { count, .. } | Self::Array { count, .. } => *count,
        }
    }

    /// Whether its bytes are signed; `None` for floats.
    pub fn is_signed(&self) -> Option<bool> {
        let element = match self {
            Self::Picture(_) | Self::Strip(_) => Element::U8,
            Self::Raw { element, .. } => *element,
            Self::Array { values, .. } => values.element(),
        };
        match element {
            Element::U8 => Some(false),
            Element::I8 => Some(true),
            Element::F32 => None,
        }
    }

    pub fn sample(&self, index: usize, shape: Shape, bgr: bool) -> Result<Sample, DataError> {
        match self {
            Self::Picture(path) => images::picture(path, shape, bgr).map(Sample::U8),
            Self::Strip(strip) => strip.picture(index, shape, bgr).map(Sample::U8),
            Self::Raw { path, element, .. } => arrays::raw_sample(path, *element, index, shape.len()),
            Self::Array { values, .. } => Ok(values.slice(index * shape.len(), shape.len())),
        }
    }
}

const PICTURES: [&str; 11] = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "pnm", "pbm", "pgm", "ppm", "pam"];

fn extension(path: &Path) -> String {
    path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase()
}

/// Adds the samples of a file or a folder, and the classes of each new part where they are known.
pub(super) fn collect(
    path: &Path,
    shape: Shape,
    options: &DataOptions,
    parts: &mut Vec<Part>,
    labels: &mut Vec<Option<Vec<usize>>>,
) -> Result<(), DataError> {
    let read = |error| DataError::Read { path: path.to_owned(), error };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        let (part, classes) = file(path, shape, options)?;
        parts.push(part);
        labels.push(classes);
        return Ok(());
    }
    let mut files = Vec::new();
    walk(path, &mut files)?;
    let pictures: Vec<PathBuf> =
        files.iter().filter(|file| PICTURES.contains(&extension(file).as_str())).cloned().collect();
    if pictures.is_empty() {
        let known = |file: &PathBuf| arrays::is_array(&extension(file)) || element(file, options).is_some();
        files.retain(known);
    } else {
        files = pictures;
    }
    let classes = classes(path, &files, &options.class_names);
    let mut ordered: Vec<(Option<usize>, PathBuf)> = files
        .into_iter()
        .enumerate()
        .map(|(index, file)| (classes.as_ref().map(|all| all[index]), file))
        .collect();
    ordered.sort();
    for (class, file_path) in ordered {
        let (part, own) = file(&file_path, shape, options)?;
        labels.push(class.map(|class| vec![class; part.len()]).or(own));
        parts.push(part);
    }
    Ok(())
}

/// All files below a folder.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let read = |error| DataError::Read { path: folder.to_owned(), error };
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match path.is_dir() {
            _ if hidden => {}
            true => walk(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// The class of each file of a folder by its sub-folder; `None` where a file lies in none.
///
/// A sub-folder's class is its place among the known class names if all are known, its number if all are numbers, else its place in
/// alphabetical order.
fn classes(folder: &Path, files: &[PathBuf], names: &[String]) -> Option<Vec<usize>> {
    let folders: Vec<String> = files
        .iter()
        .map(|file| {
            let mut inner = file.strip_prefix(folder).ok()?.components();
            let first = inner.next()?.as_os_str().to_string_lossy().into_owned();
            inner.next().map(|_| first)
        })
        .collect::<Option<_>>()?;
    let mut classes: BTreeMap<&String, usize> = folders.iter().map(|name| (name, 0)).collect();
    let position = |name: &str| names.iter().position(|known| known == name);
    let named = classes.keys().all(|name| position(name).is_some());
    let numbered = classes.keys().all(|name| name.parse::<usize>().is_ok());
    for (index, (name, class)) in classes.iter_mut().enumerate() {
        *class = match (named, numbered) {
            (true, _) => position(name).unwrap_or(index),
            (false, true) => name.parse().unwrap_or(index),
            (false, false) => index,
        };
    }
    Some(folders.iter().map(|name| classes[name]).collect())
}

fn element(path: &Path, options: &DataOptions) -> Option<Element> {
    match extension(path).as_str() {
        "u8" => Some(Element::U8),
        "i8" => Some(Element::I8),
        "f32" => Some(Element::F32),
        "bin" | "raw" | "dat" => options.raw,
        _ => None,
    }
}

/// A single file, and its samples' classes where it has them.
fn file(path: &Path, shape: Shape, options: &DataOptions) -> Result<(Part, Option<Vec<usize>>), DataError> {
    let kind = extension(path);
    if PICTURES.contains(&kind.as_str()) {
        if ![1, 3].contains(&shape.channels) {
            return Err(DataError::PictureChannels { path: path.to_owned(), channels: shape.channels });
        }
        let strip = options.tile.map(|tile| Strip::open(path, shape, tile)).transpose()?;
        // A strip is kept in memory once it is read, which a folder of single pictures need not be.
        let part =
            strip.filter(|strip| strip.count > 1).map_or_else(|| Part::Picture(path.to_owned()), Part::Strip);
        return Ok((part, None));
    }
    if arrays::is_array(&kind) {
        let (values, count, labels) = arrays::read(path, shape)?;
        return Ok((Part::Array { path: path.to_owned(), values, count }, labels));
    }
    let remedy = match kind.as_str() {
        "bin" | "raw" | "dat" => "say whether its elements are u8, i8 or f32",
        _ => {
            "it is no picture (png, jpeg, bmp, gif, webp, pnm), .npy, .npz, .u8, .i8, .f32, .bin, .raw or .dat file"
        }
    };
    let element = element(path, options).ok_or(DataError::Kind { path: path.to_owned(), remedy })?;
    let count = arrays::raw_count(path, element, shape)?;
    Ok((Part::Raw { path: path.to_owned(), element, count }, None))
}
