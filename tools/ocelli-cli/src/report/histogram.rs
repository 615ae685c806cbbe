//! The values of a tensor and the range that int8 covers.

use super::svg::{Anchor, Svg};

/// A tensor's values.
pub struct Histogram<'a> {
    /// How many values lie in each of as many bins of equal width.
    pub counts: &'a [u64],
    /// Where the first bin begins and the last ends.
    pub ends: [f64; 2],
    /// What int8 covers.
    pub range: [f64; 2],
}

impl Histogram<'_> {
    /// Values in bins whose middle lies outside the range, percent.
    pub fn clipped_percent(&self) -> f64 {
        let total = self.counts.iter().sum::<u64>().max(1);
        let clipped: u64 =
            (0..self.counts.len()).filter(|&bin| self.is_outside(bin)).map(|bin| self.counts[bin]).sum();
        100.0 * clipped as f64 / total as f64
    }

    fn place(&self, bin: f64) -> f64 {
        self.ends[0] + (self.ends[1] - self.ends[0]) * bin / self.counts.len().max(1) as f64
    }

    fn is_outside(&self, bin: usize) -> bool {
        let middle = self.place(bin as f64 + 0.5);
        middle < self.range[0] || middle > self.range[1]
    }

    /// The chart: heights go by the logarithm of the counts, for tails are thin.
    pub fn chart(&self, label: &str) -> String {
        const WIDTH: f64 = 320.0;
        const HEIGHT: f64 = 84.0;
        const FLOOR: f64 = HEIGHT - 16.0;
        let mut svg = Svg::new(WIDTH, HEIGHT);
        let low = self.ends[0].min(self.range[0]);
        let high = self.ends[1].max(self.range[1]);
        let x = |value: f64| 2.0 + (WIDTH - 4.0) * (value - low) / (high - low).max(f64::MIN_POSITIVE);
        let [left, right] = self.range.map(x);
        let covered = format!("int8 covers {} to {}", number(self.range[0]), number(self.range[1]));
        svg.rectangle([left, 0.0, right - left, FLOOR], "h-range", &covered);
        let total = self.counts.iter().sum::<u64>().max(1);
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        for (bin, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let [from, to] = [bin as f64, bin as f64 + 1.0].map(|bin| self.place(bin));
            let tall = (FLOOR - 4.0) * (1.0 + count as f64).log2() / (1.0 + most as f64).log2();
            let title = format!(
                "{} to {}: {:.3} % of the values",
                number(from),
                number(to),
                100.0 * count as f64 / total as f64
            );
            let class = if self.is_outside(bin) { "bad" } else { "h-bar" };
            svg.rectangle([x(from), FLOOR - tall, (x(to) - x(from) - 0.4).max(0.6), tall], class, &title);
        }
        for end in [left, right] {
            svg.line([end, 0.0, end, FLOOR], "h-end");
        }
        svg.line([0.0, FLOOR, WIDTH, FLOOR], "axis");
        svg.text([2.0, HEIGHT - 4.0], Anchor::Start, "tick", &number(low));
        if low < 0.0 && high > 0.0 && (0.15..0.85).contains(&(x(0.0) / WIDTH)) {
            svg.text([x(0.0), HEIGHT - 4.0], Anchor::Middle, "tick", "0");
        }
        svg.text([WIDTH - 2.0, HEIGHT - 4.0], Anchor::End, "tick", &number(high));
        svg.finish(label)
    }
}

/// A number with three digits that count.
pub fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, number};

    #[test]
    fn what_lies_outside_the_range_is_clipped() {
        let histogram = Histogram { counts: &[1, 97, 1, 1], ends: [-2.0, 2.0], range: [-1.0, 1.0] };
        assert_eq!(histogram.clipped_percent(), 2.0);
        let chart = histogram.chart("values");
        assert_eq!(chart.matches("class=\"bad\"").count(), 2);
        let none = Histogram { counts: &[0, 0], ends: [0.0, 0.0], range: [0.0, 0.0] };
        assert!(!none.chart("nothing").contains("NaN"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 12.0, -0.5, 0.01234, 1234.5].map(number), ["0", "12", "-0.5", "0.0123", "1234"]);
    }
}
