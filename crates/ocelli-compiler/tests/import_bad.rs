//! Damaged, hostile and unsupported files: refused with a message that names what is wrong, and never a panic.

mod import_common;

use std::path::{Path, PathBuf};

use import_common::repository;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::import::{self, ImportOptions};
use ocelli_compiler::simplify::simplify;
use proptest::prelude::*;

#[test]
fn bad_files_are_refused_by_name() {
    let folder = repository().join("tests/golden/bad");
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut failed = Vec::new();
    for (file, case) in cases.as_object().unwrap() {
        let error = match import::load(&folder.join(file)) {
            Err(error) => error,
            Ok(_) if case["may_load"] == true => continue,
            Ok(_) => {
                failed.push(format!("{file} ({}) was imported", case["wrong"]));
                continue;
            }
        };
        let message = error.to_string();
        assert!(
            !error.problems.is_empty() && error.problems.iter().all(|problem| !problem.remedy.is_empty())
        );
        assert!(message.contains(file), "{message}");
        for alternatives in case["names"].as_array().unwrap() {
            let names = alternatives.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            if !names.clone().any(|name| message.contains(name)) {
                failed.push(format!("{file} ({}): none of {alternatives} in: {message}", case["wrong"]));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = import::load(Path::new("no/such/network.onnx")).unwrap_err().to_string();
    assert!(message.contains("no/such/network.onnx"), "{message}");
}

/// Whether bytes are imported; what is imported must survive the next stages too.
fn import(bytes: &[u8]) -> bool {
    match import::from_bytes(bytes, Path::new("no such folder"), &ImportOptions::default()) {
        Ok(mut network) => {
            simplify(&mut network.graph);
            network.graph.summary();
            // The engine may refuse a network, with an error.
            drop(FloatModel::new(&network.graph));
            true
        }
        Err(_) => false,
    }
}

fn networks() -> Vec<PathBuf> {
    let golden = repository().join("tests/golden");
    let mut paths: Vec<PathBuf> = ["onnx", "attention", "tflite_ops"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(golden.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx" || extension == "tflite"))
        .collect();
    paths.sort();
    assert!(paths.len() > 400, "only {} networks", paths.len());
    paths
}

#[test]
fn files_cut_anywhere_do_not_panic() {
    for path in networks() {
        let bytes = std::fs::read(&path).unwrap();
        assert!(import(&bytes), "{}", path.display());
        let step = (bytes.len() / 40).max(1);
        for length in (0..bytes.len()).step_by(step).chain(bytes.len().saturating_sub(4)..bytes.len()) {
            import(&bytes[..length]);
        }
    }
}

#[test]
fn the_demo_network_cut_anywhere_is_refused() {
    let bytes = std::fs::read(repository().join("models/digits/mobilenet_v2_digits.onnx")).unwrap();
    for length in (0..bytes.len()).step_by(997) {
        assert!(!import(&bytes[..length]), "cut at {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_do_not_panic(
        pick in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let networks = networks();
        let mut bytes = std::fs::read(pick.get(&networks)).unwrap();
        for (place, value) in &damage {
            let place = place.index(bytes.len());
            bytes[place] = *value;
        }
        import(&bytes);
    }
}
