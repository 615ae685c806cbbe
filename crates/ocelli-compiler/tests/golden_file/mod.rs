//! Reads `.golden` files; `tests/golden/README.md` specifies them.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of golden files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// A golden file.
pub struct Golden {
    /// The line of JSON at its start.
    pub header: Value,
    data: Vec<u8>,
}

impl Golden {
    /// Reads a file.
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let end =
            bytes.iter().position(|&byte| byte == b'\n').expect("a golden file starts with a line of JSON");
        let header: Value = serde_json::from_slice(&bytes[..end]).expect("its first line is JSON");
        assert_eq!(header["format"], "ocelli-golden-1", "{}", path.display());
        Self { header, data: bytes[end + 1..].to_vec() }
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.header["count"].as_u64().expect("it has a count") as usize
    }

    /// The bytes of each sample and the type, for each tensor of a role (`input` or `output`).
    pub fn all(&self, role: &str) -> Vec<(Vec<&[u8]>, &str)> {
        let tensors = self.header["tensors"].as_array().expect("it has tensors");
        let of_role = tensors.iter().filter(|tensor| tensor["role"] == role);
        of_role
            .map(|tensor| {
                let at = |key: &str| tensor[key].as_u64().expect("a number") as usize;
                let bytes = &self.data[at("offset")..at("offset") + at("bytes")];
                let samples = bytes.chunks_exact(bytes.len() / self.count()).collect();
                (samples, tensor["dtype"].as_str().expect("it has a type"))
            })
            .collect()
    }

    /// The bytes of each sample of the only tensor of a role, and its type.
    pub fn samples(&self, role: &str) -> (Vec<&[u8]>, &str) {
        let mut all = self.all(role);
        assert_eq!(all.len(), 1, "tensors of role {role}");
        all.remove(0)
    }
}

/// The generator of `input_source: xorshift32`.
pub fn generated(sample: u32, count: usize) -> Vec<i8> {
    ocelli::test_bytes(1 + sample).take(count).collect()
}
