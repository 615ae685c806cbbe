//! Means over whole maps, a channel at a time: nothing but its sum is kept.

use super::Scalar;
use crate::Map;
use crate::pool::AveragePool;
use crate::requantize::saturate;

/// [`crate::arch::Arch::average_row`].
pub fn average_row<S: Scalar>(
    pool: &AveragePool<'_>,
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
) -> Option<()> {
    let window = &pool.window;
    let covers = window.kernel.map(usize::from) == [input.height, input.width] && window.padding == [0, 0];
    let map = input.rows(0, input.height).filter(|_| covers && y == 0 && output.len() == input.channels);
    let Some(map) = map else { return pool.row(input, y, output) };
    let count = i32::try_from(input.height.checked_mul(input.width)?).ok()?;
    let zero_points = count.wrapping_mul(input.zero_point.into()).wrapping_shl(pool.shift);
    let start = pool.channel.bias.wrapping_sub(zero_points);
    means(map, output, |sum| {
        saturate(S::multiply_high(sum.wrapping_shl(pool.shift).wrapping_add(start), pool.channel.multiplier))
    });
    Some(())
}

/// One value for the sum of each channel.
#[inline]
fn means(map: &[i8], output: &mut [i8], finish: impl Fn(i32) -> i8) {
    let channels = output.len();
    for (channel, output) in output.iter_mut().enumerate() {
        let (mut sum, mut at) = (0i32, channel);
        // Iterators over each `channels`-th value divide.
        while let Some(&value) = map.get(at) {
            sum = sum.wrapping_add(value.into());
            at = at.wrapping_add(channels);
        }
        *output = finish(sum);
    }
}
