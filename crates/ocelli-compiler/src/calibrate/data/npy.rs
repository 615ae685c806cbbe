//! NumPy's array format.

use std::io::{Chain, Cursor, Read};

use npyz::NpyFile;

/// An array whose header was read, checked and put back.
pub(super) type Array<R> = NpyFile<Chain<Cursor<Vec<u8>>, R>>;

/// Starts to read an array that has `length` bytes, header included.
///
/// The header is checked before `npyz` sees it, which multiplies sizes without checks and follows nesting of any depth.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn open<R: Read>(mut reader: R, length: u64) -> Result<Array<R>, String> {
    let refuse = |reason: &str| format!("it is no NumPy array that can be read ({reason})");
    let mut header = Vec::new();
    let mut take = |count: u64| -> Result<Vec<u8>, String> {
        let start = header.len();
        let read = reader
            .by_ref()
            .take(count)
            .read_to_end(&mut header)
            .map_err(|error| refuse(&error.to_string()))?;
        if read as u64 != count {
            return Err(refuse("it ends within its header"));
        }
        Ok(header[start..].to_vec())
    };
    let start = take(8)?;
    let Some(&[major, _]) = start.strip_prefix(b"\x93NUMPY") else {
        return Err(refuse("it does not start as one"));
    };
    let size = take(if major == 1 { 2 } else { 4 })?;
    let size = size.iter().rev().fold(0, |size, &byte| size << 8 | u64::from(byte));
    if size > MAX_HEADER {
        return Err(refuse("its header is oversized"));
    }
    let text = take(size)?;
    let dimensions =
        dimensions(&text).ok_or_else(|| refuse("its header is none of an array of plain numbers"))?;
    // The sizes that are not zero bound every stride.
    if dimensions.iter().try_fold(1u64, |count, &size| count.checked_mul(size.max(1))).is_none() {
        return Err(refuse(&format!("its shape {dimensions:?} has more elements than can be counted")));
    }
    let header_length = header.len() as u64;
    let array =
        NpyFile::new(Cursor::new(header).chain(reader)).map_err(|error| refuse(&error.to_string()))?;
    let element = array.dtype().num_bytes().unwrap_or(1) as u64;
    let there = length.saturating_sub(header_length);
    match array.len().checked_mul(element) {
        Some(needed) if needed <= there => Ok(array),
        _ => Err(format!(
            "it is cut or damaged (elements of {element} bytes in the shape {dimensions:?} do not fit the {there} bytes that are there)"
        )),
    }
}

/// More than NumPy writes for any array of numbers.
const MAX_HEADER: u64 = 1 << 16;

/// The sizes of the axes in a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (20, 8), }`. `None` where it has other
/// brackets than these: those of records, or a list of sizes, which NumPy does not write.
fn dimensions(header: &[u8]) -> Option<Vec<u64>> {
    let text = std::str::from_utf8(header).ok()?;
    let (front, rest) = text.split_once('(')?;
    let (sizes, back) = rest.split_once(')')?;
    let nested = |part: &str| part.contains(['(', ')', '[', ']']) || part.matches('{').count() > 1;
    if nested(front) || nested(sizes) || nested(back) || sizes.contains('{') || back.contains('{') {
        return None;
    }
    let sizes = sizes.trim();
    let sizes = sizes.strip_suffix(',').unwrap_or(sizes);
    if sizes.is_empty() {
        return Some(Vec::new());
    }
    sizes.split(',').map(|size| size.trim().parse().ok()).collect()
}
