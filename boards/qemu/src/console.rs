//! Ending, and saying why.

use core::ffi::CStr;
use core::fmt::Display;

use semihosting::sys::arm_compat::sys_write0;
use semihosting::{eprintln, process};

/// Ends QEMU with exit code 0, or prints the error and ends with 1.
pub fn exit<E: Display>(result: Result<(), E>) -> ! {
    match result {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("error: {error}");
            process::exit(1)
        }
    }
}

/// Prints a text and ends QEMU with exit code 1. It does without `core::fmt`, which an image that formats nothing then need not hold.
pub fn fail_with(text: &CStr) -> ! {
    sys_write0(text);
    process::exit(1)
}

/// Prints `class N` and ends QEMU with exit code 0, without `core::fmt`.
pub fn exit_with_class(mut class: usize) -> ! {
    let mut text = *b"class \0\0\0\0\0\0\0\0\0\0\0";
    let digits = 1 + class.checked_ilog10().unwrap_or(0) as usize;
    for digit in text.iter_mut().skip(b"class ".len()).take(digits).rev() {
        *digit = b'0' + (class % 10) as u8;
        class /= 10;
    }
    if let Ok(text) = CStr::from_bytes_until_nul(&text) {
        sys_write0(text);
        sys_write0(c"\n");
    }
    process::exit(0)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("error: {info}");
    process::exit(1)
}
