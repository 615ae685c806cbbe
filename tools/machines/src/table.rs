//! The table of machines.

/// A stretch of a machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte.
    pub origin: u32,
    /// Bytes.
    pub length: u32,
}

/// A QEMU machine and the firmware target that runs on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// Short name, as in `--on qemu:m4` and in the firmware's Cargo features.
    pub name: &'static str,
    /// The core whose instruction set the code uses.
    pub core: &'static str,
    /// QEMU's program.
    pub qemu: &'static str,
    /// Value of QEMU's `-M`.
    pub board: &'static str,
    /// Further QEMU arguments.
    pub arguments: &'static [&'static str],
    /// Rust target triple.
    pub target: &'static str,
    /// The target of packed models whose kernels are fast on it.
    pub kernels: &'static str,
    /// Vector table, code, constants, and the model of an image that embeds one.
    pub code: Region,
    /// Static data, arena and stack.
    pub ram: Region,
    /// Where the image that runs any model puts the model it reads.
    pub model: Region,
    /// Registers of the first serial port: Arm's CMSDK UART, or a 16550 on RISC-V; 0 where images do without.
    pub uart: u32,
    /// Bytes of flash that the image can write, in a file of the host; `None` where QEMU's machine has none.
    pub flash_bytes: Option<u64>,
    /// Length of a tick of the counter that times inferences, in picoseconds of virtual time; QEMU makes an instruction a nanosecond.
    /// Zero where the core counts instructions itself.
    pub tick_picoseconds: u32,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const fn region(origin: u32, length: u32) -> Region {
    Region { origin, length }
}

/// Cortex-M3, M4 and M0-class machines: two 4 MiB SRAMs and 16 MiB of PSRAM.
const fn mps2(
    name: &'static str,
    core: &'static str,
    board: &'static str,
    target: &'static str,
    kernels: &'static str,
    psram: u32,
) -> Machine {
    Machine {
        name,
        core,
        qemu: "qemu-system-arm",
        board,
        arguments: &[],
        target,
        kernels,
        code: region(0, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        model: region(psram, 16 * MIB),
        uart: 0x4000_4000,
        flash_bytes: None,
        tick_picoseconds: 40_000,
    }
}

/// Every machine. `m0` is Armv6-M code on a Cortex-M3: QEMU's only Cortex-M0 board has 16 KiB of RAM, and the instructions are the same.
pub const MACHINES: &[Machine] = &[
    mps2("m0", "Cortex-M0", "mps2-an385", "thumbv6m-none-eabi", "armv6m", 0x2100_0000),
    mps2("m3", "Cortex-M3", "mps2-an385", "thumbv7m-none-eabi", "armv7m", 0x2100_0000),
    mps2("m4", "Cortex-M4", "mps2-an386", "thumbv7em-none-eabihf", "dsp", 0x2100_0000),
    mps2("m7", "Cortex-M7", "mps2-an500", "thumbv7em-none-eabihf", "dsp", 0x6000_0000),
    // The core starts in the secure state: these are the secure addresses of its memories.
    Machine {
        name: "m33",
        core: "Cortex-M33",
        qemu: "qemu-system-arm",
        board: "mps2-an505",
        arguments: &[],
        target: "thumbv8m.main-none-eabihf",
        kernels: "dsp",
        code: region(0x1000_0000, 4 * MIB),
        ram: region(0x3800_0000, 4 * MIB),
        model: region(0x8000_0000, 16 * MIB),
        uart: 0x5020_0000,
        flash_bytes: None,
        tick_picoseconds: 50_000,
    },
    Machine {
        name: "m55",
        core: "Cortex-M55",
        qemu: "qemu-system-arm",
        board: "mps3-an547",
        arguments: &[],
        target: "thumbv8m.main-none-eabihf",
        kernels: "helium",
        code: region(0, 512 * KIB),
        ram: region(0x7000_0000, 64 * MIB),
        model: region(0x7400_0000, 192 * MIB),
        uart: 0x5930_3000,
        flash_bytes: None,
        tick_picoseconds: 31_250,
    },
    Machine {
        name: "rv32",
        core: "RV32IMC",
        qemu: "qemu-system-riscv32",
        board: "virt",
        arguments: &["-bios", "none", "-m", "128M"],
        target: "riscv32imc-unknown-none-elf",
        kernels: "rv32",
        code: region(0x8000_0000, 16 * MIB),
        ram: region(0x8100_0000, 48 * MIB),
        model: region(0x8400_0000, 64 * MIB),
        uart: 0x1000_0000,
        flash_bytes: Some(32 << 20),
        tick_picoseconds: 0,
    },
];

/// Parts with their own small memories, for images with a model compiled in. `microbit` is a Cortex-M0 of 16 KiB of RAM and 256 KiB of flash;
/// its counter does not count in QEMU, so that nothing is measured on it. `netduinoplus2` is an STM32F405: a Cortex-M4 of 128 KiB of RAM beside its
/// core-coupled memory, and 1 MiB of flash.
pub const SMALL_MACHINES: &[Machine] = &[
    Machine {
        name: "microbit",
        kernels: "portable",
        core: "Cortex-M0",
        qemu: "qemu-system-arm",
        board: "microbit",
        arguments: &[],
        target: "thumbv6m-none-eabi",
        code: region(0, 256 * KIB),
        ram: region(0x2000_0000, 16 * KIB),
        model: region(0x3000_0000, 0),
        uart: 0,
        flash_bytes: None,
        tick_picoseconds: 62_500,
    },
    Machine {
        name: "netduinoplus2",
        kernels: "dsp",
        core: "Cortex-M4",
        qemu: "qemu-system-arm",
        board: "netduinoplus2",
        arguments: &[],
        target: "thumbv7em-none-eabihf",
        code: region(0x0800_0000, MIB),
        ram: region(0x2000_0000, 128 * KIB),
        model: region(0x3000_0000, 0),
        uart: 0,
        flash_bytes: None,
        tick_picoseconds: 5_952,
    },
];

/// The machine of that short name.
pub fn machine(name: &str) -> Option<&'static Machine> {
    MACHINES.iter().find(|machine| machine.name == name)
}

/// The Rust targets of all machines, each once.
pub const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_of_the_machines() {
        let mut targets: Vec<_> = MACHINES.iter().map(|machine| machine.target).collect();
        targets.dedup();
        assert_eq!(targets, TARGETS);
    }

    #[test]
    fn regions_do_not_overlap() {
        for machine in MACHINES {
            let mut regions = [machine.code, machine.ram, machine.model];
            regions.sort_by_key(|region| region.origin);
            for pair in regions.windows(2) {
                assert!(pair[0].origin + pair[0].length <= pair[1].origin, "{}", machine.name);
            }
        }
    }

    #[test]
    fn machines_are_found_by_name() {
        assert_eq!(machine("m7").map(|machine| machine.board), Some("mps2-an500"));
        assert_eq!(machine("m8"), None);
    }
}
