//! Four int8 values as a word.

use zerocopy::transmute;

use super::intrinsics::{max8, min8};

/// A word of four values, the first in its lowest byte.
#[inline(always)]
pub fn load(values: [i8; 4]) -> u32 {
    u32::from_le(transmute!(values))
}

/// The four values of a word.
#[inline(always)]
pub fn store(word: u32) -> [i8; 4] {
    transmute!(word.to_le())
}

/// Up to four values; 0 for those that are not there.
#[inline(always)]
pub fn load_partial(values: &[i8]) -> u32 {
    load_padded(values, 0)
}

/// Up to four values, and a value for those that are not there.
#[inline(always)]
pub fn load_padded(values: &[i8], padding: i8) -> u32 {
    values.iter().rev().fold(splat(padding), |word, &value| word << 8 | u32::from(value.cast_unsigned()))
}

/// The first values of a word, as many as there is room for.
#[inline(always)]
pub fn store_partial(word: u32, values: &mut [i8]) {
    for (value, byte) in values.iter_mut().zip(store(word)) {
        *value = byte;
    }
}

/// A value in each byte.
#[inline(always)]
pub const fn splat(value: i8) -> u32 {
    value.cast_unsigned() as u32 * 0x0101_0101
}

/// Bounds of four values at a time.
#[derive(Clone, Copy)]
pub struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    /// `None` where the whole range of int8 is within.
    #[inline]
    pub fn new(min: i8, max: i8) -> Option<Self> {
        (min != i8::MIN || max != i8::MAX).then(|| Self { min: splat(min), max: splat(max) })
    }

    /// The values within the bounds; where they are in the wrong order, the upper one.
    #[inline(always)]
    pub fn clamp(&self, word: u32) -> u32 {
        min8(max8(word, self.min), self.max)
    }

    /// All values within the bounds.
    pub fn apply(&self, data: &mut [i8]) {
        let (words, rest) = data.as_chunks_mut::<4>();
        for word in words {
            *word = store(self.clamp(load(*word)));
        }
        store_partial(self.clamp(load_partial(rest)), rest);
    }
}
