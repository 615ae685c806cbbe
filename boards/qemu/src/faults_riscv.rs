//! Faults end QEMU with an error, instead of hanging it.

// SAFETY: riscv-rt calls this symbol for every exception that has no handler of its own.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    crate::console::fail_with(c"error: exception\n")
}
