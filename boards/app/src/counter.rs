//! Measuring what inferences take.

pub use ocelli_serial::Unit;

/// Counts cycles, instructions or time.
pub trait Counter {
    /// What is counted.
    const UNIT: Unit;

    /// The count since some fixed moment.
    fn count(&self) -> u64;
}

/// For boards that measure nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCounter;

impl Counter for NoCounter {
    const UNIT: Unit = Unit::None;

    fn count(&self) -> u64 {
        0
    }
}

#[cfg(feature = "dwt")]
pub use dwt::CycleCounter;

#[cfg(feature = "dwt")]
mod dwt {
    use core::cell::Cell;

    use cortex_m::peripheral::{DCB, DWT};

    use super::{Counter, Unit};

    /// The core's own counter of cycles, which Cortex-M3 and larger cores have.
    #[derive(Debug)]
    pub struct CycleCounter {
        last: Cell<u32>,
        total: Cell<u64>,
    }

    impl CycleCounter {
        /// Starts it.
        pub fn start(mut dcb: DCB, mut dwt: DWT) -> Self {
            dcb.enable_trace();
            dwt.enable_cycle_counter();
            Self { last: Cell::new(DWT::cycle_count()), total: Cell::new(0) }
        }
    }

    impl Counter for CycleCounter {
        const UNIT: Unit = Unit::Cycles;

        /// Cycles since the start, without the times that its 32 bits went round unseen between two calls.
        fn count(&self) -> u64 {
            let now = DWT::cycle_count();
            let passed = now.wrapping_sub(self.last.replace(now));
            self.total.set(self.total.get().wrapping_add(passed.into()));
            self.total.get()
        }
    }
}
