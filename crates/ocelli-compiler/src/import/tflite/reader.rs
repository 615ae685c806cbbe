//! Reads flatbuffer tables from untrusted bytes.
//!
//! The `flatbuffers` crate's tables without generated code are `unsafe` to open; these few lines check every access instead.

use super::super::error::Refusal;

/// A table in a flatbuffer.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// TensorFlow's names are long, but not longer.
const MAX_TEXT: usize = 1024;

fn outside() -> Refusal {
    Refusal::new(
        "the file is cut short or damaged: an offset points outside it",
        "copy or export the file again",
    )
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Refusal> {
    let slice = at.checked_add(N).and_then(|end| bytes.get(at..end)).ok_or_else(outside)?;
    slice.try_into().map_err(|_| outside())
}

/// Follows the 32-bit offset stored at a place.
fn follow(bytes: &[u8], at: usize) -> Result<usize, Refusal> {
    let offset = u32::from_le_bytes(array(bytes, at)?) as usize;
    at.checked_add(offset).filter(|&target| target < bytes.len()).ok_or_else(outside)
}

impl<'a> Table<'a> {
    /// The root table.
    pub fn root(bytes: &'a [u8]) -> Result<Self, Refusal> {
        Ok(Self { bytes, at: follow(bytes, 0)? })
    }

    /// Where a field's data lies; `None` where the table leaves it out.
    fn field(&self, number: usize) -> Result<Option<usize>, Refusal> {
        let distance = i64::from(i32::from_le_bytes(array(self.bytes, self.at)?));
        let vtable = usize::try_from(self.at as i64 - distance).map_err(|_| outside())?;
        let size = usize::from(u16::from_le_bytes(array(self.bytes, vtable)?));
        let entry = 4 + 2 * number;
        if entry + 2 > size {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(array(self.bytes, vtable + entry)?));
        Ok((offset != 0).then_some(self.at + offset))
    }

    fn scalar<const N: usize>(&self, number: usize) -> Result<Option<[u8; N]>, Refusal> {
        self.field(number)?.map(|at| array(self.bytes, at)).transpose()
    }

    pub fn byte(&self, number: usize) -> Result<u8, Refusal> {
        Ok(self.scalar::<1>(number)?.map_or(0, |[byte]| byte))
    }

    pub fn int(&self, number: usize, default: i32) -> Result<i32, Refusal> {
        Ok(self.scalar(number)?.map_or(default, i32::from_le_bytes))
    }

    pub fn long(&self, number: usize) -> Result<u64, Refusal> {
        Ok(self.scalar(number)?.map_or(0, u64::from_le_bytes))
    }

    pub fn float(&self, number: usize) -> Result<f32, Refusal> {
        Ok(self.scalar(number)?.map_or(0.0, f32::from_le_bytes))
    }

    pub fn table(&self, number: usize) -> Result<Option<Self>, Refusal> {
        let Some(at) = self.field(number)? else { return Ok(None) };
        Ok(Some(Self { bytes: self.bytes, at: follow(self.bytes, at)? }))
    }

    /// Place and length of a vector of elements of `size` bytes.
    fn vector(&self, number: usize, size: usize) -> Result<Option<&'a [u8]>, Refusal> {
        let Some(at) = self.field(number)? else { return Ok(None) };
        let start = follow(self.bytes, at)?;
        let length = u32::from_le_bytes(array(self.bytes, start)?) as usize;
        let start = start + 4;
        let end =
            length.checked_mul(size).and_then(|length| start.checked_add(length)).ok_or_else(outside)?;
        self.bytes.get(start..end).map(Some).ok_or_else(outside)
    }

    pub fn bytes(&self, number: usize) -> Result<&'a [u8], Refusal> {
        Ok(self.vector(number, 1)?.unwrap_or_default())
    }

    /// A string, cut where it is longer than any name.
    pub fn text(&self, number: usize) -> Result<String, Refusal> {
        let bytes = self.bytes(number)?;
        Ok(String::from_utf8_lossy(bytes.get(..MAX_TEXT).unwrap_or(bytes)).into_owned())
    }

    /// A vector of little-endian numbers of `N` bytes. It is not copied: many tables of a hostile file may name one long vector.
    pub fn numbers<const N: usize>(&self, number: usize) -> Result<&'a [[u8; N]], Refusal> {
        Ok(self.vector(number, N)?.unwrap_or_default().as_chunks().0)
    }

    pub fn tables(&self, number: usize) -> Result<Vec<Self>, Refusal> {
        let Some(at) = self.field(number)? else { return Ok(Vec::new()) };
        let count = self.vector(number, 4)?.unwrap_or_default().len() / 4;
        let start = follow(self.bytes, at)? + 4;
        (0..count)
            .map(|index| Ok(Self { bytes: self.bytes, at: follow(self.bytes, start + 4 * index)? }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_table_by_hand_and_refuses_offsets_outside() {
        // Root offset 12; vtable at 4 (size 8, table size 8, field 0 at 4, field 1 absent); table at 12.
        let bytes = [12, 0, 0, 0, 8, 0, 8, 0, 4, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0];
        let table = Table::root(&bytes).unwrap();
        assert_eq!(table.int(0, 1).unwrap(), 7);
        assert_eq!(table.int(1, 5).unwrap(), 5);
        assert_eq!(table.int(9, 5).unwrap(), 5);
        assert!(table.table(0).is_err(), "7 bytes on is outside");
        assert!(table.numbers::<4>(0).is_err());
        for length in 0..bytes.len() {
            if let Ok(table) = Table::root(&bytes[..length]) {
                assert!(table.int(0, 1).is_err());
            }
        }
    }
}
