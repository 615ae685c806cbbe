//! Steps of a long command: each is named, timed, and does not stop the others when it fails.

use std::time::Instant;

use anyhow::Result;

/// What has passed, failed and been skipped.
#[derive(Debug, Default)]
pub struct Steps {
    passed: Vec<String>,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Steps {
    /// Runs a step, and gives whether it passed.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = step();
        match &result {
            Ok(()) => {
                let line = format!("{name} ({:.1} s)", start.elapsed().as_secs_f32());
                println!("=== passed: {line}");
                self.passed.push(line);
            }
            Err(error) => {
                println!("=== FAILED: {name}: {error:#}");
                self.failed.push(format!("{name}: {error:#}"));
            }
        }
        result.is_ok()
    }

    /// Notes a step that cannot run here, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        println!("\n=== {name}\n=== skipped: {name}: {why}");
        self.skipped.push(format!("{name}: {why}"));
    }

    /// Prints every step and, as the last line, their counts; gives whether none failed.
    pub fn finish(self) -> bool {
        println!("\n=== summary of the steps");
        for (verdict, names) in
            [("passed", &self.passed), ("skipped", &self.skipped), ("FAILED", &self.failed)]
        {
            for name in names {
                println!("{verdict:8} {name}");
            }
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed.len(),
            self.failed.len(),
            self.skipped.len()
        );
        self.failed.is_empty()
    }
}
