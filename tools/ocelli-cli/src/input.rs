//! Inputs for a packed model: pictures through the model's own preprocessing, or raw int8 values.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ocelli::Model;
use ocelli_compiler::calibrate::data::{DataOptions, Dataset, Preprocessing};
use ocelli_compiler::graph::Shape;

/// One input.
pub struct Input {
    /// Where it came from.
    pub name: String,
    /// The input tensor's values.
    pub values: Vec<i8>,
}

/// Reads every input that the paths hold, in their order; `tile` is the size of the pictures in a strip.
pub fn read(model: &Model<'_>, paths: &[PathBuf], tile: Option<[usize; 2]>) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("bin" | "raw" | "i8") => read_raw(model, path, &mut inputs)?,
            _ => read_pictures(model, path, tile, &mut inputs)?,
        }
    }
    Ok(inputs)
}

fn read_raw(model: &Model<'_>, path: &Path, inputs: &mut Vec<Input>) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = model.input().len();
    if bytes.is_empty() || bytes.len() % length != 0 {
        bail!(
            "{} has {} bytes: the model takes {length} an input, one input after the other",
            path.display(),
            bytes.len()
        );
    }
    let count = bytes.len() / length;
    for (index, values) in bytes.chunks_exact(length).enumerate() {
        let values = values.iter().map(|&value| value.cast_signed()).collect();
        let name =
            if count == 1 { path.display().to_string() } else { format!("{}[{index}]", path.display()) };
        inputs.push(Input { name, values });
    }
    Ok(())
}

fn read_pictures(
    model: &Model<'_>,
    path: &Path,
    tile: Option<[usize; 2]>,
    inputs: &mut Vec<Input>,
) -> Result<()> {
    let info = model.input();
    let Some(tables) = model.preprocessing() else {
        bail!(
            "{}: the model does not say how pictures become its input; give raw int8 inputs (.bin), or pack it with `--preprocess`",
            path.display()
        );
    };
    let shape = Shape::new(info.height.into(), info.width.into(), info.channels.into());
    let preprocessing = Preprocessing { bgr: tables.bgr, ..Preprocessing::default() };
    let options = DataOptions { preprocessing, tile, ..DataOptions::default() };
    let pictures = Dataset::open(std::slice::from_ref(&path.to_path_buf()), shape, &options)?;
    for index in 0..pictures.len() {
        let Some(bytes) = pictures.bytes(index)? else {
            bail!("{} does not hold pictures: give raw int8 inputs as .bin", path.display());
        };
        let values = bytes.iter().enumerate().map(|(at, &byte)| {
            let table = tables
                .table(at % shape.channels)
                .expect("the model was checked: a table for all channels or one for each");
            table[usize::from(byte)]
        });
        inputs.push(Input { name: pictures.name(index), values: values.collect() });
    }
    Ok(())
}
