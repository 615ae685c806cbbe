//! Calls of the command, for the tests of what it prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository, which the command runs in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the command.
pub fn ocelli(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ocelli"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("it starts")
}

/// What the command prints when it succeeds.
pub fn printed(arguments: &[&str]) -> String {
    let output = ocelli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The message of a call that must end with exit code 2, without a panic.
pub fn refused(arguments: &[&str]) -> String {
    let output = ocelli(arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(!message.contains("panicked"), "{arguments:?}: {message}");
    message
}
