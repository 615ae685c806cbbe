//! Progress bars, which keep silent where nobody looks.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that starts anew with each stage.
pub struct Progress {
    current: Mutex<(String, ProgressBar)>,
    visible: bool,
}

impl Progress {
    /// A bar on standard error if it is a terminal, else nothing.
    pub fn new(visible: bool) -> Self {
        Self { current: Mutex::new((String::new(), ProgressBar::hidden())), visible }
    }

    /// Shows that `done` of `total` are done of a stage.
    pub fn set(&self, stage: &str, done: usize, total: usize) {
        if !self.visible {
            return;
        }
        let Ok(mut current) = self.current.lock() else { return };
        if current.0 != stage {
            current.1.finish_and_clear();
            let bar = ProgressBar::new(total as u64);
            bar.set_style(style());
            bar.set_message(stage.to_owned());
            *current = (stage.to_owned(), bar);
        }
        current.1.set_length(total as u64);
        current.1.set_position(done as u64);
        if done >= total {
            current.1.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:26} [{bar:40}] {pos}/{len}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
