//! Building firmware images.

use std::fs;
use std::path::{Path, PathBuf};

use crate::toolchain::Toolchain;
use crate::{Error, Machine};

/// What an image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image<'a> {
    /// Any model, read from the host when it starts.
    Any,
    /// The packed model in this file, compiled in with only the operators that it uses.
    Embedded(&'a Path),
}

impl Image<'_> {
    /// Name of its binary in `boards/qemu`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Embedded(_) => "embedded",
        }
    }
}

/// The folder `boards` of the repository: `OCELLI_BOARDS`, else where it was when this crate was compiled.
///
/// # Errors
/// [`Error::NoBoards`] if it is not there.
pub fn boards() -> Result<PathBuf, Error> {
    let folder = std::env::var_os("OCELLI_BOARDS")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards"));
    let found = folder.join("qemu/Cargo.toml").is_file();
    if found { folder.canonicalize().map_err(Error::file(&folder)) } else { Err(Error::NoBoards(folder)) }
}

/// Builds an image if it is not up to date, and gives its ELF file. Cargo's warnings and errors go to standard error.
///
/// # Errors
/// If the sources, the toolchain or the model are missing, or do not build.
pub fn build(machine: &Machine, image: Image<'_>) -> Result<PathBuf, Error> {
    let boards = boards()?;
    let images = boards.join("target/images");
    fs::create_dir_all(&images).map_err(Error::file(&images))?;
    // Machines of one target share cargo's output file: hold the lock until the image is copied.
    let lock_path = images.join(".lock");
    let lock = fs::File::create(&lock_path).map_err(Error::file(&lock_path))?;
    lock.lock().map_err(Error::file(&lock_path))?;

    let mut cargo = Toolchain::find()?.cargo();
    cargo.args(["build", "--quiet", "--release", "--package", "ocelli-qemu"]);
    cargo.args(["--bin", image.name(), "--features", machine.name, "--target", machine.target]);
    cargo
        .arg("--manifest-path")
        .arg(boards.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(boards.join("target"));
    if let Image::Embedded(model) = image {
        cargo.env("OCELLI_MODEL", model.canonicalize().map_err(Error::file(model))?);
    }
    let failed = |reason: String| Error::Build { image: image.name(), machine: machine.name, reason };
    let status = cargo.status().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }

    let built = boards.join("target").join(machine.target).join("release").join(image.name());
    let name = match image {
        Image::Any => format!("any-{}", machine.name),
        Image::Embedded(model) => {
            format!("embedded-{}-{}", machine.name, model.file_stem().unwrap_or_default().to_string_lossy())
        }
    };
    let path = images.join(name);
    let part = path.with_extension("part");
    fs::copy(&built, &part).and_then(|_| fs::rename(&part, &path)).map_err(Error::file(&path))?;
    Ok(path)
}
