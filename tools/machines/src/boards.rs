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
    /// Its chip, as probe-rs names it.
    pub chip: &'static str,
    /// Bytes of flash.
    pub flash: u32,
    /// Bytes of RAM that arena, other data and stack share.
    pub ram: u32,
}

const KIB: u32 = 1 << 10;

const fn cortex_m4_or_m7(
    name: &'static str,
    core: &'static str,
    chip: &'static str,
    flash: u32,
    ram: u32,
) -> Board {
    Board { name, core, target: "thumbv7em-none-eabihf", kernels: "dsp", chip, flash, ram }
}

/// Every board.
pub const BOARDS: &[Board] = &[
    Board {
        name: "microbit",
        core: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        kernels: "armv6m",
        chip: "nRF51822_xxAA",
        flash: 256 * KIB,
        ram: 16 * KIB,
    },
    cortex_m4_or_m7("nrf52840-dk", "Cortex-M4", "nRF52840_xxAA", 1024 * KIB, 256 * KIB),
    cortex_m4_or_m7("nucleo-f446re", "Cortex-M4", "STM32F446RETx", 512 * KIB, 128 * KIB),
    cortex_m4_or_m7("nucleo-h743zi", "Cortex-M7", "STM32H743ZITx", 2048 * KIB, 512 * KIB),
    cortex_m4_or_m7("stm32f746g-disco", "Cortex-M7", "STM32F746NGHx", 1024 * KIB, 320 * KIB),
    Board {
        name: "rp2350-pico2",
        core: "Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        kernels: "dsp",
        chip: "RP235x",
        flash: 4096 * KIB,
        ram: 512 * KIB,
    },
];

/// The board of that name.
pub fn board(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::BOARDS;

    #[test]
    fn what_cargo_runs_is_for_the_boards_chip() {
        for board in BOARDS {
            let path = crate::firmware::boards()
                .expect("they are there")
                .join(board.name)
                .join(".cargo/config.toml");
            let text = std::fs::read_to_string(path).expect("it is there");
            let runner = format!("runner = \"probe-rs run --chip {}\"", board.chip);
            assert!(text.contains(&runner) && text.contains(board.target), "{}", board.name);
        }
    }
}
