//! Counting instructions: QEMU's `-icount shift=0` makes each of them a nanosecond of virtual time.

#[cfg(target_arch = "arm")]
pub use systick::InstructionCounter;

#[cfg(target_arch = "riscv32")]
pub use instret::InstructionCounter;

#[cfg(target_arch = "arm")]
mod systick {
    use core::sync::atomic::{AtomicU32, Ordering};

    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m::peripheral::{SCB, SYST};
    use cortex_m_rt::exception;
    use ocelli_app::{Counter, Unit};

    /// Length of a tick, from the table of machines.
    const TICK_PICOSECONDS: u64 = match u64::from_str_radix(env!("OCELLI_TICK_PICOSECONDS"), 10) {
        Ok(picoseconds) => picoseconds,
        Err(_) => panic!("the build script gives a number"),
    };
    /// Bits of the SysTick counter.
    const BITS: u32 = 24;
    const MASK: u32 = (1 << BITS) - 1;

    /// How often the counter has reached zero.
    static WRAPS: AtomicU32 = AtomicU32::new(0);

    /// Counts with SysTick, a tick at a time.
    #[derive(Debug)]
    pub struct InstructionCounter(());

    impl InstructionCounter {
        /// Starts SysTick. `None` if it has been taken before.
        pub fn start() -> Option<Self> {
            let mut timer = cortex_m::Peripherals::take()?.SYST;
            timer.set_clock_source(SystClkSource::Core);
            timer.set_reload(MASK);
            timer.clear_current();
            timer.enable_interrupt();
            timer.enable_counter();
            Some(Self(()))
        }
    }

    impl Counter for InstructionCounter {
        const UNIT: Unit = Unit::Instructions;

        fn count(&self) -> u64 {
            // SAFETY: a hint without a meaning, which cores take for a NOP. It tells `tools/qemu-cycles` that here is something to count from.
            unsafe { core::arch::asm!(".inst.n 0xbfe0") };
            loop {
                let wraps = WRAPS.load(Ordering::Relaxed);
                let count = SYST::get_current();
                // At zero, and for a moment after, the exception that counts the wrap may still be on its way.
                if !SCB::is_pendst_pending() && wraps == WRAPS.load(Ordering::Relaxed) {
                    let ticks = (u64::from(wraps) << BITS) + u64::from(count.wrapping_neg() & MASK);
                    return ticks * TICK_PICOSECONDS / 1000;
                }
            }
        }
    }

    #[exception]
    fn SysTick() {
        // Armv6-M has no atomic add; nothing else writes.
        WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

#[cfg(target_arch = "riscv32")]
mod instret {
    use ocelli_app::{Counter, Unit};

    /// Counts with the core's own counter of retired instructions.
    #[derive(Debug)]
    pub struct InstructionCounter(());

    impl InstructionCounter {
        /// The counter, which always runs.
        pub fn start() -> Option<Self> {
            Some(Self(()))
        }
    }

    impl Counter for InstructionCounter {
        const UNIT: Unit = Unit::Instructions;

        fn count(&self) -> u64 {
            riscv::register::minstret::read64()
        }
    }
}
