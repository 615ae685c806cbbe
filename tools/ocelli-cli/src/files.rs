//! Writing files whole or not at all.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use tempfile::NamedTempFile;

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
