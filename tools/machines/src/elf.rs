//! What an image's ELF file says about it.

use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind, elf};

use crate::Error;

/// What an image takes and holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Bytes of flash: vector table, code, constants, and the initial values of data.
    pub flash_bytes: u64,
    /// Bytes of static memory: data and what starts as zeros.
    pub ram_bytes: u64,
    /// Names of functions that can only be there because something can panic.
    pub panics: Vec<String>,
    /// Names of all functions, as they are mangled.
    pub functions: Vec<String>,
}

/// Reads an image's ELF file.
///
/// # Errors
/// If the file cannot be read, or is no ELF file.
pub fn read(path: &Path) -> Result<Contents, Error> {
    let bytes = fs::read(path).map_err(Error::file(path))?;
    let wrong =
        |error: object::Error| Error::File { path: path.to_owned(), source: std::io::Error::other(error) };
    let file = object::File::parse(&*bytes).map_err(wrong)?;
    let is_loaded = |section: &object::Section<'_, '_>| {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return false };
        sh_flags.0 & elf::SHF_ALLOC.0 != 0 && section.kind() != SectionKind::UninitializedData
    };
    let is_static = |section: &object::Section<'_, '_>| {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return false };
        sh_flags.0 & elf::SHF_ALLOC.0 != 0 && sh_flags.0 & elf::SHF_WRITE.0 != 0
    };
    let ram_bytes = file.sections().filter(is_static).map(|section| section.size()).sum();
    let flash_bytes = file.sections().filter(is_loaded).map(|section| section.size()).sum();
    let (mut panics, mut functions) = (Vec::new(), Vec::new());
    for symbol in file.symbols() {
        let name = symbol.name().map_err(wrong)?;
        // Both manglings keep the names of modules: `core::panicking`, and whatever function handles panics.
        if name.contains("panic") {
            panics.push(name.to_owned());
        }
        if symbol.kind() == SymbolKind::Text {
            functions.push(name.to_owned());
        }
    }
    Ok(Contents { flash_bytes, ram_bytes, panics, functions })
}
