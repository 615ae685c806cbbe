//! Files of labels.

use std::collections::HashMap;
use std::path::Path;

use super::DataError;
use super::files::Part;

/// The class of each sample by a file of labels: bytes (`.u8`) or text.
pub(super) fn read(path: &Path, parts: &[Part], samples: usize) -> Result<Vec<usize>, DataError> {
    let bytes = std::fs::read(path).map_err(|error| DataError::Read { path: path.to_owned(), error })?;
    let refuse = |reason: String| DataError::Labels { path: path.to_owned(), reason };
    let ordered = if path.extension().is_some_and(|extension| extension == "u8") {
        bytes.into_iter().map(usize::from).collect()
    } else {
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("it is no text; labels as bytes need a name that ends in .u8".to_owned()))?;
        match text_labels(&text).map_err(refuse)? {
            Lines::Ordered(labels) => labels,
            Lines::Named(labels) => return by_name(&labels, parts).map_err(refuse),
        }
    };
    if ordered.len() != samples {
        return Err(refuse(format!(
            "it has {} labels for {samples} inputs: give one an input, in the order of the inputs (a file that is a strip of pictures is one \
             input where the size of its pictures is not given)",
            ordered.len()
        )));
    }
    Ok(ordered)
}

enum Lines<'a> {
    Ordered(Vec<usize>),
    Named(HashMap<&'a str, usize>),
}

fn text_labels(text: &str) -> Result<Lines<'_>, String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let class = |text: &str| text.trim().parse::<usize>();
    if let Ok(labels) = lines.iter().map(|line| class(line)).collect() {
        return Ok(Lines::Ordered(labels));
    }
    let mut labels = HashMap::new();
    for (index, line) in lines.iter().enumerate() {
        match line.rsplit_once(',').map(|(name, label)| (name.trim(), class(label))) {
            Some((name, Ok(label))) => {
                labels.insert(name, label);
            }
            // The first line may be a heading.
            _ if index == 0 => {}
            _ => return Err(format!("`{line}` is neither a class number nor a file name, a comma and one")),
        }
    }
    Ok(Lines::Named(labels))
}

/// Labels by file name, or by the end of a path.
fn by_name(labels: &HashMap<&str, usize>, parts: &[Part]) -> Result<Vec<usize>, String> {
    parts
        .iter()
        .map(|part| {
            let name = part.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let found = labels.get(name).or_else(|| {
                labels.iter().find(|(known, _)| part.path().ends_with(known)).map(|(_, label)| label)
            });
            match (found, part.len()) {
                (Some(&label), 1) => Ok(label),
                (Some(_), count) => {
                    Err(format!("`{name}` holds {count} inputs: give one class a line, alone"))
                }
                (None, _) => Err(format!("it has no class for `{name}`")),
            }
        })
        .collect()
}
