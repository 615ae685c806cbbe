//! The QEMU plugin that estimates cycles, `tools/qemu-cycles`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::firmware::boards;
use crate::{Error, Machine};

/// The file that the plugin writes, in the folder that QEMU runs in.
pub(crate) const OUTPUT: &str = "cycles";

/// Where the core's cycles are in a line of the plugin's, for the cores whose manual says what instructions take.
fn column(machine: &Machine) -> Option<usize> {
    match machine.name {
        "m0" => Some(1),
        "m3" => Some(2),
        "m4" => Some(3),
        _ => None,
    }
}

/// Source and built plugin.
fn paths() -> Result<[PathBuf; 2], Error> {
    let boards = boards()?;
    Ok([boards.join("../tools/qemu-cycles/cycles.c"), boards.join("target/qemu-cycles/cycles.so")])
}

/// Whether the plugin was built after its source was written.
fn is_current([source, plugin]: &[PathBuf; 2]) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!((modified(source), modified(plugin)), (Ok(source), Ok(plugin)) if source <= plugin)
}

/// The plugin, where it is built and knows the machine's core.
pub fn plugin(machine: &Machine) -> Option<PathBuf> {
    let paths = paths().ok().filter(is_current)?;
    column(machine).map(|_| paths[1].clone())
}

/// Builds the plugin with the system's C compiler, if it is not up to date; `false` if there is no compiler, or it fails.
///
/// # Errors
/// If the sources are missing, or the folder for the plugin cannot be written.
pub fn build() -> Result<bool, Error> {
    let paths = paths()?;
    if is_current(&paths) {
        return Ok(true);
    }
    let [source, plugin] = paths;
    let folder = plugin.parent().unwrap_or(&plugin);
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let part = plugin.with_extension(format!("{}.part", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&part).arg(&source);
    if !compiler.status().is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    fs::rename(&part, &plugin).map_err(Error::file(&plugin))?;
    Ok(true)
}

/// Cycles between each two markers of the program, which it sets where a measurement starts and where it ends.
pub(crate) fn spans(machine: &Machine, folder: &Path) -> Result<Vec<u64>, Error> {
    let path = folder.join(OUTPUT);
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let column = column(machine).unwrap_or(0);
    let at =
        |line: &str| line.split(' ').nth(column).and_then(|cycles| cycles.parse::<u64>().ok()).unwrap_or(0);
    let marks: Vec<u64> = text.lines().map(at).collect();
    Ok(marks.chunks_exact(2).map(|pair| pair[1] - pair[0]).collect())
}
