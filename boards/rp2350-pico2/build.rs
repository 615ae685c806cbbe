//! Tells the linker the memory map, and the program its model.

use std::env;
use std::path::Path;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-search={folder}");
    for script in ["link.x", "defmt.x"] {
        println!("cargo:rustc-link-arg-bins=-T{script}");
    }
    println!("cargo:rerun-if-changed=memory.x");

    let model = env::var("OCELLI_MODEL").unwrap_or_else(|_| format!("{folder}/model.ocelli"));
    assert!(
        Path::new(&model).is_file(),
        "{model} is not there: make it with `ocelli quantize NETWORK --calibrate PICTURES --target cortex-m33 -o {model}`"
    );
    println!("cargo:rustc-env=OCELLI_MODEL={model}");
    println!("cargo:rerun-if-env-changed=OCELLI_MODEL");
    println!("cargo:rerun-if-changed={model}");
}
