//! Normalization in 32 bits.

use crate::norm::Standard;

/// `(x * slope + start) >> shift` in 32 bits: what [`Standard`] says in 64.
pub struct Line {
    pub slope: i32,
    pub start: i32,
    /// 0 to 27.
    pub shift: u32,
}

impl Line {
    /// `None` where a value of int8 could leave 32 bits.
    pub fn new(standard: &Standard) -> Option<Self> {
        let half = (1i64 << standard.shift) >> 1;
        // At most 19 and 24 bits, times 17 bits.
        let (count, offset) = (i64::from(standard.count), i64::from(standard.offset));
        let largest =
            (count << 7).wrapping_add(offset.abs()).wrapping_mul(standard.inverse).wrapping_add(half);
        if largest > i64::from(i32::MAX) {
            return None;
        }
        Some(Self {
            slope: count.wrapping_mul(standard.inverse) as i32,
            start: half.wrapping_sub(offset.wrapping_mul(standard.inverse)) as i32,
            shift: standard.shift,
        })
    }

    /// In steps of 2^-16 standard deviations.
    #[inline(always)]
    pub fn normal(&self, value: i8) -> i32 {
        i32::from(value).wrapping_mul(self.slope).wrapping_add(self.start).wrapping_shr(self.shift)
    }
}
