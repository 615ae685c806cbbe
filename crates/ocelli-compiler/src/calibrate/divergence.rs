//! The range under which the distribution of int8 values tells most about that of the real ones.
//!
//! The Kullback-Leibler divergence of the histogram, with what lies outside a range drawn to its ends, from the same histogram after int8: within
//! each of the 256 steps all bins that hold values hold the same share. (Migacz, "8-bit Inference with TensorRT", 2017, for ranges with two ends.)

/// The range of least divergence within `full`, which holds zero. `bins` are equally wide and lie between `min` and `max`.
pub(super) fn least_divergence(bins: &[u64], [min, max]: [f64; 2], full: [f64; 2]) -> [f64; 2] {
    let mut best = full;
    let mut least = divergence(bins, [min, max], best);
    // Each end in turn, as the other's best place depends on it.
    for end in [0, 1, 0, 1] {
        for step in 1..=40 {
            let mut range = best;
            range[end] = full[end] * (1.0 - 0.02 * f64::from(step));
            let found = divergence(bins, [min, max], range);
            if found < least {
                (best, least) = (range, found);
            }
        }
    }
    best
}

/// The divergence under a range; infinite where no value lies within it.
fn divergence(bins: &[u64], [min, max]: [f64; 2], [low, high]: [f64; 2]) -> f64 {
    let width = (max - min) / bins.len() as f64;
    let middle = |bin: usize| min + (bin as f64 + 0.5) * width;
    let first = (0..bins.len()).find(|&bin| middle(bin) >= low).unwrap_or(bins.len());
    let end = (first..bins.len()).find(|&bin| middle(bin) > high).unwrap_or(bins.len());
    let (Some(within), true) = (bins.get(first..end), high > low) else { return f64::INFINITY };
    let inside = within.iter().sum::<u64>() as f64;
    if inside == 0.0 {
        return f64::INFINITY;
    }
    let level = |bin: usize| (((middle(first + bin) - low) / (high - low) * 255.0).round() as usize).min(255);
    let mut levels = [(0_u64, 0_u64); 256];
    for (bin, &count) in within.iter().enumerate().filter(|&(_, &count)| count > 0) {
        let (sum, bins) = &mut levels[level(bin)];
        (*sum, *bins) = (*sum + count, *bins + 1);
    }
    let total = bins.iter().sum::<u64>() as f64;
    let outside = [bins[..first].iter().sum::<u64>(), bins[end..].iter().sum::<u64>()];
    let mut divergence = 0.0;
    for (bin, &count) in within.iter().enumerate() {
        let below = if bin == 0 { outside[0] } else { 0 };
        let above = if bin + 1 == within.len() { outside[1] } else { 0 };
        let share = (count + below + above) as f64 / total;
        if share > 0.0 {
            let (sum, bins) = levels[level(bin)];
            // An end that holds nothing itself: as if it held half a value.
            let int8 = if count > 0 { sum as f64 / bins as f64 } else { 0.5 } / inside;
            divergence += share * (share / int8).ln();
        }
    }
    divergence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_loss_has_no_divergence() {
        // Bins as wide as steps of int8.
        let bins: Vec<u64> = (0..256).map(|bin| 10 + bin % 7).collect();
        assert!(divergence(&bins, [0.0, 256.0], [0.5, 255.5]).abs() < 1e-12);
    }

    #[test]
    fn a_long_thin_tail_is_clipped_and_a_flat_distribution_is_not() {
        let tail: Vec<u64> =
            (0..2048).map(|bin| if bin < 400 { 10_000 - 20 * bin } else { bin % 400 / 399 }).collect();
        let [low, high] = least_divergence(&tail, [0.0, 1.0], [0.0, 1.0]);
        assert_eq!(low, 0.0);
        assert!((0.15..0.6).contains(&high), "{high}");
        let [low, high] = least_divergence(&[100; 2048], [-1.0, 1.0], [-1.0, 1.0]);
        assert!(low < -0.95 && high > 0.95, "{low} {high}");
    }
}
