//! Steps of a long command: each is named, timed, and does not stop the others when it fails.

use std::time::Instant;

use anyhow::{Result, bail};

/// What has passed, failed and been skipped.
#[derive(Debug, Default)]
pub struct Steps {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Steps {
    /// Runs a step.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let start = Instant::now();
        match step() {
            Ok(()) => {
                println!("=== {name}: passed in {:.1} s", start.elapsed().as_secs_f32());
                self.passed += 1;
            }
            Err(error) => {
                println!("=== {name}: FAILED: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Notes a step that cannot run here, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        println!("\n=== {name}: skipped: {why}");
        self.skipped.push(format!("{name} ({why})"));
    }

    /// Prints the summary; an error if a step failed.
    pub fn finish(self) -> Result<()> {
        println!("\n=== summary");
        for name in &self.skipped {
            println!("skipped: {name}");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!(
            "steps: {} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        );
        if !self.failed.is_empty() {
            bail!("{} failed", self.failed.join(", "));
        }
        Ok(())
    }
}
