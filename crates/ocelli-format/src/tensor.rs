//! Tensors of a packed model.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Shape, place and scale of a tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TensorInfo {
    /// First byte in the arena, or in the weights where the tensor is constant.
    pub offset: u32,
    /// Rows.
    pub height: u16,
    /// Pixels a row.
    pub width: u16,
    /// Values a pixel.
    pub channels: u16,
    /// Rows that there is memory for: row `y` lies in slot `y % slots`. As many as `height` for a whole map, fewer for a ring.
    pub slots: u16,
    /// 1 for a constant, 0 for a tensor in the arena.
    pub constant: u8,
    /// The value that stands for 0.0.
    pub zero_point: i8,
    /// Index of the counter of rows that were made; [`TensorInfo::COMPLETE`] where every reader finds all rows made.
    pub counter: u16,
    /// Size of one step.
    pub scale: f32,
}

impl TensorInfo {
    /// The `counter` of a tensor that has none.
    pub const COMPLETE: u16 = u16::MAX;

    /// Number of values; of bytes, too, unless it lies in a ring.
    #[inline]
    pub fn len(&self) -> usize {
        // Models are refused when they are opened where this does not fit 31 bits.
        usize::from(self.height)
            .wrapping_mul(usize::from(self.width))
            .wrapping_mul(usize::from(self.channels))
    }

    /// Values, and bytes, of a row.
    #[inline]
    pub fn row_len(&self) -> usize {
        usize::from(self.width).wrapping_mul(usize::from(self.channels))
    }

    /// Whether all rows have a place of their own.
    #[inline]
    pub fn is_whole(&self) -> bool {
        self.slots == self.height
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that its slots take, in the arena or in the weights; `None` where an end does not fit 31 bits.
    #[inline]
    pub fn range(&self) -> Option<core::ops::Range<usize>> {
        let length = u64::from(self.slots) * u64::from(self.width) * u64::from(self.channels);
        let end = u64::from(self.offset).checked_add(length)?;
        if end > i32::MAX as u64 {
            return None;
        }
        Some(self.offset as usize..end as usize)
    }

    /// The real value of an int8 value.
    pub fn dequantize(&self, value: i8) -> f32 {
        self.scale * f32::from(i16::from(value) - i16::from(self.zero_point))
    }

    /// The int8 value nearest to a real value, saturated.
    pub fn quantize(&self, value: f32) -> i8 {
        let scaled = value / self.scale;
        // `f32::round` is not in `core`: half away from zero by hand. Casts of floats saturate.
        let rounded = (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32;
        rounded.saturating_add(i32::from(self.zero_point)).clamp(-128, 127) as i8
    }
}
