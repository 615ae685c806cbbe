//! The machine's memory, beyond what the linker fills.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use ocelli::Aligned;
use ocelli_app::Memory;

/// Bytes kept for the stack at the top of RAM.
const STACK_BYTES: usize = 64 << 10;

unsafe extern "C" {
    static mut __sheap: u8;
    static mut _stack_start: u8;
    static mut _model_start: u8;
    static mut _model_end: u8;
}

/// The memory that images may use as they like.
#[derive(Debug)]
pub struct Regions {
    /// Where a model can be loaded; aligned to 16 bytes.
    pub model: &'static mut [u8],
    /// RAM between static data and stack.
    pub memory: Memory<'static>,
}

/// Gives the memory out, once.
pub fn take() -> Option<Regions> {
    static FIRST: First = First::new();
    if !FIRST.is_first() {
        return None;
    }
    let free_start = (&raw mut __sheap).map_addr(|address| address.next_multiple_of(16));
    let stack_bottom = (&raw mut _stack_start).wrapping_sub(STACK_BYTES);
    // SAFETY: the linker places nothing between the end of static data and the stack, nor in the model's region, which the machine backs
    // with RAM; `FIRST` makes these the only references to them.
    let (free, model) =
        unsafe { (between(free_start, stack_bottom), between(&raw mut _model_start, &raw mut _model_end)) };
    Some(Regions { model, memory: Memory { free, stack_bottom: stack_bottom.cast() } })
}

/// # Safety
/// The bytes from `start` up to `end` must be RAM that nothing else uses.
unsafe fn between(start: *mut u8, end: *mut u8) -> &'static mut [u8] {
    // SAFETY: the caller vouches for the bytes; any bit pattern is a `u8`.
    unsafe { core::slice::from_raw_parts_mut(start, end.addr().saturating_sub(start.addr())) }
}

/// Tells the first asker from all others.
#[derive(Debug)]
struct First(AtomicBool);

impl First {
    const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn is_first(&self) -> bool {
        // Armv6-M has no atomic exchange. There is one core, and the only interrupt handler, which counts ticks, does not ask: a load and
        // a store do not race.
        let asked = self.0.load(Ordering::Relaxed);
        self.0.store(true, Ordering::Relaxed);
        !asked
    }
}

/// An arena of `N` bytes for a `static`.
#[derive(Debug)]
pub struct Arena<const N: usize> {
    first: First,
    bytes: UnsafeCell<Aligned<[u8; N]>>,
}

// SAFETY: `first` lets one reference to the bytes exist.
unsafe impl<const N: usize> Sync for Arena<N> {}

impl<const N: usize> Arena<N> {
    /// An arena of zeros.
    #[expect(clippy::new_without_default, reason = "a static needs a const function")]
    pub const fn new() -> Self {
        Self { first: First::new(), bytes: UnsafeCell::new(Aligned([0; N])) }
    }

    /// Gives the arena out, once.
    #[expect(clippy::mut_from_ref, reason = "only the first asker gets the reference")]
    pub fn take(&'static self) -> Option<&'static mut [u8]> {
        // SAFETY: only the first asker gets here, so this is the only reference.
        self.first.is_first().then(|| unsafe { &mut *self.bytes.get() }).map(|bytes| bytes.0.as_mut_slice())
    }
}
