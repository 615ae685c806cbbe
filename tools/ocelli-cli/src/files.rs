//! Telling packed models from networks, and writing files whole or not at all.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Result, bail};
use tempfile::NamedTempFile;

/// Whether a file is a packed model, by its first bytes: a network may be too large to read.
pub fn is_packed(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(ocelli_format::MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == ocelli_format::MAGIC)
}

/// Refuses a path that cannot be written because its folder is not there, before any work is done.
pub fn check_folder(path: &Path) -> Result<()> {
    let folder = folder(path);
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    Ok(())
}

/// Writes a file through a temporary one beside it, so that a failure leaves what was there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = temporary(folder(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    // The error's own text would name the temporary file.
    if let Err(error) = write() {
        bail!("cannot write {}: {}", path.display(), error.kind());
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file that will be as readable as any other new file: by default they are private.
fn temporary(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
