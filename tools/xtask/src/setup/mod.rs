//! Installing what firmware needs: the Rust targets and QEMU. Quick when both are there.

mod components;
mod packages;
mod run;
mod sysroot;
mod targets;

use anyhow::Result;
use ocelli_machines::toolchain::Toolchain;
use ocelli_machines::{Error, MACHINES, cycles};

use packages::Package;

/// Shown by `cargo xtask setup --help`.
pub const HELP: &str = "\
The Rust targets come from `rustup target add`. Where that cannot download them, Debian's rustc-web and rust-web-src are installed, and the \
targets' core and alloc are built from source into a sysroot in the user's cache folder (OCELLI_CACHE chooses another).
OCELLI_TOOLCHAIN=active or =packaged allows only the one or the other.
QEMU comes from the system's package manager. Where there is a C compiler, its plugin that estimates cycles is built.";

/// Installs what `cargo xtask test` needs: what firmware needs, and rustfmt and clippy.
pub fn run_for_tests() -> Result<()> {
    components::install()?;
    run()
}

/// Installs what is missing, and says what is used.
pub fn run() -> Result<()> {
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(Error::NoToolchain(target)) => {
            eprintln!("setup: the Rust target {target} is missing");
            targets::install()?
        }
        Err(error) => return Err(error.into()),
    };
    match &toolchain {
        Toolchain::Active => eprintln!("setup: firmware is compiled by the active Rust toolchain"),
        Toolchain::Packaged(sysroot) => eprintln!(
            "setup: firmware is compiled by the packaged rustc, with the sysroot {}",
            sysroot.display()
        ),
    }

    let missing: Vec<Package> = [Package::QemuArm, Package::QemuRiscv]
        .into_iter()
        .filter(|package| !packages::is_program(package.program()))
        .collect();
    packages::install(&missing)?;
    let mut programs: Vec<_> = MACHINES.iter().map(|machine| machine.qemu).collect();
    programs.dedup();
    eprintln!("setup: firmware runs on {}", programs.join(" and "));
    if !cycles::build()? {
        eprintln!("setup: skipped: estimates of cycles: no C compiler `cc` builds the QEMU plugin");
    }
    Ok(())
}
