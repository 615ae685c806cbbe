//! The memory that cases work in.

use ocelli_kernels::arch::Arch;
use ocelli_kernels::{Map, TfLiteChannel};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::random::Random;

/// Values of the largest map.
pub const MAP: usize = 36 << 10;
/// Values of the largest filters.
pub const WEIGHTS: usize = 72 << 10;
/// Words of the largest packed parameters.
pub const PACKED: usize = 48 << 10;
/// Channels of the largest map.
pub const CHANNELS: usize = 256;
/// Bytes of the largest scratch.
pub const SCRATCH: usize = 128 << 10;
/// Bytes on both sides of what a kernel writes, which must stay as they are.
const GUARD: usize = 32;
/// What those bytes are.
const GUARD_BYTE: i8 = 0x5A;

/// All buffers of a case. Large: it belongs in static memory or on the heap.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Workspace {
    pub(crate) packed: [u32; PACKED],
    pub(crate) channels: [[TfLiteChannel; CHANNELS]; 2],
    pub(crate) exponentials: [u16; 1024],
    pub(crate) bias: [i16; 4096],
    pub(crate) weights: [[i8; WEIGHTS]; 2],
    pub(crate) inputs: [[i8; MAP]; 3],
    pub(crate) expected: [i8; MAP],
    pub(crate) row: [i8; MAP],
    pub(crate) table: [i8; 256],
    pub(crate) ring: [i8; MAP + 4],
    pub(crate) output: [i8; MAP + 2 * GUARD + 4],
    pub(crate) scratch: [i8; SCRATCH + 2 * GUARD + 4],
}

/// A stretch of a buffer, at any address, between guard bytes.
#[derive(Debug)]
pub struct Guarded<'a> {
    buffer: &'a mut [i8],
    start: usize,
    length: usize,
}

impl<'a> Guarded<'a> {
    /// `length` bytes of garbage, `offset` bytes from an aligned address; `None` where they do not fit.
    pub fn new(buffer: &'a mut [i8], offset: usize, length: usize, random: &Random) -> Option<Self> {
        let start = GUARD + offset;
        let buffer = buffer.get_mut(..start + length + GUARD)?;
        buffer.fill(GUARD_BYTE);
        random.garbage(&mut buffer[start..start + length]);
        Some(Self { buffer, start, length })
    }

    /// The stretch.
    pub fn values(&mut self) -> &mut [i8] {
        &mut self.buffer[self.start..self.start + self.length]
    }

    /// Whether the guard bytes are as they were.
    pub fn is_intact(&self) -> bool {
        let (before, rest) = self.buffer.split_at(self.start);
        before.iter().chain(&rest[self.length..]).all(|&byte| byte == GUARD_BYTE)
    }
}

/// A map of which only the rows in use are in memory.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Row slots.
    pub slots: usize,
    /// Bytes from an aligned address.
    pub offset: usize,
}

impl Ring {
    /// Puts `rows` of `map` in their slots of `buffer` and garbage elsewhere.
    pub fn fill<'a>(
        &self,
        map: &Map<'_>,
        rows: core::ops::Range<usize>,
        buffer: &'a mut [i8],
        random: &Random,
    ) -> Map<'a> {
        let length = map.width * map.channels;
        let data = &mut buffer[self.offset..self.offset + self.slots * length];
        random.garbage(data);
        for y in rows {
            let slot = y % self.slots;
            data[slot * length..][..length].copy_from_slice(&map.data[y * length..][..length]);
        }
        Map::ring(data, self.slots, [map.height, map.width, map.channels], map.zero_point)
    }
}

/// Calls an architecture's rows function with as many rows as it likes at once, and no fewer than one.
pub fn rows_at_once<A: Arch>(random: &Random, height: usize) -> usize {
    let rows = [1, 2, 3, height, A::ROWS];
    random.pick(&rows).clamp(1, height.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beside_the_stretch_are_guarded() {
        let mut buffer = [0; 80];
        let mut guarded = Guarded::new(&mut buffer, 3, 5, &Random::new(1)).expect("it fits");
        guarded.values().fill(9);
        assert!(guarded.is_intact());
        for beside in [GUARD + 2, GUARD + 3 + 5] {
            let guarded = Guarded::new(&mut buffer, 3, 5, &Random::new(1)).expect("it fits");
            guarded.buffer[beside] = 9;
            assert!(!guarded.is_intact(), "{beside}");
        }
        assert!(Guarded::new(&mut buffer, 3, 80, &Random::new(1)).is_none());
    }
}
