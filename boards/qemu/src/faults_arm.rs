//! Faults end QEMU with an error, instead of hanging it.

use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    crate::console::fail(format_args!("hard fault at {:#010x}", frame.pc()))
}

#[exception]
unsafe fn DefaultHandler(number: i16) {
    crate::console::fail(format_args!("unexpected exception {number}"))
}
