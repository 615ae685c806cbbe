//! LayerNorm and RMSNorm against their formula in 128 bits and against `f64`.

use ocelli_kernels::Q32Channel;
use ocelli_kernels::norm::{EPSILON_BITS, LARGEST_COUNT, Norm};
use proptest::prelude::*;

use crate::maps::{values, zero_point};
use crate::sequences::{gaussian, noise, quantize};

/// A channel's parameters from `gamma` and `beta`, both over the output's scale, and the output's zero point.
fn channel(gamma: f64, beta: f64, zero_point: i8, shift: u32) -> Q32Channel {
    let one = f64::from(shift).exp2();
    Q32Channel {
        multiplier: (gamma * one * 65536.0).round() as i32,
        bias: ((beta + f64::from(zero_point)) * one + one / 2.0).round() as i32,
    }
}

/// `round(count^2 * epsilon / scale^2 * 2^EPSILON_BITS)`, at least 1.
fn integer_epsilon(count: usize, epsilon: f64, scale: f64) -> u64 {
    ((count as f64 / scale).powi(2) * epsilon * f64::from(1 << EPSILON_BITS)).round().max(1.0) as u64
}

/// Runs the kernel on pixels or on the whole map.
fn run(norm: &Norm<'_>, data: &[i8], whole_map: bool) -> Vec<i8> {
    let mut data = data.to_vec();
    if whole_map { norm.map(&mut data) } else { norm.pixels(&mut data) }.expect("the shapes fit");
    data
}

/// The values that are normalized together.
fn together(norm: &Norm<'_>, length: usize, whole_map: bool) -> usize {
    if whole_map { length } else { norm.channels.len() }
}

/// The output by its definition.
fn expected(norm: &Norm<'_>, data: &[i8], whole_map: bool) -> Vec<i8> {
    let count = together(norm, data.len(), whole_map);
    let mut output = Vec::new();
    for values in data.chunks(count) {
        let count = count as i128;
        let zero_point = i128::from(norm.zero_point);
        let sum: i128 = values.iter().map(|&x| i128::from(x)).sum();
        let offset = if norm.centered { sum } else { count * zero_point };
        let mean = if norm.centered { 0 } else { zero_point };
        let squares: i128 = values.iter().map(|&x| (i128::from(x) - mean).pow(2)).sum();
        let variance = count * squares - if norm.centered { sum * sum } else { 0 };
        let variance = ((variance << EPSILON_BITS) + i128::from(norm.epsilon)).clamp(1, i128::from(u64::MAX));
        // Divided by the even power of two that leaves 31 or 32 bits.
        let divided = |below: i32| if below >= 0 { variance >> below } else { variance << -below };
        let below =
            (-32..=32).step_by(2).find(|&below| (1 << 30..1 << 32).contains(&divided(below))).unwrap();
        let upper = divided(below);
        let root = (upper as f64).sqrt().floor() as i128;
        assert!(
            root * root <= upper && (root + 1) * (root + 1) > upper && (1 << 15..1 << 16).contains(&root)
        );
        let inverse = ((1 << 31) + root / 2) / root;
        let shift = (15 + (below - EPSILON_BITS as i32) / 2).max(0);
        for (at, &x) in values.iter().enumerate() {
            let difference = count * i128::from(x) - offset;
            let normal = (difference * inverse + ((1 << shift) >> 1)) >> shift;
            let channel = norm.channels[at % norm.channels.len()];
            let scaled = (normal * i128::from(channel.multiplier) + (1 << 31)) >> 32;
            output.push(((scaled + i128::from(channel.bias)) >> norm.shift).clamp(-128, 127) as i8);
        }
    }
    output
}

/// The output in real numbers, in steps of the output's scale, before it is rounded; `scale` is the input's.
fn real(
    norm: &Norm<'_>,
    data: &[i8],
    whole_map: bool,
    epsilon: f64,
    scale: f64,
    affine: &[(f64, f64)],
) -> Vec<f64> {
    let count = together(norm, data.len(), whole_map);
    let mut output = Vec::new();
    for values in data.chunks(count) {
        let x: Vec<f64> =
            values.iter().map(|&x| (f64::from(x) - f64::from(norm.zero_point)) * scale).collect();
        let mean = if norm.centered { x.iter().sum::<f64>() / count as f64 } else { 0.0 };
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count as f64;
        for (at, x) in x.iter().enumerate() {
            let (gamma, beta) = affine[at % affine.len()];
            output.push((x - mean) / (variance + epsilon).sqrt() * gamma + beta);
        }
    }
    output
}

/// Maps of which a few values may lie far from the others.
fn map() -> impl Strategy<Value = (Vec<i8>, usize)> {
    (1usize..6, prop_oneof![1usize..20, Just(96usize), 250usize..260]).prop_flat_map(|(pixels, channels)| {
        let length = pixels * channels;
        let constant = any::<i8>().prop_map(move |value| vec![value; length]);
        let outlier = (any::<i8>(), any::<i8>(), 0..length).prop_map(move |(value, other, at)| {
            let mut values = vec![value; length];
            values[at] = other;
            values
        });
        (prop_oneof![3 => values(length), 1 => constant, 1 => outlier], Just(channels))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn is_its_formula(
        (data, channels) in map(), centered: bool, whole_map: bool, zero_point in zero_point(), shift in 0u32..12, seed: u32,
        epsilon in prop_oneof![Just(0u64), 1u64..1000, any::<u32>().prop_map(u64::from), Just(u64::MAX)],
    ) {
        let numbers: Vec<i32> = noise(seed).take(2 * channels).map(i32::from).collect();
        let channels: Vec<Q32Channel> = numbers
            .chunks(2)
            .map(|pair| Q32Channel { bias: pair[0] << 12, multiplier: (pair[1] << 24).wrapping_add(pair[0]) })
            .collect();
        let norm = Norm { centered, zero_point, epsilon, shift, channels: &channels };
        prop_assert_eq!(run(&norm, &data, whole_map), expected(&norm, &data, whole_map));
    }

    #[test]
    fn is_the_real_norm_rounded(
        (data, channels) in map(), centered: bool, whole_map: bool, zero_points in [zero_point(), zero_point()],
        scale in 0.001f64..2.0, epsilon in prop_oneof![Just(1e-6), Just(1e-5), Just(1e-3)], seed: u32,
    ) {
        let affine: Vec<(f64, f64)> = gaussian(seed).zip(gaussian(seed ^ 77)).take(channels).map(|(gamma, beta)| (20.0 * gamma, 20.0 * beta)).collect();
        let shift = 8;
        let parameters: Vec<Q32Channel> = affine.iter().map(|&(gamma, beta)| channel(gamma, beta, zero_points[1], shift)).collect();
        let count = if whole_map { data.len() } else { channels };
        let epsilon_integer = integer_epsilon(count, epsilon, scale);
        let norm = Norm { centered, zero_point: zero_points[0], epsilon: epsilon_integer, shift, channels: &parameters };
        // The epsilon that the integer one stands for: it differs where it was rounded, which is the packer's choice, not the kernel's.
        let epsilon = epsilon_integer as f64 * (scale / count as f64).powi(2) / f64::from(1 << EPSILON_BITS);
        let found = run(&norm, &data, whole_map);
        let exact = real(&norm, &data, whole_map, epsilon, scale, &affine);
        for (found, exact) in found.into_iter().zip(exact) {
            let error = (f64::from(found) - (exact + f64::from(zero_points[1])).clamp(-128.0, 127.0)).abs();
            // Reciprocal and root are off by 2^-14 at most, together; the rest is 2^-9 and the rounding of parameters.
            prop_assert!(error <= 0.5 + exact.abs() / 16384.0 + 1e-2, "{} for {}", found, exact);
        }
    }
}

/// Root mean squares of the errors of the kernel and of rounding alone, in steps of an output that takes the range of int8.
///
/// Tokens have different sizes and means, and `unevenness` puts some channels far off, as those that enter a norm are: then most
/// tokens are only a few steps of the input apart.
fn errors(channels: usize, [centered, whole_map]: [bool; 2], unevenness: f64, seed: u32) -> [f64; 2] {
    let pixels = 16384 / channels;
    let sizes: Vec<f64> = gaussian(seed).take(pixels).map(|x| (unevenness * x).exp()).collect();
    let offsets: Vec<f64> = gaussian(seed + 1).take(channels).map(|x| unevenness * x.powi(3)).collect();
    let input: Vec<f64> = gaussian(seed + 2)
        .take(pixels * channels)
        .enumerate()
        .map(|(at, x)| sizes[at / channels] * (x + offsets[at % channels]))
        .collect();
    let (data, scale, zero_point) = quantize(&input);
    let affine: Vec<(f64, f64)> = gaussian(seed + 3)
        .zip(gaussian(seed + 4))
        .take(channels)
        .map(|(gamma, beta)| (1.0 + 0.3 * gamma, 0.5 * beta))
        .collect();
    let count = if whole_map { data.len() } else { channels };
    let norm = Norm {
        centered,
        zero_point,
        epsilon: integer_epsilon(count, 1e-5, scale),
        shift: 8,
        channels: &vec![Q32Channel { bias: 0, multiplier: 0 }; channels],
    };
    let exact = real(&norm, &data, whole_map, 1e-5, scale, &affine);
    let (_, output_scale, output_zero_point) = quantize(&exact);
    let parameters: Vec<Q32Channel> = affine
        .iter()
        .map(|&(gamma, beta)| channel(gamma / output_scale, beta / output_scale, output_zero_point, 8))
        .collect();
    let found = run(&Norm { channels: &parameters, ..norm }, &data, whole_map);
    let exact = exact.iter().map(|exact| exact / output_scale + f64::from(output_zero_point));
    let pairs = found.into_iter().zip(exact).filter(|(_, exact)| (-128.0..127.0).contains(exact));
    let (found, rounded): (Vec<f64>, Vec<f64>) = pairs
        .map(|(found, exact)| ((f64::from(found) - exact).powi(2), (exact.round() - exact).powi(2)))
        .unzip();
    [found, rounded].map(|squares| (squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
}

#[test]
fn errors_are_those_of_rounding_the_output() {
    for (channels, centered, whole_map) in [
        (1, true, true),
        (16, true, false),
        (64, true, false),
        (144, true, false),
        (64, false, false),
        (64, true, true),
        (64, false, true),
    ] {
        for (unevenness, largest) in [(0.0, 0.30), (0.5, f64::INFINITY), (1.5, f64::INFINITY)] {
            let [found, rounded] = errors(channels, [centered, whole_map], unevenness, 5);
            println!(
                "{channels} channels, centered {centered}, whole map {whole_map}, unevenness {unevenness}: \
                 rms error {found:.4} of a step, {rounded:.4} by rounding alone"
            );
            // Where tokens take few values, so do the errors of rounding them, and their mean may be any.
            assert!(found <= largest && found <= rounded + 0.003, "{channels} channels: {found} {rounded}");
        }
    }
}

/// The largest maps and differences that are allowed.
#[test]
fn the_largest_maps_do_not_overflow() {
    let channels = [Q32Channel { bias: 1 << 7, multiplier: 1 << 24 }; 2];
    for centered in [true, false] {
        for (first, rest, zero_point) in
            [(127, -128, 127), (-128, 127, -128), (127, 127, -128), (-128, -128, 127)]
        {
            let mut data = vec![rest; LARGEST_COUNT];
            data[0] = first;
            let norm = Norm { centered, zero_point, epsilon: 1, shift: 8, channels: &channels };
            assert!(run(&norm, &data, true) == expected(&norm, &data, true), "{first} {rest} {zero_point}");
        }
    }
    let norm = Norm { centered: true, zero_point: 0, epsilon: 1, shift: 8, channels: &channels };
    assert_eq!(norm.map(&mut vec![0; LARGEST_COUNT + 2]), None);
}

#[test]
fn no_channels_are_refused() {
    let norm = Norm { centered: true, zero_point: 0, epsilon: 1, shift: 8, channels: &[] };
    assert_eq!((norm.pixels(&mut [1]), norm.map(&mut [1])), (None, None));
}
