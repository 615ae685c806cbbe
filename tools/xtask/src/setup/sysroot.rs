//! A private sysroot for the distribution's compiler: its own host libraries, and `core`, `alloc` and `compiler_builtins` built from its
//! source for the firmware's targets. Nothing outside the folder changes, apart from the packages installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ocelli_machines::TARGETS;
use ocelli_machines::toolchain::{
    PACKAGED_CARGO, PACKAGED_RUSTC, Toolchain, clean, private_sysroot, stamp_path, sysroot_stamp,
};

use super::packages::{self, Package};
use super::run::run;
use crate::repository::output;

const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Installs the compiler's packages if they are missing, and builds the sysroot.
pub fn build() -> Result<()> {
    let own_library = Path::new("/usr/lib/rustlib/src/rust/library/core/Cargo.toml");
    let mut missing = Vec::new();
    for (there, package) in [
        (Path::new(PACKAGED_RUSTC).exists(), Package::Rustc),
        (Path::new(PACKAGED_CARGO).exists(), Package::Cargo),
        (own_library.exists(), Package::RustSource),
    ] {
        if !there {
            missing.push(package);
        }
    }
    if linker().is_none() {
        missing.push(Package::Linker);
    }
    packages::install(&missing)?;

    let sysroot = private_sysroot();
    let cache = sysroot.parent().context("the sysroot is in a cache folder")?;
    fs::create_dir_all(cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let lock = fs::File::create(cache.join("lock"))?;
    lock.lock()?;
    if Toolchain::find().is_ok() {
        return Ok(());
    }
    eprintln!("setup: building core and alloc for {} targets into {}", TARGETS.len(), sysroot.display());
    if sysroot.exists() {
        fs::remove_dir_all(&sysroot).with_context(|| format!("{} cannot be replaced", sysroot.display()))?;
    }
    let host = link_host(&sysroot)?;
    let built = compile(&sysroot)?;
    for target in TARGETS {
        let library = sysroot.join("lib/rustlib").join(target).join("lib");
        fs::create_dir_all(&library)?;
        let folder = built.path().join("target").join(target).join("release/deps");
        let mut copied = 0;
        for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension == "rlib") && !name.starts_with("libempty-")
            {
                fs::copy(&path, library.join(&name))?;
                copied += 1;
            }
        }
        if copied != LIBRARIES.len() {
            bail!("cargo built {copied} libraries for {target}, not {}", LIBRARIES.len());
        }
    }
    let stamp = sysroot_stamp().with_context(|| format!("{PACKAGED_RUSTC} does not run (host {host})"))?;
    fs::write(stamp_path(&sysroot), stamp)?;
    Ok(())
}

const LIBRARIES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// Makes the sysroot's folders, with the compiler's own host libraries and source and a linker in their places, and a `rustc` that uses it.
/// Gives the host's triple.
fn link_host(sysroot: &Path) -> Result<String> {
    let version = output(clean(PACKAGED_RUSTC).arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?
        .to_owned();
    let own =
        PathBuf::from(output(clean(PACKAGED_RUSTC).args(["--print", "sysroot"]))?.trim()).join("lib/rustlib");
    let rustlib = sysroot.join("lib/rustlib");
    let binaries = rustlib.join(&host).join("bin");
    fs::create_dir_all(&binaries)?;
    fs::create_dir_all(sysroot.join("bin"))?;
    link(&own.join("src"), &rustlib.join("src"))?;
    link(&own.join(&host).join("lib"), &rustlib.join(&host).join("lib"))?;
    link(&linker().context("no LLVM linker was found: install lld")?, &binaries.join("rust-lld"))?;
    let rustc = sysroot.join("bin/rustc");
    fs::write(
        &rustc,
        format!("#!/bin/sh\nexec {PACKAGED_RUSTC} --sysroot '{}' \"$@\"\n", sysroot.display()),
    )?;
    output(Command::new("chmod").arg("+x").arg(&rustc))?;
    Ok(host)
}

/// Builds the libraries for all targets at once, with the features of rustup's own: bitcode for link-time optimisation, and memory functions.
fn compile(sysroot: &Path) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    fs::create_dir(folder.path().join("src"))?;
    write(
        "Cargo.toml",
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    write("src/lib.rs", "#![no_std]\n")?;
    let mut cargo = clean(PACKAGED_CARGO);
    cargo.args(["build", "--quiet", "--release", "-Z", &format!("build-std={}", LIBRARIES.join(","))]);
    cargo.args(["-Z", "build-std-features=compiler-builtins-mem"]);
    for target in TARGETS {
        cargo.args(["--target", target]);
    }
    cargo
        .env("RUSTC", sysroot.join("bin/rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    run(cargo.current_dir(folder.path()), BUILD_LIMIT)?;
    Ok(folder)
}

/// An LLVM linker: the active toolchain's own, which is recent, else the system's.
fn linker() -> Option<PathBuf> {
    let active = output(clean("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let rustlib = Path::new(active.trim()).join("lib/rustlib");
    let host = output(clean("rustc").arg("-vV")).unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    [rustlib.join(host).join("bin/rust-lld"), PathBuf::from("/usr/bin/lld")]
        .into_iter()
        .find(|path| path.exists())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> Result<()> {
    std::os::unix::fs::symlink(from, to)
        .with_context(|| format!("{} cannot be linked to {}", to.display(), from.display()))
}

#[cfg(not(unix))]
fn link(_from: &Path, to: &Path) -> Result<()> {
    bail!("{} cannot be linked here", to.display())
}
