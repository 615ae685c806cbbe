//! Random maps and windows, and the coordinates that a window's taps have.

use std::ops::Range;

use ocelli_kernels::{Map, Window};
use proptest::prelude::*;

/// A whole feature map.
#[derive(Clone, Debug)]
pub struct Feature {
    pub values: Vec<i8>,
    /// Height, width, channels.
    pub shape: [usize; 3],
    pub zero_point: i8,
}

impl Feature {
    /// A map of ones.
    pub fn ones(height: usize, width: usize, channels: usize) -> Self {
        Self { values: vec![1; height * width * channels], shape: [height, width, channels], zero_point: 0 }
    }

    /// The value at a coordinate that may lie outside the map.
    pub fn at(&self, y: i64, x: i64, channel: usize) -> Option<i8> {
        let [height, width, channels] = self.shape;
        let y = usize::try_from(y).ok().filter(|&y| y < height)?;
        let x = usize::try_from(x).ok().filter(|&x| x < width)?;
        assert!(channel < channels);
        Some(self.values[(y * width + x) * channels + channel])
    }

    /// The map as kernels see it, all rows in memory.
    pub fn whole(&self) -> Map<'_> {
        self.map(&self.values, self.shape[0])
    }

    /// Rows in a ring of `slots`.
    pub fn map<'a>(&self, data: &'a [i8], slots: usize) -> Map<'a> {
        Map::ring(data, slots, self.shape, self.zero_point)
    }

    /// A ring just tall enough for `rows`, which alone are in it.
    pub fn ring(&self, rows: Range<usize>) -> (Vec<i8>, usize) {
        let length = self.shape[1] * self.shape[2];
        let slots = rows.len().max(1);
        let mut data = vec![0x55; slots * length];
        for y in rows {
            data[y % slots * length..][..length].copy_from_slice(&self.values[y * length..][..length]);
        }
        (data, slots)
    }
}

/// Zero points, the extremes often.
pub fn zero_point() -> impl Strategy<Value = i8> {
    prop_oneof![Just(i8::MIN), Just(i8::MAX), any::<i8>()]
}

/// Values with many extremes.
pub fn values(length: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![
        proptest::collection::vec(any::<i8>(), length),
        proptest::collection::vec(prop_oneof![Just(i8::MIN), Just(i8::MAX)], length),
    ]
}

/// Maps of up to 9 x 9 pixels.
pub fn feature(channels: impl Strategy<Value = usize>) -> impl Strategy<Value = Feature> {
    (1usize..10, 1usize..10, channels, zero_point()).prop_flat_map(|(height, width, channels, zero_point)| {
        values(height * width * channels).prop_map(move |values| Feature {
            values,
            shape: [height, width, channels],
            zero_point,
        })
    })
}

/// Windows of up to 5 x 5 taps, with strides and padding that may pass the map.
pub fn window() -> impl Strategy<Value = Window> {
    let pair = |range: Range<u16>| [range.clone(), range];
    (pair(1..6), pair(1..12), pair(1..4), pair(0..9)).prop_map(|(kernel, stride, dilation, padding)| Window {
        kernel,
        stride,
        dilation,
        padding,
    })
}

/// The coordinate of a tap along one axis.
pub fn coordinate(window: &Window, axis: usize, position: usize, tap: usize) -> i64 {
    position as i64 * i64::from(window.stride[axis]) + tap as i64 * i64::from(window.dilation[axis])
        - i64::from(window.padding[axis])
}

/// Every tap of a window at an output pixel: its index and its coordinate on the map or beside it.
pub fn taps(window: &Window, [y, x]: [usize; 2]) -> impl Iterator<Item = (usize, i64, i64)> {
    let window = *window;
    let [height, width] = window.kernel.map(usize::from);
    (0..height * width)
        .map(move |tap| (tap, coordinate(&window, 0, y, tap / width), coordinate(&window, 1, x, tap % width)))
}

/// The rows of a map of `height` that the taps for output row `y` fall on, as the range that a ring has to hold.
pub fn rows_in_use(window: &Window, y: usize, height: usize) -> Range<usize> {
    let rows: Vec<usize> = (0..usize::from(window.kernel[0]))
        .filter_map(|tap| usize::try_from(coordinate(window, 0, y, tap)).ok().filter(|&row| row < height))
        .collect();
    match (rows.first(), rows.last()) {
        (Some(&first), Some(&last)) => first..last + 1,
        _ => 0..0,
    }
}

/// Makes each of `height` output rows of `length` from the whole map and from a ring that holds only the rows in use; both must agree.
pub fn run_rows(
    feature: &Feature,
    window: &Window,
    [height, length]: [usize; 2],
    kernel: impl Fn(&Map<'_>, usize, &mut [i8]) -> Option<()>,
) -> Vec<i8> {
    let mut output = vec![0; height * length];
    for (y, row) in output.chunks_exact_mut(length).enumerate() {
        kernel(&feature.whole(), y, row).expect("the shapes fit");
        let (data, slots) = feature.ring(rows_in_use(window, y, feature.shape[0]));
        let mut from_ring = vec![0; length];
        kernel(&feature.map(&data, slots), y, &mut from_ring).expect("the shapes fit");
        assert_eq!(row, from_ring, "row {y} from a ring of {slots}");
    }
    output
}
