//! Faults end QEMU with an error, instead of hanging it.

// SAFETY: riscv-rt calls this symbol for every exception that has no handler of its own.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_frame: &riscv_rt::TrapFrame) -> ! {
    let (cause, at) = (riscv::register::mcause::read().bits(), riscv::register::mepc::read());
    crate::console::fail(format_args!("exception {cause} at {at:#010x}"))
}
