//! Sequences of tokens as explicit copies, and signals with their errors.

use crate::maps::Feature;

/// MobileViT's unfold as a copy: the tokens of each sequence of a map.
pub fn unfold(feature: &Feature, [rows, columns]: [usize; 2]) -> Vec<Vec<Vec<i8>>> {
    let [height, width, channels] = feature.shape;
    let mut sequences = vec![Vec::new(); rows * columns];
    for y in 0..height {
        for x in 0..width {
            let token = &feature.values[(y * width + x) * channels..][..channels];
            sequences[y % rows * columns + x % columns].push(token.to_vec());
        }
    }
    sequences
}

/// The map of some height and width whose `unfold` gives these sequences.
pub fn fold(
    sequences: &[Vec<Vec<i8>>],
    [height, width, _]: [usize; 3],
    [rows, columns]: [usize; 2],
) -> Vec<i8> {
    let mut next = vec![0; sequences.len()];
    let mut values = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let sequence = y % rows * columns + x % columns;
            values.extend(&sequences[sequence][next[sequence]]);
            next[sequence] += 1;
        }
    }
    values
}

/// `round(largest * exp(-step * i))`, the last one 0 where the table is that of attention.
pub fn exponentials<const LENGTH: usize>(step: f64, largest: f64) -> [u16; LENGTH] {
    std::array::from_fn(|index| match index {
        1023 => 0,
        _ => (largest * (-step * index as f64).exp()).round() as u16,
    })
}

/// A xorshift32 stream: the top byte of each state.
pub fn noise(seed: u32) -> impl Iterator<Item = i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8 as i8
    })
}

/// Numbers of about a normal distribution: sums of twelve bytes.
pub fn gaussian(seed: u32) -> impl Iterator<Item = f64> {
    let mut noise = noise(seed).map(|value| (f64::from(value) + 0.5) / 256.0);
    std::iter::repeat_with(move || noise.by_ref().take(12).sum())
}

/// Real values as int8 over their range: values, scale and zero point.
pub fn quantize(real: &[f64]) -> (Vec<i8>, f64, i8) {
    let low = real.iter().copied().fold(0.0, f64::min);
    let high = real.iter().copied().fold(0.0, f64::max);
    let scale = (high - low) / 255.0;
    let zero_point = (-128.0 - low / scale).round();
    let values = real.iter().map(|x| (x / scale + zero_point).round().clamp(-128.0, 127.0) as i8).collect();
    (values, scale, zero_point as i8)
}

/// Signal to noise of values that stand for exact ones, in decibels.
pub fn decibels(exact: &[f64], found: impl Iterator<Item = f64>) -> f64 {
    let signal: f64 = exact.iter().map(|x| x * x).sum();
    let noise: f64 = exact.iter().zip(found).map(|(x, y)| (x - y) * (x - y)).sum();
    10.0 * (signal / noise).log10()
}
