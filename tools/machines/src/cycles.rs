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

/// The plugin, where it is built and the machine has Thumb instructions.
pub(crate) fn plugin(machine: &Machine) -> Option<PathBuf> {
    let [_, plugin] = paths().ok().filter(is_current)?;
    machine.target.starts_with("thumb").then_some(plugin)
}

/// Whether cycles can be estimated: the core's timings are known, and the plugin is built.
pub fn are_estimated(machine: &Machine) -> bool {
    column(machine).is_some() && plugin(machine).is_some()
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

/// What the program took when it came by one of its markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Instructions since the start.
    pub instructions: u64,
    /// Cycles since the start, where the core's timings are known.
    pub cycles: Option<u64>,
}

impl Mark {
    /// What it took since an earlier one.
    pub fn since(self, start: &Self) -> Self {
        let cycles = self.cycles.zip(start.cycles).map(|(end, start)| end - start);
        Self { instructions: self.instructions - start.instructions, cycles }
    }
}

/// Every marker that the program came by.
pub(crate) fn marks(machine: &Machine, folder: &Path) -> Result<Vec<Mark>, Error> {
    let path = folder.join(OUTPUT);
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let mark = |line: &str| {
        let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
        let cycles = column(machine).and_then(|column| numbers.get(column).copied());
        Some(Mark { instructions: *numbers.first()?, cycles })
    };
    Ok(text.lines().filter_map(mark).collect())
}
