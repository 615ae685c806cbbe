//! What the importer's tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod golden;

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The networks with this extension in the folder of shared test material beside the repository; says so where it is absent.
pub fn shared_models(extension: &str) -> Vec<PathBuf> {
    let root = repository().join("../shared/models");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|own| own == extension) {
                found.push(file.path());
            }
        }
    }
    if found.is_empty() {
        eprintln!("skipped: no .{extension} networks in {}", root.display());
    }
    found.sort();
    found
}

/// Bytes by the generator of `tests/golden/README.md`.
pub fn noise_bytes(sample: u32, count: usize) -> Vec<u8> {
    ocelli::test_bytes(1 + sample).take(count).map(i8::cast_unsigned).collect()
}

/// Values in -2..2 from [`noise_bytes`].
pub fn noise(sample: u32, count: usize) -> Vec<f32> {
    noise_bytes(sample, count).into_iter().map(|byte| f32::from(byte as i8) / 64.0).collect()
}

/// Panics where the outputs differ by more than `tolerance` of the largest magnitude.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(1e-3f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: element {index} is {found}, expected {expected}"
        );
    }
}
