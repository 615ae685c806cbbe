//! `cargo xtask test`: everything that a change must pass.

use anyhow::Result;
use ocelli_machines::Machine;
use ocelli_machines::toolchain::{Toolchain, clean};

use crate::repository::{cargo, root, run, shared};
use crate::setup;
use crate::steps::Steps;

/// Runs every check, prints a summary, and gives whether all is well.
pub fn test() -> bool {
    let mut steps = Steps::default();
    if steps.run("set-up", setup::run_for_tests) {
        host(&mut steps);
        firmware(&mut steps);
    }
    steps.finish()
}

fn host(steps: &mut Steps) {
    steps.run("formatting", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", "boards/Cargo.toml"]))
    });
    steps.run("clippy", || {
        run(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.run("tests on the host and on every machine", || {
        run(&mut cargo(&["test", "--workspace", "--no-fail-fast"]))
    });
    if shared().is_none() {
        steps.skip("tests of shared models and data", "../shared is not there");
    }
    steps.run("documentation", || {
        run(cargo(&["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
}

fn firmware(steps: &mut Steps) {
    steps.run(
        "firmware of the boards: builds, cannot panic, and takes what is recorded",
        crate::boards::check,
    );
    // The packaged compiler comes without clippy.
    if let Ok(Toolchain::Packaged(_)) = Toolchain::find() {
        steps.skip("clippy of the firmware", "the active Rust toolchain does not have the targets");
        return;
    }
    steps.run("clippy of the firmware", || {
        ["m0", "m3", "m4", "m55", "rv32"]
            .into_iter()
            .filter_map(ocelli_machines::machine)
            .try_for_each(clippy)
    });
}

fn clippy(machine: &Machine) -> Result<()> {
    let mut command = clean("cargo");
    command.args([
        "clippy",
        "--quiet",
        "--release",
        "--package",
        "ocelli-qemu",
        "--bin",
        "any",
        "--bin",
        "kernels",
        "--bin",
        "serial",
        "--features",
        machine.name,
    ]);
    if machine.flash_bytes.is_some() {
        command.args(["--bin", "slots"]);
    }
    command.args([
        "--target",
        machine.target,
        "--manifest-path",
        "boards/Cargo.toml",
        "--",
        "-D",
        "warnings",
    ]);
    run(command.current_dir(root()))
}
