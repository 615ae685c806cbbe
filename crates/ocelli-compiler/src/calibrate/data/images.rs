//! Pictures and strips of pictures.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageReader};

use super::DataError;
use crate::graph::Shape;

/// Pictures of one size below each other in one file. It is decoded when it is first read, and kept.
#[derive(Debug)]
pub(super) struct Strip {
    pub path: PathBuf,
    /// Width and height of a picture.
    tile: [usize; 2],
    pub count: usize,
    decoded: OnceLock<Result<Vec<u8>, String>>,
}

impl Strip {
    /// Reads the size of a picture's file and cuts it into pictures of `tile` (width, height).
    pub fn open(path: &Path, shape: Shape, tile: [usize; 2]) -> Result<Self, DataError> {
        let (width, height) = reader(path)?.into_dimensions().map_err(|error| broken(path, &error))?;
        let (width, height) = (width as usize, height as usize);
        let [tile_width, tile_height] = tile;
        if width != tile_width || tile_height == 0 || !height.is_multiple_of(tile_height) || height == 0 {
            return Err(DataError::Shape {
                path: path.to_owned(),
                found: format!(
                    "a picture {width} wide and {height} tall is no strip of pictures of {tile_width}x{tile_height}"
                ),
                expected: shape,
                remedy: ": give the size of the strip's pictures",
            });
        }
        Ok(Self { path: path.to_owned(), tile, count: height / tile_height, decoded: OnceLock::new() })
    }

    /// One of its pictures at the size of the input.
    pub fn picture(&self, index: usize, shape: Shape, bgr: bool) -> Result<Vec<u8>, DataError> {
        let decoded = self.decoded.get_or_init(|| {
            decode(&self.path)
                .map(|picture| bytes(picture, shape.channels, bgr))
                .map_err(|error| error.to_string())
        });
        let all = decoded
            .as_ref()
            .map_err(|reason| DataError::Picture { path: self.path.clone(), reason: reason.clone() })?;
        let length = self.tile[0] * self.tile[1] * shape.channels;
        let tile = &all[index * length..(index + 1) * length];
        Ok(resized(tile.to_vec(), self.tile, shape))
    }
}

/// A picture at the size of the input, channels innermost.
pub(super) fn picture(path: &Path, shape: Shape, bgr: bool) -> Result<Vec<u8>, DataError> {
    let picture = decode(path)?;
    let size = [picture.width() as usize, picture.height() as usize];
    Ok(resized(bytes(picture, shape.channels, bgr), size, shape))
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, DataError> {
    let read = |error| DataError::Read { path: path.to_owned(), error };
    ImageReader::open(path).map_err(read)?.with_guessed_format().map_err(read)
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    reader(path)?.decode().map_err(|error| broken(path, &error))
}

fn broken(path: &Path, error: &image::ImageError) -> DataError {
    DataError::Picture { path: path.to_owned(), reason: error.to_string() }
}

fn bytes(picture: DynamicImage, channels: usize, bgr: bool) -> Vec<u8> {
    if channels == 1 {
        return picture.into_luma8().into_raw();
    }
    let mut bytes = picture.into_rgb8().into_raw();
    if bgr {
        bytes.chunks_exact_mut(3).for_each(|pixel| pixel.reverse());
    }
    bytes
}

/// Bilinear interpolation between pixel centres; where it shrinks, the triangle widens with the step, so that no pixel is skipped.
fn resized(bytes: Vec<u8>, [width, height]: [usize; 2], shape: Shape) -> Vec<u8> {
    if [width, height] == [shape.width, shape.height] {
        return bytes;
    }
    let (from, to) = ([width as u32, height as u32], [shape.width as u32, shape.height as u32]);
    let resized = if shape.channels == 1 {
        image::GrayImage::from_raw(from[0], from[1], bytes)
            .map(|picture| imageops::resize(&picture, to[0], to[1], FilterType::Triangle).into_raw())
    } else {
        image::RgbImage::from_raw(from[0], from[1], bytes)
            .map(|picture| imageops::resize(&picture, to[0], to[1], FilterType::Triangle).into_raw())
    };
    resized.unwrap_or_default()
}
