//! A small generator of random numbers.

use core::cell::Cell;

/// Numbers that depend on a seed alone (xorshift of 32 bits).
#[derive(Clone, Debug)]
pub struct Random(Cell<u32>);

impl Random {
    /// Starts from a seed; neighbouring seeds give unrelated numbers.
    pub fn new(seed: u32) -> Self {
        let mut mixed = seed.wrapping_add(0x9E37_79B9);
        for multiplier in [0x85EB_CA6B, 0xC2B2_AE35] {
            mixed = (mixed ^ mixed >> 15).wrapping_mul(multiplier);
        }
        Self(Cell::new((mixed ^ mixed >> 16) | 1))
    }

    /// Any number.
    pub fn any(&self) -> u32 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        self.0.set(state);
        state
    }

    /// A number from `first` to `last`.
    pub fn within(&self, first: i32, last: i32) -> i32 {
        let count = u64::from(last.abs_diff(first)) + 1;
        first.wrapping_add(((u64::from(self.any()) * count) >> 32) as i32)
    }

    /// A number from `first` to `last`.
    pub fn size(&self, first: usize, last: usize) -> usize {
        self.within(first as i32, last as i32) as usize
    }

    /// Whether one of `of` times falls on it.
    pub fn one_in(&self, of: u32) -> bool {
        self.any().is_multiple_of(of)
    }

    /// One of them.
    pub fn pick<T: Copy>(&self, values: &[T]) -> T {
        values[self.size(0, values.len() - 1)]
    }

    /// A zero point; often an extreme one.
    pub fn zero_point(&self) -> i8 {
        if self.one_in(2) { self.pick(&[-128, 127, 0, -1]) } else { self.any() as i8 }
    }

    /// Activations: mostly arbitrary, sometimes extreme or all the same.
    pub fn activations(&self, values: &mut [i8]) {
        match self.size(0, 7) {
            0 => self.extremes(values, -128),
            1 => {
                let value = self.any() as i8;
                values.fill(value);
            }
            _ => self.garbage(values),
        }
    }

    /// Weights: mostly arbitrary from -127 to 127, sometimes extreme, small, or zero.
    pub fn weights(&self, values: &mut [i8]) {
        match self.size(0, 11) {
            0 => self.extremes(values, -127),
            1 => values.fill(127),
            2 => values.fill(-127),
            3 => values.iter_mut().for_each(|value| *value = self.within(-3, 3) as i8),
            4 => {
                for value in values {
                    *value = if self.one_in(3) { self.within(-127, 127) as i8 } else { 0 };
                }
            }
            _ => values.iter_mut().for_each(|value| *value = self.within(-127, 127) as i8),
        }
    }

    fn extremes(&self, values: &mut [i8], lowest: i8) {
        values.iter_mut().for_each(|value| *value = if self.one_in(2) { lowest } else { 127 });
    }

    /// Any bytes.
    pub fn garbage(&self, values: &mut [i8]) {
        values.iter_mut().for_each(|value| *value = (self.any() >> 11) as i8);
    }
}
