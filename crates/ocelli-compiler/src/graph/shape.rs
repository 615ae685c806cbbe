//! Shapes of maps and of the windows that slide over them.

use std::fmt;

/// Height, width and channels of a map, stored channels innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Shape {
    /// A map of `height x width x channels`.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether an axis is zero.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pixels.
    pub const fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Rows and columns added around a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns on the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the right.
    pub right: usize,
}

/// A window that slides over a map. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps.
    pub kernel: [usize; 2],
    /// Step between outputs, at least 1.
    pub stride: [usize; 2],
    /// Distance between taps, at least 1.
    pub dilation: [usize; 2],
    /// Border of zeros (of no value at all, for a maximum).
    pub padding: Padding,
}

impl Window {
    /// A window of one pixel.
    pub const fn pointwise() -> Self {
        Self {
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding { top: 0, left: 0, bottom: 0, right: 0 },
        }
    }

    /// Height and width of the output over an input of this height and width; `None` where the window does not fit once.
    pub fn output(&self, height: usize, width: usize) -> Option<[usize; 2]> {
        let extent = |size: usize, axis: usize, before: usize, after: usize| {
            let reach = (self.kernel[axis].checked_sub(1)?).checked_mul(self.dilation[axis])? + 1;
            let room = (size + before + after).checked_sub(reach)?;
            Some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([
            extent(height, 0, self.padding.top, self.padding.bottom)?,
            extent(width, 1, self.padding.left, self.padding.right)?,
        ])
    }

    /// Padding of TFLite's and ONNX's `SAME_UPPER`: `ceil(size / stride)` outputs, the odd row or column at the end.
    pub fn same_padding(&self, height: usize, width: usize) -> Padding {
        let total = |size: usize, axis: usize| {
            let outputs = size.div_ceil(self.stride[axis]);
            let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            ((outputs.saturating_sub(1)) * self.stride[axis] + reach).saturating_sub(size)
        };
        let (vertical, horizontal) = (total(height, 0), total(width, 1));
        Padding {
            top: vertical / 2,
            left: horizontal / 2,
            bottom: vertical - vertical / 2,
            right: horizontal - horizontal / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_row_last() {
        let window = Window { kernel: [3, 3], stride: [2, 2], ..Window::pointwise() };
        let padding = window.same_padding(96, 97);
        assert_eq!(padding, Padding { top: 0, left: 1, bottom: 1, right: 1 });
        assert_eq!(Window { padding, ..window }.output(96, 97), Some([48, 49]));
    }

    #[test]
    fn a_window_larger_than_the_map_has_no_output() {
        let window = Window { kernel: [5, 1], ..Window::pointwise() };
        assert_eq!(window.output(4, 4), None);
    }
}
