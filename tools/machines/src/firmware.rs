//! Building firmware images.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::wait;
use crate::toolchain::Toolchain;
use crate::{Board, Error, Machine};

/// What an image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image<'a> {
    /// Any model, read from the host when it starts.
    Any,
    /// The packed model in this file, compiled in with only the operators that it uses.
    Embedded(&'a Path),
    /// The kernels of the machine's architecture against the portable ones, and how many instructions they take.
    Kernels,
    /// Any model, fed with rows over the serial port.
    Serial,
    /// The model in a slot of flash, fed and replaced over the serial port; on the machine with such flash.
    Slots,
    /// As `Slots`, for models that the holder of a key signed: the public key in hexadecimal digits.
    SignedSlots(&'a str),
}

impl Image<'_> {
    /// Name of its binary in `boards/qemu`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Embedded(_) => "embedded",
            Self::Kernels => "kernels",
            Self::Serial => "serial",
            Self::Slots | Self::SignedSlots(_) => "slots",
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

/// An up-to-date image takes less: after this the user is told why it takes so long.
const SILENCE: Duration = Duration::from_secs(1);

/// Builds an image if it is not up to date, and gives its ELF file. Cargo's warnings and errors go to standard error, and so does a line that
/// says what is built.
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
    let name = match image {
        Image::Any | Image::Kernels | Image::Serial | Image::Slots => {
            format!("{}-{}", image.name(), machine.name)
        }
        Image::SignedSlots(key) => {
            cargo.env("OCELLI_PUBLIC_KEY", key).args(["--features", "signed"]);
            format!("{}-{}-{key}", image.name(), machine.name)
        }
        Image::Embedded(model) => {
            let kept = keep(model, &images)?;
            cargo.env("OCELLI_MODEL", &kept);
            let stem = kept.file_stem().unwrap_or_default().to_string_lossy();
            format!("embedded-{}-{stem}", machine.name)
        }
    };
    let failed = |reason: String| Error::Build { image: image.name(), machine: machine.name, reason };
    let not_run = |error: std::io::Error| failed(error.to_string());
    let mut child = cargo.spawn().map_err(not_run)?;
    let status = match wait(&mut child, SILENCE).map_err(not_run)? {
        Some(status) => status,
        None => {
            eprintln!("building firmware for {} ({})", machine.name, machine.core);
            child.wait().map_err(not_run)?
        }
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }

    let built = boards.join("target").join(machine.target).join("release").join(image.name());
    let path = images.join(name);
    let part = path.with_added_extension("part");
    fs::copy(&built, &part).and_then(|_| fs::rename(&part, &path)).map_err(Error::file(&path))?;
    Ok(path)
}

/// Builds a board's image with the packed model in that file, if it is not up to date, and gives its ELF file. What cargo says goes to standard
/// error.
///
/// # Errors
/// If the sources, the toolchain or the model are missing, or do not build.
pub fn build_board(board: &Board, model: &Path) -> Result<PathBuf, Error> {
    let boards = boards()?;
    let images = boards.join("target/images");
    fs::create_dir_all(&images).map_err(Error::file(&images))?;
    let kept = keep(model, &images)?;
    let failed = |reason: String| Error::Build { image: "firmware", machine: board.name, reason };
    // There `.cargo/config.toml` says what is logged.
    let status = Toolchain::find()?
        .cargo()
        .current_dir(boards.join(board.name))
        .args(["build", "--quiet", "--release", "--target", board.target, "--target-dir"])
        .arg(boards.join("target"))
        .env("OCELLI_MODEL", kept)
        .status()
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    Ok(boards.join("target").join(board.target).join("release").join(board.name))
}

/// Copies a model to where it stays, under a name that has a hash of its bytes: models of one name do not overwrite each other's images, and
/// cargo, which goes by path and time, does not build the image again when the same model is written again or elsewhere.
fn keep(model: &Path, images: &Path) -> Result<PathBuf, Error> {
    let bytes = fs::read(model).map_err(Error::file(model))?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    let kept = images.join(format!("{stem}-{:016x}.ocelli", hasher.finish()));
    if fs::read(&kept).is_ok_and(|found| found == bytes) {
        return Ok(kept);
    }
    let part = kept.with_added_extension("part");
    fs::write(&part, &bytes).and_then(|()| fs::rename(&part, &kept)).map_err(Error::file(&kept))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn models_of_one_name_are_kept_apart_and_equal_ones_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let model = folder.path().join("model.ocelli");
        let keep_with = |bytes: &[u8]| {
            fs::write(&model, bytes).expect("it can be written");
            keep(&model, folder.path()).expect("it can be kept")
        };
        let first = keep_with(b"one");
        let file = fs::File::options().write(true).open(&first).expect("it is there");
        file.set_modified(UNIX_EPOCH).expect("it can be set");
        let second = keep_with(b"two");
        assert_ne!(first, second);
        assert_eq!(keep_with(b"one"), first);
        let time = fs::metadata(&first).and_then(|metadata| metadata.modified()).expect("it is there");
        assert_eq!(time, UNIX_EPOCH, "it was written again");
        assert_eq!(fs::read(&first).expect("it is there"), b"one");
        assert_eq!(fs::read(&second).expect("it is there"), b"two");
    }
}
