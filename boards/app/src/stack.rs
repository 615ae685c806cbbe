//! Measuring how deep the stack grows, by painting what is below it and looking at how much paint is left.

/// Unlikely as data, and odd, so never an aligned address.
const PAINT: u32 = 0xACE0_57A5;

/// Bytes below the painting function's variable that stay unpainted, because the rest of its frame may be there.
const MARGIN: usize = 128;

/// A stack whose unused part has been painted.
#[derive(Debug)]
pub struct PaintedStack {
    bottom: *mut u32,
    words: usize,
    caller: usize,
}

impl PaintedStack {
    /// Paints the stack from `bottom`, its lowest address, up to just below the caller's frame.
    ///
    /// # Safety
    /// Memory from `bottom` up to the stack pointer must belong to the stack alone, and the stack must grow downwards.
    #[inline(never)]
    pub unsafe fn paint(bottom: *mut u32) -> Self {
        let frame = 0u32;
        let caller = (&raw const frame).addr();
        let words = caller.saturating_sub(MARGIN).saturating_sub(bottom.addr()) / 4;
        for index in 0..words {
            // SAFETY: these words lie below this function's frame, and the caller vouches that nothing else lives there.
            unsafe { bottom.add(index).write_volatile(PAINT) };
        }
        Self { bottom, words, caller }
    }

    /// Bytes from the frame of `paint`'s caller down to the deepest word that lost its paint, at least 128; `None` if the
    /// lowest word of the stack lost it: the stack has overflowed.
    pub fn used_bytes(&self) -> Option<usize> {
        // SAFETY: these are the words that `paint` wrote.
        let is_painted = |&index: &usize| unsafe { self.bottom.add(index).read_volatile() } == PAINT;
        let untouched = (0..self.words).take_while(is_painted).count();
        (untouched > 0).then(|| self.caller.saturating_sub(self.bottom.addr() + untouched * 4))
    }
}
