//! Products of two maps: for each row of the output, the matrices that a row of each map holds.

use core::num::NonZero;

use crate::{Map, Requantize};

/// `finish(sum((a - zero_point) * (b - zero_point)) + bias)` for each row of maps.
///
/// Row `y` of the first map is a matrix of `width` rows and `channels` columns. Row `y` of the second (its only one where it has one) is
/// the other matrix, with as many rows as the first has columns; or, transposed, with as many columns.
#[derive(Clone, Copy, Debug)]
pub struct MatMul<'a, R: Requantize> {
    /// Whether the second matrix is transposed: sums over its channels rather than its pixels.
    pub transpose_second: bool,
    /// The rule.
    pub rule: R,
    /// Its parameters, the same for all channels.
    pub channel: &'a R::Channel,
}

/// Outputs that are made side by side.
const BLOCK: usize = 4;

impl<R: Requantize> MatMul<'_, R> {
    /// Makes output row `y`: as many pixels as the first map has, and a channel for each of the second matrix's columns, or rows if it is
    /// transposed.
    pub fn row(&self, first: &Map<'_>, second: &Map<'_>, y: usize, output: &mut [i8]) -> Option<()> {
        let inner = NonZero::new(first.channels)?.get();
        let inner_of_second = if self.transpose_second { second.channels } else { second.width };
        let outputs = NonZero::new(if self.transpose_second { second.width } else { second.channels })?.get();
        if inner_of_second != inner {
            return None;
        }
        let row_of_second = second.row(if second.height == 1 { 0 } else { y })?;
        let row = first.row(y)?;
        if Some(output.len()) != first.width.checked_mul(outputs) {
            return None;
        }
        let zero_points = [first, second].map(|map| i32::from(map.zero_point));
        // Not zipped: zipping chunks divides by their lengths, which can panic as far as the linker sees.
        let mut pixels = row.chunks_exact(inner);
        for output in output.chunks_exact_mut(outputs) {
            let pixel = pixels.next()?;
            // The second zero point's part is the same for all columns.
            let total = pixel.iter().fold(0i32, |sum, &a| sum.wrapping_add(i32::from(a) - zero_points[0]));
            let start = R::bias(self.channel).wrapping_sub(total.wrapping_mul(zero_points[1]));
            if self.transpose_second {
                self.by_channels(pixel, zero_points[0], row_of_second, start, output)?;
            } else {
                self.by_pixels(pixel, zero_points[0], row_of_second, start, output)?;
            }
        }
        Some(())
    }

    /// A pixel times each pixel of the second map.
    #[inline]
    fn by_channels(
        &self,
        pixel: &[i8],
        zero_point: i32,
        second: &[i8],
        start: i32,
        output: &mut [i8],
    ) -> Option<()> {
        let length = NonZero::new(pixel.len())?;
        let length_of_block = length.checked_mul(NonZero::new(BLOCK)?)?.get();
        for (output, rows) in output.chunks_mut(BLOCK).zip(second.chunks(length_of_block)) {
            let mut rows = rows.chunks_exact(length.get());
            let first = rows.next()?;
            // A block that is not full computes its first output again rather than branch in the loop.
            let mut next = || rows.next().unwrap_or(first);
            let [b, c, d] = [next(), next(), next()];
            let mut sums = [start; BLOCK];
            for ((((&value, &a), &b), &c), &d) in pixel.iter().zip(first).zip(b).zip(c).zip(d) {
                add(&mut sums, i32::from(value) - zero_point, &[a, b, c, d]);
            }
            self.finish(output, sums);
        }
        Some(())
    }

    /// A pixel times each channel of the second map.
    #[inline]
    fn by_pixels(
        &self,
        pixel: &[i8],
        zero_point: i32,
        second: &[i8],
        start: i32,
        output: &mut [i8],
    ) -> Option<()> {
        let stride = NonZero::new(output.len())?.get();
        let mut column = 0usize;
        for output in output.chunks_mut(BLOCK) {
            let mut sums = [start; BLOCK];
            for (&value, row) in pixel.iter().zip(second.chunks_exact(stride)) {
                let value = i32::from(value) - zero_point;
                let row = row.get(column..)?;
                // A whole block has a length that the compiler knows.
                match row.first_chunk::<BLOCK>() {
                    Some(row) => add(&mut sums, value, row),
                    None => add(&mut sums, value, row),
                }
            }
            self.finish(output, sums);
            column = column.wrapping_add(BLOCK);
        }
        Some(())
    }

    #[inline]
    fn finish(&self, output: &mut [i8], sums: [i32; BLOCK]) {
        for (output, sum) in output.iter_mut().zip(sums) {
            *output = self.rule.finish(self.channel, sum);
        }
    }
}

#[inline]
fn add(sums: &mut [i32; BLOCK], value: i32, others: &[i8]) {
    for (sum, &other) in sums.iter_mut().zip(others) {
        *sum = sum.wrapping_add(value.wrapping_mul(i32::from(other)));
    }
}
