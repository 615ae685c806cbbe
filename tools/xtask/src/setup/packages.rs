//! Installing packages with the system's package manager.

use std::io::IsTerminal;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::run::run;

/// Something that a package provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// QEMU's Cortex-M machines.
    QemuArm,
    /// QEMU's RISC-V machines.
    QemuRiscv,
    /// A recent Rust compiler of the distribution.
    Rustc,
    /// Its library source.
    RustSource,
    /// Its cargo.
    Cargo,
    /// LLVM's linker.
    Linker,
}

impl Package {
    /// A program that the package installs, by which it is recognised.
    pub fn program(self) -> &'static str {
        match self {
            Self::QemuArm => "qemu-system-arm",
            Self::QemuRiscv => "qemu-system-riscv32",
            Self::Rustc | Self::RustSource => "rustc",
            Self::Cargo => "cargo",
            Self::Linker => "ld.lld",
        }
    }
}

/// A package manager: its program, the arguments that install packages without questions, and its names for packages.
struct Manager {
    program: &'static str,
    install: &'static [&'static str],
    name: fn(Package) -> Option<&'static str>,
}

const MANAGERS: [Manager; 3] = [
    Manager {
        program: "apt-get",
        install: &["install", "--yes", "--no-install-recommends"],
        name: |package| {
            Some(match package {
                Package::QemuArm => "qemu-system-arm",
                Package::QemuRiscv => "qemu-system-misc",
                Package::Rustc => "rustc-web",
                Package::RustSource => "rust-web-src",
                Package::Cargo => "cargo-web",
                Package::Linker => "lld",
            })
        },
    },
    Manager {
        program: "dnf",
        install: &["install", "--assumeyes"],
        name: |package| match package {
            Package::QemuArm => Some("qemu-system-arm"),
            Package::QemuRiscv => Some("qemu-system-riscv"),
            _ => None,
        },
    },
    Manager {
        program: "pacman",
        install: &["-S", "--noconfirm", "--needed"],
        name: |package| match package {
            Package::QemuArm => Some("qemu-system-arm"),
            Package::QemuRiscv => Some("qemu-system-riscv"),
            _ => None,
        },
    },
];

const LIMIT: Duration = Duration::from_secs(1200);

/// Installs packages, or says in one line what to install.
pub fn install(packages: &[Package]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let Some(manager) =
        MANAGERS.iter().find(|manager| cfg!(target_os = "linux") && is_program(manager.program))
    else {
        bail!("{} not found: {}", programs(packages), remedy());
    };
    let names: Option<Vec<_>> = packages.iter().map(|&package| (manager.name)(package)).collect();
    let Some(names) = names else {
        bail!(
            "{} not found, and {} has no package for it that is known here",
            programs(packages),
            manager.program
        );
    };
    let line = format!("{} {} {}", manager.program, manager.install.join(" "), names.join(" "));
    let Some(prefix) = root() else {
        bail!("packages are missing and this is neither root nor a user of sudo: as root, run `{line}`");
    };
    eprintln!("setup: installing {}", names.join(", "));
    let command = |arguments: &[&str]| {
        let mut words = prefix.iter().copied().chain([manager.program]).chain(arguments.iter().copied());
        let mut command = Command::new(words.next().unwrap_or(manager.program));
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command
    };
    if manager.program == "apt-get" {
        static UPDATED: Once = Once::new();
        UPDATED.call_once(|| {
            // A list that fails to update, of another repository say, need not hinder the packages wanted here.
            if let Err(error) = run(&mut command(&["update"]), LIMIT) {
                eprintln!("setup: {error:#}; trying with the lists there are");
            }
        });
    }
    let arguments: Vec<&str> = manager.install.iter().chain(&names).copied().collect();
    run(&mut command(&arguments), LIMIT)
        .with_context(|| format!("packages could not be installed: as root, run `{line}`"))
}

/// Whether packages of this distribution can replace `rustup target add`.
pub fn has_rustc() -> bool {
    cfg!(target_os = "linux") && is_program("apt-get")
}

fn programs(packages: &[Package]) -> String {
    packages.iter().map(|package| package.program()).collect::<Vec<_>>().join(" and ")
}

fn remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        "run `brew install qemu`"
    } else if cfg!(windows) {
        "run `choco install qemu`, and put its folder on PATH"
    } else {
        "install QEMU's system emulators for Arm and RISC-V with the system's package manager"
    }
}

/// What makes a command run as root: nothing for root itself. `None` if nothing does.
fn root() -> Option<&'static [&'static str]> {
    let output = |command: &mut Command| command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok();
    let id = output(Command::new("id").arg("-u"))?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    if output(Command::new("sudo").args(["-n", "true"])).is_some_and(|output| output.status.success()) {
        return Some(&["sudo", "-n"]);
    }
    // sudo asks on the terminal itself.
    (std::io::stdin().is_terminal() && is_program("sudo")).then_some(&["sudo"])
}

/// Whether a program of that name is on the path.
pub fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .any(|folder| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)).is_file())
}
