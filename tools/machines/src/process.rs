//! Waiting for processes no longer than a limit.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Runs a command to its end; kills it after `limit`.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if it did not end in time; else why it could not be started or waited for.
pub fn status_within(command: &mut Command, limit: Duration) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    if let Some(status) = wait(&mut child, limit)? {
        return Ok(status);
    }
    child.kill()?;
    child.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// Waits for a process to end; `None` if it still runs after `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let status = child.try_wait()?;
        if status.is_some() || start.elapsed() > limit {
            return Ok(status);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn what_ends_in_time_gives_its_status() {
        let run = |argument: &str| {
            let mut rustc = Command::new("rustc");
            rustc.arg(argument).stdout(Stdio::null()).stderr(Stdio::null());
            status_within(&mut rustc, Duration::from_secs(60)).expect("it ends")
        };
        assert!(run("--version").success());
        assert!(!run("--no-such-option").success());
    }

    #[test]
    fn what_runs_too_long_is_ended() {
        // It waits for a program to compile, which never comes.
        let mut rustc = Command::new("rustc");
        rustc.arg("-").stdin(Stdio::piped());
        let error = status_within(&mut rustc, Duration::from_millis(200)).expect_err("it waits");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
