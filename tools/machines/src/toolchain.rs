//! Finding a Rust toolchain that compiles for the machines.
//!
//! Either the active toolchain has the targets (`rustup target add`), or `cargo xtask setup` made a private sysroot, [`private_sysroot`],
//! for the compiler that the system's packages install.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, TARGETS};

/// The compiler of Debian's `rustc-web`, whose library source comes with it, so that missing targets can be built.
pub const PACKAGED_RUSTC: &str = "/usr/bin/rustc";
/// The cargo of the same release.
pub const PACKAGED_CARGO: &str = "/usr/bin/cargo";

/// What compiles firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain that `cargo` runs by itself.
    Active,
    /// The packaged compiler with the private sysroot in this folder.
    Packaged(PathBuf),
}

impl Toolchain {
    /// Finds a toolchain that has every target of [`TARGETS`].
    ///
    /// The environment variable `OCELLI_TOOLCHAIN`, `active` or `packaged`, allows only that one.
    ///
    /// # Errors
    /// [`Error::NoToolchain`] with the first target that is missing.
    pub fn find() -> Result<Self, Error> {
        let missing = match missing_target() {
            _ if !allowed("active") => TARGETS.first().copied(),
            missing => missing,
        };
        let Some(missing) = missing else { return Ok(Self::Active) };
        let sysroot = private_sysroot();
        if allowed("packaged") && is_complete(&sysroot) {
            Ok(Self::Packaged(sysroot))
        } else {
            Err(Error::NoToolchain(missing))
        }
    }

    /// Name and release of its compiler, as `rustc` gives it.
    pub fn version(&self) -> String {
        let mut compiler = match self {
            Self::Active => clean("rustc"),
            Self::Packaged(sysroot) => clean(&sysroot.join("bin/rustc").to_string_lossy()),
        };
        let output = compiler.arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    }

    /// A cargo command that compiles with this toolchain, whatever toolchain and flags the surrounding `cargo run` or `cargo test` set.
    pub fn cargo(&self) -> Command {
        match self {
            Self::Active => clean("cargo"),
            Self::Packaged(sysroot) => {
                let mut command = clean(PACKAGED_CARGO);
                command.env("RUSTC", sysroot.join("bin/rustc"));
                command
            }
        }
    }
}

/// Whether `OCELLI_TOOLCHAIN` allows this kind of toolchain.
pub fn allowed(kind: &str) -> bool {
    std::env::var("OCELLI_TOOLCHAIN").is_ok_and(|only| only == kind)
        || std::env::var_os("OCELLI_TOOLCHAIN").is_none()
}

/// A command without the variables by which cargo binds its children to one toolchain, target or set of flags.
pub fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The folder of the private sysroot: in `OCELLI_CACHE`, else in the user's cache folder.
pub fn private_sysroot() -> PathBuf {
    let folder =
        |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("OCELLI_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("ocelli")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/ocelli")))
        .unwrap_or_else(|| std::env::temp_dir().join("ocelli"))
        .join("sysroot")
}

/// What the stamp of a complete private sysroot says: the exact compiler that its libraries are for.
/// `None` if the packaged compiler is not installed.
pub fn sysroot_stamp() -> Option<String> {
    let output = clean(PACKAGED_RUSTC).arg("-vV").output().ok().filter(|output| output.status.success())?;
    Some(format!("{}{}\n", String::from_utf8_lossy(&output.stdout), TARGETS.join(" ")))
}

/// The stamp's file: written last, so its presence says that the sysroot is whole.
pub fn stamp_path(sysroot: &Path) -> PathBuf {
    sysroot.join("complete")
}

fn is_complete(sysroot: &Path) -> bool {
    std::fs::read_to_string(stamp_path(sysroot)).is_ok_and(|stamp| sysroot_stamp() == Some(stamp))
}

/// The first target whose `core` the active toolchain lacks.
fn missing_target() -> Option<&'static str> {
    let output = clean("rustc").args(["--print", "sysroot"]).output();
    let sysroot = output
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        .unwrap_or_default();
    TARGETS.iter().copied().find(|target| !sysroot.join("lib/rustlib").join(target).join("lib").is_dir())
}
