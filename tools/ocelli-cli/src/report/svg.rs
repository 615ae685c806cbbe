//! Scalable vector graphics as text, styled by the page's style sheet.

use std::fmt::Write;

/// A drawing of a size in units that its page scales.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text begins.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// A rectangle that says `title` under the pointer.
    pub fn rectangle(&mut self, [x, y, width, height]: [f64; 4], class: &str, title: &str) {
        self.add(format_args!(
            r#"<rect x="{x:.2}" y="{y:.2}" width="{:.2}" height="{:.2}" class="{class}">"#,
            width.max(0.0),
            height.max(0.0)
        ));
        if !title.is_empty() {
            self.add(format_args!("<title>{}</title>", escaped(title)));
        }
        self.add(format_args!("</rect>"));
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &str) {
        self.add(format_args!(
            r#"<line x1="{x1:.2}" y1="{y1:.2}" x2="{x2:.2}" y2="{y2:.2}" class="{class}"/>"#
        ));
    }

    /// A text whose base line is at `y`.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text x="{x:.2}" y="{y:.2}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            escaped(text)
        ));
    }

    /// The element; `label` says what it shows to who cannot see it.
    pub fn finish(self, label: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{}">{body}</svg>"#,
            escaped(label)
        )
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(text);
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Not allowed in a document, even escaped.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Svg};

    #[test]
    fn names_cannot_end_an_element() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.rectangle([0.0, 0.0, -1.0, 1.0], "a", "</title><script>");
        svg.text([0.0, 0.0], Anchor::Start, "b", "<&\0");
        let text = svg.finish("a \"label\"");
        assert!(!text.contains("<script>") && text.contains("&lt;&amp;\u{fffd}</text>"), "{text}");
        assert!(
            text.contains(r#"aria-label="a &quot;label&quot;""#) && text.contains(r#"width="0.00""#),
            "{text}"
        );
    }
}
