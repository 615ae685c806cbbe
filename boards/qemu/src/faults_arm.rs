//! Faults end QEMU with an error, instead of hanging it.

use cortex_m_rt::{ExceptionFrame, exception};

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    crate::console::fail_with(c"error: hard fault\n")
}

#[exception]
unsafe fn DefaultHandler(_: i16) {
    crate::console::fail_with(c"error: unexpected exception\n")
}
