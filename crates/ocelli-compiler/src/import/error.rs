//! Why a file was refused: everything that is wrong with it, at once.

use std::fmt;
use std::path::PathBuf;

/// A file that could not be imported.
#[derive(Debug, thiserror::Error)]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// Everything that stands in the way; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that stands in the way of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The node's name in the file; `None` where the file as a whole is meant.
    pub node: Option<String>,
    /// The operator's name in the file's own terms; `None` where the file as a whole is meant.
    pub operator: Option<String>,
    /// What was found and what was expected.
    pub reason: String,
    /// What the user can do about it.
    pub remedy: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn of_file(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { node: None, operator: None, reason: reason.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, &self.operator) {
            (Some(node), Some(operator)) => write!(formatter, "node '{node}' ({operator}): ")?,
            (Some(node), None) => write!(formatter, "'{node}': ")?,
            _ => {}
        }
        write!(formatter, "{}; {}", self.reason, self.remedy)
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot import {}", self.path.display())?;
        match self.problems.as_slice() {
            [problem] => write!(formatter, ": {problem}"),
            problems => {
                write!(formatter, ": {} problems", problems.len())?;
                problems.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
            }
        }
    }
}

/// Why one node cannot be imported; the importer adds the node's name and operator.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: String,
    pub remedy: String,
}

impl Refusal {
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }

    /// For files that break their own format's rules.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::new(reason, "the file is damaged or was written wrongly: export it again")
    }

    /// For things that are legal but outside what Ocelli computes.
    pub fn unsupported(reason: impl Into<String>) -> Self {
        Self::new(reason, "change the network so that it does without, or export the part before it")
    }
}
