//! The QEMU machines that Ocelli's tests, benchmarks and command line run on, and the boards that have firmware.
//!
//! [`BOARDS`] is the table of real boards, [`MACHINES`] the one of machines: the firmware's build script takes memory maps from it, and the host tools take the target, the
//! QEMU command and the clock. With the feature `host` (the default), [`toolchain`] finds a compiler for them, [`firmware`] builds images,
//! [`elf`] looks into them, [`qemu`] runs them and parses their reports, [`serial`] sends them pictures, [`install`] models, and [`process`] waits for it all.
#![forbid(unsafe_code)]

mod boards;
mod table;
pub use boards::{BOARDS, Board, board};
pub use table::{MACHINES, Machine, Region, SMALL_MACHINES, TARGETS, machine};

#[cfg(feature = "host")]
pub mod cycles;
#[cfg(feature = "host")]
pub mod elf;
#[cfg(feature = "host")]
mod error;
#[cfg(feature = "host")]
pub mod firmware;
#[cfg(feature = "host")]
pub mod install;
#[cfg(feature = "host")]
pub mod kernels;
#[cfg(feature = "host")]
pub mod process;
#[cfg(feature = "host")]
pub mod qemu;
#[cfg(feature = "host")]
pub mod serial;
#[cfg(feature = "host")]
pub mod toolchain;
#[cfg(feature = "host")]
pub use error::Error;
