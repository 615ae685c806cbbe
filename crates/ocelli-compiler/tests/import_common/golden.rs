//! Reads `.golden` files (`tests/golden/README.md`).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::noise_bytes;

/// A tensor with its samples.
pub struct Tensor {
    pub dtype: String,
    pub len: usize,
    pub scale: f32,
    pub zero_point: f32,
    /// Real values, sample by sample.
    pub samples: Vec<Vec<f32>>,
}

/// A golden file.
pub struct Golden {
    pub model: String,
    pub count: usize,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    pub generated: bool,
}

/// All golden files of a folder below `tests/golden`.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let root = super::repository().join("tests/golden").join(folder);
    let entries = std::fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "golden"));
    files.sort();
    assert!(!files.is_empty(), "no golden files in {}", root.display());
    files
}

pub fn read(path: &Path) -> Golden {
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let header: Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let data = &bytes[end + 1..];
    let count = header["count"].as_u64().unwrap() as usize;
    let tensors = |role: &str| {
        let entries = header["tensors"].as_array().unwrap().iter();
        entries.filter(|entry| entry["role"] == role).map(|entry| tensor(entry, data, count)).collect()
    };
    Golden {
        model: header["model"].as_str().unwrap().to_owned(),
        count,
        inputs: tensors("input"),
        outputs: tensors("output"),
        generated: header["input_source"] == "xorshift32",
    }
}

fn tensor(entry: &Value, data: &[u8], count: usize) -> Tensor {
    let number = |key: &str| entry[key].as_u64().unwrap() as usize;
    let dtype = entry["dtype"].as_str().unwrap().to_owned();
    let scale = entry["scale"].as_f64().unwrap_or(1.0) as f32;
    let zero_point = entry["zero_point"].as_f64().unwrap_or(0.0) as f32;
    let raw = &data[number("offset")..][..number("bytes")];
    let values = decode(raw, &dtype, scale, zero_point);
    let len = values.len() / count;
    Tensor { dtype, len, scale, zero_point, samples: values.chunks(len).map(<[f32]>::to_vec).collect() }
}

/// Real values of raw data.
pub fn decode(raw: &[u8], dtype: &str, scale: f32, zero_point: f32) -> Vec<f32> {
    match dtype {
        "float32" => raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        "int8" => raw.iter().map(|&byte| scale * (f32::from(byte as i8) - zero_point)).collect(),
        "uint8" => raw.iter().map(|&byte| scale * (f32::from(byte) - zero_point)).collect(),
        other => panic!("unknown type {other}"),
    }
}

/// The generated input of a sample, float or int8 as real values.
pub fn generated(sample: usize, len: usize, quantization: Option<(f32, f32)>) -> Vec<f32> {
    let bytes = noise_bytes(sample as u32, len);
    match quantization {
        Some((scale, zero_point)) => decode(&bytes, "int8", scale, zero_point),
        None => bytes.iter().map(|&byte| f32::from(byte as i8) / 64.0).collect(),
    }
}
