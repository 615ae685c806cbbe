//! Command-line options that say how inputs are read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ocelli_compiler::calibrate::data::{DataOptions, Dataset, Element, Preprocessing};
use ocelli_compiler::graph::Shape;

/// How inputs are read.
#[derive(Args)]
pub struct Options {
    /// What a picture's bytes stand for: `unit` (byte / 255), `symmetric` (byte / 127.5 - 1), `raw` (the byte), `imagenet` (mean and
    /// deviation), or SCALE,OFFSET (a scale a channel, then an offset a channel). [default: unit]
    #[arg(long, value_name = "HOW")]
    preprocess: Option<Preprocessing>,
    /// The network's channels are blue, green, red.
    #[arg(long)]
    bgr: bool,
    /// Names of the classes, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// What .bin and .raw files hold.
    #[arg(long, value_name = "TYPE")]
    raw: Option<Raw>,
    /// Width and height of the pictures in a strip of pictures, one below the other.
    #[arg(long, value_name = "W,H", value_parser = parse_tile)]
    tile: Option<Tile>,
}

/// Width and height of the pictures in a strip.
pub type Tile = [usize; 2];

/// Reads `W,H`.
pub fn parse_tile(text: &str) -> Result<Tile, String> {
    let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[width, height]) if width > 0 && height > 0 => Ok([width, height]),
        _ => Err("give a width and a height, such as 96,96".to_owned()),
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Raw {
    U8,
    I8,
    F32,
}

impl Options {
    /// What bytes stand for.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing { bgr: self.bgr, ..self.preprocess.clone().unwrap_or_default() }
    }

    /// Whether the user said what bytes stand for.
    pub fn is_preprocessing_given(&self) -> bool {
        self.preprocess.is_some() || self.bgr
    }

    /// Names of the classes; none if no file was given.
    pub fn class_names(&self) -> Result<Vec<String>> {
        let Some(path) = &self.labels else { return Ok(Vec::new()) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
    }

    /// Opens a data set for inputs of a shape. `classes`: a file of the samples' classes; `class_names`: what folders of a class are called.
    pub fn open(
        &self,
        paths: &[PathBuf],
        shape: Shape,
        classes: Option<&Path>,
        class_names: Vec<String>,
    ) -> Result<Dataset> {
        let options = DataOptions {
            preprocessing: self.preprocessing(),
            labels: classes.map(Path::to_path_buf),
            class_names,
            raw: self.raw.map(|raw| match raw {
                Raw::U8 => Element::U8,
                Raw::I8 => Element::I8,
                Raw::F32 => Element::F32,
            }),
            tile: self.tile,
        };
        Ok(Dataset::open(paths, shape, &options)?)
    }
}
