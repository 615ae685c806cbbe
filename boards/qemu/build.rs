//! Writes the linker's memory map for the chosen machine, from the one table of machines.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use ocelli_machines::{MACHINES, Machine, Region, SMALL_MACHINES};

fn main() {
    let machine = chosen();
    let target = env::var("TARGET").unwrap_or_default();
    assert_eq!(target, machine.target, "the machine {} is for another target", machine.name);

    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(folder.join("memory.x"), memory_map(machine)).expect("cargo's OUT_DIR can be written");
    // What a device crate says of its interrupts: `faults_arm.rs` has the one that there is.
    fs::write(folder.join("device.x"), "").expect("cargo's OUT_DIR can be written");
    println!("cargo:rustc-link-search={}", folder.display());
    if target.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-env=OCELLI_TICK_PICOSECONDS={}", machine.tick_picoseconds);
    println!("cargo:rustc-env=OCELLI_UART={}", machine.uart);
    println!("cargo:rerun-if-changed=build.rs");
}

fn chosen() -> &'static Machine {
    let feature =
        |machine: &&Machine| env::var_os(format!("CARGO_FEATURE_{}", machine.name.to_uppercase())).is_some();
    let mut chosen = MACHINES.iter().chain(SMALL_MACHINES).filter(feature);
    match (chosen.next(), chosen.next()) {
        (Some(machine), None) => machine,
        _ => panic!("choose one machine, for example: --features m4 --target thumbv7em-none-eabihf"),
    }
}

fn memory_map(machine: &Machine) -> String {
    let mut map = String::from("MEMORY {\n");
    let mut region = |name: &str, Region { origin, length }: Region| {
        writeln!(map, "  {name} : ORIGIN = {origin:#x}, LENGTH = {length:#x}")
            .expect("writing to a string succeeds");
    };
    region("FLASH", machine.code);
    region("RAM", machine.ram);
    region("MODEL", machine.model);
    map.push_str("}\n_model_start = ORIGIN(MODEL);\n_model_end = ORIGIN(MODEL) + LENGTH(MODEL);\n");
    if machine.target.starts_with("riscv") {
        for (alias, region) in [
            ("TEXT", "FLASH"),
            ("RODATA", "FLASH"),
            ("DATA", "RAM"),
            ("BSS", "RAM"),
            ("HEAP", "RAM"),
            ("STACK", "RAM"),
        ] {
            writeln!(map, "REGION_ALIAS(\"REGION_{alias}\", {region});")
                .expect("writing to a string succeeds");
        }
    }
    map
}
