//! Operations that move values and change none.

use crate::Map;

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
