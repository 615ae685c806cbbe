//! A chart of columns, one for each layer.

use super::svg::{Anchor, Svg};

/// A column.
pub struct Column {
    /// Its height; `None`: it stands out of the scale.
    pub value: Option<f64>,
    /// What it says under the pointer.
    pub title: String,
    /// Its class in the style sheet.
    pub class: &'static str,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 22.0;

/// Draws columns under an axis whose numbers `tick` writes; `label` says what is shown.
pub fn columns(columns: &[Column], height: f64, label: &str, tick: impl Fn(f64) -> String) -> String {
    let mut svg = Svg::new(WIDTH, height);
    let highest = columns.iter().filter_map(|column| column.value).fold(0.0, f64::max);
    let step = round_step(highest / 4.0);
    let top = (highest / step).ceil().max(1.0) * step;
    let plot = height - TOP - BOTTOM;
    let y = |value: f64| TOP + plot * (1.0 - value / top);
    for index in 0..=(top / step).round() as usize {
        let value = index as f64 * step;
        svg.line([LEFT, y(value), WIDTH, y(value)], if index == 0 { "axis" } else { "grid" });
        svg.text([LEFT - 8.0, y(value) + 4.0], Anchor::End, "tick", &tick(value));
    }
    let pitch = (WIDTH - LEFT) / columns.len().max(1) as f64;
    let gap = (pitch * 0.2).min(6.0);
    let every = number_every(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let x = LEFT + index as f64 * pitch;
        let end = column.value.map_or(TOP, |value| y(value.max(0.0)));
        // A layer must not vanish because its value is small.
        let end = end.min(TOP + plot - 1.5);
        svg.rectangle([x + gap / 2.0, end, pitch - gap, TOP + plot - end], column.class, &column.title);
        if index.is_multiple_of(every) {
            svg.text([x + pitch / 2.0, height - 6.0], Anchor::Middle, "tick", &index.to_string());
        }
    }
    svg.finish(label)
}

/// How many columns one number is written for.
pub fn number_every(count: usize) -> usize {
    [1, 2, 5, 10, 20, 50].into_iter().find(|every| count / every <= 32).unwrap_or(100)
}

/// The least of 1, 2, 5, 10, 20 ... (and their fractions) that is no less.
pub fn round_step(value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|&step| step >= value * 0.999)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::{Column, columns, round_step};

    #[test]
    fn steps_are_round() {
        assert_eq!([0.0, 7.0, 11.0, 3000.0, 0.3].map(round_step), [1.0, 10.0, 20.0, 5000.0, 0.5]);
    }

    #[test]
    fn every_layer_has_a_column_even_without_a_value() {
        let column = |value| Column { value, title: "a layer".into(), class: "good" };
        for values in [vec![], vec![column(None)], vec![column(Some(0.0)), column(None), column(Some(1e9))]] {
            let text = columns(&values, 100.0, "a chart", |value| value.to_string());
            assert_eq!(text.matches("<rect").count(), values.len());
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
