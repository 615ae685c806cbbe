//! The boards that have firmware, a folder each in `boards`.

/// A board.
#[derive(Debug, PartialEq, Eq)]
pub struct Board {
    /// Name of its folder and its crate.
    pub name: &'static str,
    /// Its core.
    pub core: &'static str,
    /// Rust target triple.
    pub target: &'static str,
    /// The target of packed models whose kernels are fast on it.
    pub kernels: &'static str,
    /// Bytes of flash.
    pub flash: u32,
    /// Bytes of RAM that arena, other data and stack share.
    pub ram: u32,
}

const KIB: u32 = 1 << 10;

const fn cortex_m4_or_m7(name: &'static str, core: &'static str, flash: u32, ram: u32) -> Board {
    Board { name, core, target: "thumbv7em-none-eabihf", kernels: "dsp", flash, ram }
}

/// Every board.
pub const BOARDS: &[Board] = &[
    Board {
        name: "microbit",
        core: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        kernels: "armv6m",
        flash: 256 * KIB,
        ram: 16 * KIB,
    },
    cortex_m4_or_m7("nrf52840-dk", "Cortex-M4", 1024 * KIB, 256 * KIB),
    cortex_m4_or_m7("nucleo-f446re", "Cortex-M4", 512 * KIB, 128 * KIB),
    cortex_m4_or_m7("nucleo-h743zi", "Cortex-M7", 2048 * KIB, 512 * KIB),
    cortex_m4_or_m7("stm32f746g-disco", "Cortex-M7", 1024 * KIB, 320 * KIB),
    Board {
        name: "rp2350-pico2",
        core: "Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        kernels: "dsp",
        flash: 4096 * KIB,
        ram: 512 * KIB,
    },
];

/// The board of that name.
pub fn board(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}
