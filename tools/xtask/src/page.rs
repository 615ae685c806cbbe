//! Pages of the repository that hold figures between two lines.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Writes figures into a page, between its lines for figures of this name, which say what `cargo xtask` command writes them.
pub fn write(page: &str, name: &str, command: &str, figures: &str) -> Result<()> {
    let path = Path::new(page);
    let text = std::fs::read_to_string(path).with_context(|| page.to_owned())?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, replaced(page, name, command, &text, figures)?)
        .with_context(|| page.to_owned())?;
    std::fs::rename(&partial, path).with_context(|| page.to_owned())?;
    println!("{page}: {name}");
    Ok(())
}

/// The page with the text between its markers replaced.
fn replaced(page: &str, name: &str, command: &str, text: &str, figures: &str) -> Result<String> {
    let start = format!("<!-- {name}: written by `cargo xtask {command}` -->");
    let end = format!("<!-- end of {name} -->");
    let (Some((before, rest)), Some((_, after))) = (text.split_once(&start), text.split_once(&end)) else {
        bail!("{page} has no lines `{start}` and `{end}` to write the figures between");
    };
    if rest.split_once(&end).is_none() {
        bail!("{page} has `{end}` before `{start}`");
    }
    Ok(format!("{before}{start}\n\n{figures}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_what_is_between_the_markers() {
        let (start, end) = ("<!-- card: written by `cargo xtask figures` -->", "<!-- end of card -->");
        let page = format!("a\n{start}\nold\n{end}\nb\n");
        assert_eq!(
            replaced("page", "card", "figures", &page, "new\n").unwrap(),
            format!("a\n{start}\n\nnew\n\n{end}\nb\n")
        );
        for bad in [format!("{end} {start}"), start.to_owned(), String::new()] {
            assert!(replaced("page", "card", "figures", &bad, "new").is_err());
        }
    }
}
