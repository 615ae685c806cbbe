//! The kernels of every machine's architecture give the portable ones' bytes, and take the instructions that were recorded.

use ocelli_machines::kernels::{Cases, Golden, bench, test};
use ocelli_machines::machine;

fn equals_portable(name: &str) {
    let machine = machine(name).expect("the table has it");
    let cases = Cases { seed: 0, cases: 150, kind: "", trace: false };
    if let Err(error) = test(machine, cases) {
        panic!("{error}");
    }
    let now = bench(machine).and_then(|calls| Golden::of(&calls)).unwrap_or_else(|error| panic!("{error}"));
    let Some(golden) = Golden::read(machine).unwrap_or_else(|error| panic!("{error}")) else {
        eprintln!(
            "skipped: instructions of kernels on {name}: none are recorded by `cargo xtask kernels --bless`"
        );
        return;
    };
    if golden.compiler != now.compiler {
        eprintln!(
            "skipped: instructions of kernels on {name}: recorded with {}, not {}",
            golden.compiler, now.compiler
        );
        return;
    }
    let changes = golden.changes(&now);
    assert!(
        changes.is_empty(),
        "kernels on {name} take other instructions; if that is meant, record it by `cargo xtask kernels --bless`:\n{}",
        changes.join("\n")
    );
}

#[test]
fn m0_kernels() {
    equals_portable("m0");
}

#[test]
fn m3_kernels() {
    equals_portable("m3");
}

#[test]
fn m4_kernels() {
    equals_portable("m4");
}

#[test]
fn m7_kernels() {
    equals_portable("m7");
}

#[test]
fn m33_kernels() {
    equals_portable("m33");
}

#[test]
fn m55_kernels() {
    equals_portable("m55");
}

#[test]
fn rv32_kernels() {
    equals_portable("rv32");
}
