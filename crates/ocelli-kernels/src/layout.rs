//! Operations that move values and change none.

use crate::Map;
use crate::sequence::Patch;

/// Copies row `y` of the input into an output row of `channels` values a pixel, from pixel `left` and channel `first` on: concatenation
/// along the width or the channels.
pub fn place_row(
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    channels: usize,
    [left, first]: [usize; 2],
) -> Option<()> {
    let row = input.row(y)?;
    if input.channels == 0 || channels == 0 {
        return None;
    }
    let pixels = output.get_mut(left.checked_mul(channels)?..)?.chunks_exact_mut(channels);
    for (pixel, values) in pixels.zip(row.chunks_exact(input.channels)) {
        copy(pixel.get_mut(first..first.checked_add(input.channels)?)?, values)?;
    }
    Some(())
}

/// Makes row `y` of the part of the input that starts at `start` (row, column, channel), with `channels` values a pixel.
pub fn slice_row(
    input: &Map<'_>,
    [top, left, first]: [usize; 3],
    channels: usize,
    y: usize,
    output: &mut [i8],
) -> Option<()> {
    let y = y.checked_add(top)?;
    if channels == 0 || input.channels == 0 || y >= input.height {
        return None;
    }
    let row = input.row(y)?.get(left.checked_mul(input.channels)?..)?;
    let mut pixels = row.chunks_exact(input.channels);
    for output in output.chunks_exact_mut(channels) {
        copy(output, pixels.next()?.get(first..)?.get(..channels)?)?;
    }
    Some(())
}

/// Makes row `y` of the input with `top` rows above and `left` columns on the left, the rest of the border below and on the right; the
/// border is `value`.
pub fn pad_row(
    input: &Map<'_>,
    [top, left]: [usize; 2],
    value: i8,
    y: usize,
    output: &mut [i8],
) -> Option<()> {
    output.fill(value);
    match y.checked_sub(top) {
        Some(y) if y < input.height => {
            let row = input.row(y)?;
            copy(output.get_mut(left.checked_mul(input.channels)?..)?.get_mut(..row.len())?, row)
        }
        _ => Some(()),
    }
}

/// Makes row `y` of the input with its axes in another order: `order[i]` names the input axis (0 height, 1 width, 2 channels) that
/// becomes output axis `i`; `channels` is the output's.
pub fn transpose_row(
    input: &Map<'_>,
    order: [u8; 3],
    channels: usize,
    y: usize,
    output: &mut [i8],
) -> Option<()> {
    if channels == 0 {
        return None;
    }
    for (x, pixel) in output.chunks_exact_mut(channels).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            let mut at = [0usize; 3];
            for (axis, position) in order.into_iter().zip([y, x, channel]) {
                *at.get_mut(usize::from(axis))? = position;
            }
            let [from_y, from_x, from_channel] = at;
            *value = *input.row(from_y)?.get(from_x * input.channels + from_channel)?;
        }
    }
    Some(())
}

/// Makes row `y` of the unfolded map of the input: the same pixels, those at the same place of their patches (`[rows, columns]`) one after
/// the other in raster order, and these sequences in raster order of their places. Sequences begin with a row.
pub fn unfold_row(input: &Map<'_>, patch: [usize; 2], y: usize, output: &mut [i8]) -> Option<()> {
    let patch = Patch::new(patch)?;
    let [mut line, left] = patch.unfolded_row([input.height, input.width], y)?;
    let (start, stride) = (left.checked_mul(input.channels)?, patch.stride(input.channels)?.get());
    let mut pixels = output.chunks_exact_mut(input.channels);
    while pixels.len() > 0 {
        for values in input.row(line)?.get(start..)?.chunks(stride) {
            copy(pixels.next()?, values.get(..input.channels)?)?;
        }
        line = line.checked_add(patch.rows())?;
    }
    Some(())
}

/// Puts row `y` of an unfolded map where its pixels lie in the output, a whole map of `[height, width, channels]`: the inverse of
/// [`unfold_row`].
pub fn fold_row(
    row: &[i8],
    patch: [usize; 2],
    y: usize,
    [height, width, channels]: [usize; 3],
    output: &mut [i8],
) -> Option<()> {
    let patch = Patch::new(patch)?;
    let [mut line, left] = patch.unfolded_row([height, width], y)?;
    let (start, stride) = (left.checked_mul(channels)?, patch.stride(channels)?.get());
    let length = width.checked_mul(channels)?;
    let mut pixels = row.chunks_exact(channels);
    while pixels.len() > 0 {
        let to = output.get_mut(line.checked_mul(length)?..)?.get_mut(..length)?;
        for values in to.get_mut(start..)?.chunks_mut(stride) {
            copy(values.get_mut(..channels)?, pixels.next()?)?;
        }
        line = line.checked_add(patch.rows())?;
    }
    Some(())
}

/// `copy_from_slice` without its panic.
#[inline]
fn copy(to: &mut [i8], from: &[i8]) -> Option<()> {
    if to.len() != from.len() {
        return None;
    }
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn unfolded_maps_hold_sequence_after_sequence_and_fold_back() {
        for (patch, [height, width, channels]) in [
            ([2, 2], [8, 6, 3]),
            ([1, 3], [6, 9, 1]),
            ([3, 1], [6, 2, 2]),
            ([1, 1], [3, 4, 2]),
            ([2, 4], [16, 8, 1]),
        ] {
            let values: Vec<i8> =
                (0..height * width * channels).map(|at| (at * 37 % 251) as u8 as i8).collect();
            let map = Map::whole(&values, [height, width, channels], 0);
            let length = width * channels;
            let mut unfolded = std::vec![0; values.len()];
            let mut folded = std::vec![0; values.len()];
            for (y, row) in unfolded.chunks_exact_mut(length).enumerate() {
                unfold_row(&map, patch, y, row).unwrap();
                fold_row(row, patch, y, [height, width, channels], &mut folded).unwrap();
            }
            assert_eq!(folded, values);

            let mut expected = Vec::new();
            for sequence in 0..patch[0] * patch[1] {
                for y in (sequence / patch[1]..height).step_by(patch[0]) {
                    for x in (sequence % patch[1]..width).step_by(patch[1]) {
                        expected.extend_from_slice(&values[(y * width + x) * channels..][..channels]);
                    }
                }
            }
            assert_eq!(unfolded, expected);
        }
        let map = Map::whole(&[0; 12], [2, 6, 1], 0);
        assert_eq!(unfold_row(&map, [2, 2], 0, &mut [0; 6]), None, "a sequence would begin within a row");
        assert_eq!(unfold_row(&map, [1, 2], 2, &mut [0; 6]), None, "there is no such row");
    }
}
