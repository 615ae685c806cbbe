//! What the QEMU images share: start-up, faults and panics, the instruction counter, memory, files and the serial port.
//!
//! An image finds its files by name in the folder that QEMU runs in.
#![no_std]

pub mod console;
pub mod counter;
pub mod files;
pub mod memory;
#[cfg(target_arch = "riscv32")]
pub mod nor;
pub mod uart;

#[cfg_attr(target_arch = "arm", path = "faults_arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "faults_riscv.rs")]
mod faults;

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;
