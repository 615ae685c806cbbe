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

unsafe extern "C" {
    fn DefaultHandler();
}

/// The vector table behind the exceptions. No interrupt is ever enabled, so one entry, the least that the linker script takes, is all of it.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler; 1];
