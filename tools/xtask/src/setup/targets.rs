//! Installing the Rust targets.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ocelli_machines::TARGETS;
use ocelli_machines::toolchain::{Toolchain, allowed, clean};

use super::run::run;
use super::{packages, sysroot};
use crate::repository::root;

/// Enough for one target over a slow line; a blocked one should not take much longer.
const TARGET_LIMIT: Duration = Duration::from_secs(120);

/// Installs the targets with rustup, else builds them for the distribution's compiler.
pub fn install() -> Result<Toolchain> {
    let rustup = if allowed("active") {
        add_targets()
    } else {
        Err(anyhow::anyhow!("OCELLI_TOOLCHAIN rules rustup out"))
    };
    let Err(error) = rustup else { return Ok(Toolchain::find()?) };
    if !allowed("packaged") || !packages::has_rustc() {
        bail!("{error:#}; where downloads work, run `rustup target add {}`", TARGETS.join(" "));
    }
    eprintln!(
        "setup: {error:#}; building the targets for the distribution's compiler instead, which takes a few minutes"
    );
    sysroot::build().context("the targets could not be built for the distribution's compiler")?;
    Ok(Toolchain::find()?)
}

fn add_targets() -> Result<()> {
    for target in TARGETS {
        // In the repository, so that rustup takes the toolchain that builds it.
        let mut rustup = clean("rustup");
        rustup.args(["target", "add", target]).env("RUSTUP_MAX_RETRIES", "1").current_dir(root());
        run(&mut rustup, TARGET_LIMIT)?;
    }
    Ok(())
}
