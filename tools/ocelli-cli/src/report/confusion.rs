//! Which classes a model takes for which.

use super::svg::{Anchor, Svg};

/// How often each class was taken for each.
pub struct Confusion {
    classes: usize,
    /// `[true class][named class]`.
    int8: Vec<usize>,
    float: Option<Vec<usize>>,
}

/// A mistake that is made often.
pub struct Mistake {
    /// The class.
    pub class: String,
    /// What it was taken for.
    pub named: String,
    /// By the int8 model, so many times.
    pub int8: usize,
    /// By the float network.
    pub float: Option<usize>,
}

/// Above this many classes a matrix shows nothing.
const MOST_CLASSES: usize = 32;

impl Confusion {
    /// Of samples: the class, the class that the int8 model names, and that of the float network where there is one.
    pub fn of(classes: usize, samples: impl Iterator<Item = (usize, usize, Option<usize>)>) -> Self {
        let mut confusion = Self { classes, int8: vec![0; classes * classes], float: None };
        for (class, int8, float) in samples {
            confusion.int8[class * classes + int8] += 1;
            if let Some(float) = float {
                confusion.float.get_or_insert_with(|| vec![0; classes * classes])[class * classes + float] +=
                    1;
            }
        }
        confusion
    }

    /// The int8 model's matrix; `None` where there are too many classes to draw.
    pub fn chart(&self, name: impl Fn(usize) -> String) -> Option<String> {
        if self.classes > MOST_CLASSES {
            return None;
        }
        let names: Vec<String> = (0..self.classes).map(name).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1).min(16);
        let cell = (560.0 / self.classes as f64).clamp(17.0, 56.0);
        let left = 34.0 + longest as f64 * 6.8;
        let (top, size) = (26.0, cell * self.classes as f64);
        // Names that are wider than a cell are numbers at the top.
        let fits = longest as f64 * 6.8 < cell - 2.0;
        let mut svg = Svg::new(left + size + 2.0, top + size + 22.0);
        for class in 0..self.classes {
            let row = &self.int8[class * self.classes..][..self.classes];
            let total = row.iter().sum::<usize>();
            let y = top + class as f64 * cell;
            let label = if fits { names[class].clone() } else { format!("{class} {}", names[class]) };
            let label: String = label.chars().take(19).collect();
            svg.text([left - 8.0, y + cell / 2.0 + 4.0], Anchor::End, "tick", &label);
            let head = if fits { names[class].clone() } else { class.to_string() };
            svg.text([left + (class as f64 + 0.5) * cell, top - 8.0], Anchor::Middle, "tick", &head);
            for (named, &count) in row.iter().enumerate() {
                let x = left + named as f64 * cell;
                let mut title = format!("{} taken for {}: {count} of {total}", names[class], names[named]);
                if let Some(float) = &self.float {
                    title += &format!("\nby the float network: {}", float[class * self.classes + named]);
                }
                let share = count as f64 / total.max(1) as f64;
                svg.rectangle(
                    [x + 1.0, y + 1.0, cell - 2.0, cell - 2.0],
                    shade(class == named, count, share),
                    &title,
                );
                if count > 0 {
                    let class = if share > 0.5 { "cell strong" } else { "cell" };
                    svg.text(
                        [x + cell / 2.0, y + cell / 2.0 + 4.0],
                        Anchor::Middle,
                        class,
                        &count.to_string(),
                    );
                }
            }
        }
        svg.text([left + size / 2.0, top + size + 16.0], Anchor::Middle, "tick", "named by the int8 model");
        Some(svg.finish("Confusion matrix: rows are the true classes, columns what the int8 model names"))
    }

    /// The int8 model's most frequent mistakes.
    pub fn mistakes(&self, most: usize, name: impl Fn(usize) -> String) -> Vec<Mistake> {
        let mut places: Vec<usize> = (0..self.int8.len())
            .filter(|place| self.int8[*place] > 0 && place / self.classes != place % self.classes)
            .collect();
        places.sort_by_key(|&place| (std::cmp::Reverse(self.int8[place]), place));
        let mistake = |&place: &usize| Mistake {
            class: name(place / self.classes),
            named: name(place % self.classes),
            int8: self.int8[place],
            float: self.float.as_ref().map(|float| float[place]),
        };
        places.iter().take(most).map(mistake).collect()
    }
}

fn shade(right: bool, count: usize, share: f64) -> &'static str {
    match (right, count, share) {
        (_, 0, _) => "c-none",
        (true, _, 0.9..) => "c-right-3",
        (true, _, 0.5..) => "c-right-2",
        (true, ..) => "c-right-1",
        (false, _, 0.2..) => "c-wrong-3",
        (false, _, 0.05..) => "c-wrong-2",
        (false, ..) => "c-wrong-1",
    }
}

#[cfg(test)]
mod tests {
    use super::Confusion;

    #[test]
    fn mistakes_come_by_their_number() {
        let samples = [(0, 0, Some(0)), (0, 1, Some(0)), (1, 0, Some(0)), (1, 0, Some(1)), (2, 2, Some(2))];
        let confusion = Confusion::of(3, samples.into_iter());
        let name = |class: usize| ["cat", "dog", "owl"][class].to_owned();
        let mistakes = confusion.mistakes(9, name);
        let found: Vec<_> = mistakes
            .iter()
            .map(|one| (one.class.as_str(), one.named.as_str(), one.int8, one.float))
            .collect();
        assert_eq!(found, [("dog", "cat", 2, Some(1)), ("cat", "dog", 1, Some(0))]);
        let chart = confusion.chart(name).expect("few classes");
        assert!(chart.contains("dog taken for cat: 2 of 2") && chart.matches("<rect").count() == 9);
        assert!(Confusion::of(1000, [].into_iter()).chart(|class| class.to_string()).is_none());
    }
}
