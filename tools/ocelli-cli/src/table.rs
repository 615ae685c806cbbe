//! Tables as all subcommands print them.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

/// A table with a header, in Markdown, so that it can be pasted; every column but the first `left` is aligned to the right.
pub fn table(header: &[&str], left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A number with its thousands apart: `1 234 567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A node's name for a table: converters join the names of all that they fused with semicolons, of which the first says enough, and the end
/// of a long path tells more than its start.
pub fn short(name: &str) -> String {
    const LONGEST: usize = 48;
    ending(name.split(';').next().unwrap_or(name), LONGEST)
}

/// The last `longest` characters of a name.
pub fn ending(name: &str, longest: usize) -> String {
    match name.chars().count().checked_sub(longest) {
        None | Some(0) => name.to_owned(),
        Some(over) => format!("…{}", name.chars().skip(over + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::{grouped, short};

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(short("a/b;c/d"), "a/b");
        let long = "x".repeat(50) + "/end";
        assert_eq!(short(&long).chars().count(), 48);
        assert!(short(&long).starts_with('…') && short(&long).ends_with("x/end"));
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
