//! Ending, and saying why.

use core::fmt::Display;

use semihosting::{eprintln, process};

/// Ends QEMU with exit code 0, or prints the error and ends with 1.
pub fn exit<E: Display>(result: Result<(), E>) -> ! {
    match result {
        Ok(()) => process::exit(0),
        Err(error) => fail(error),
    }
}

/// Prints an error and ends QEMU with exit code 1.
pub fn fail(error: impl Display) -> ! {
    eprintln!("error: {error}");
    process::exit(1)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    fail(info)
}
