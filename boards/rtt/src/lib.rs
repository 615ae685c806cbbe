//! A defmt logger over RTT, as `defmt-rtt` is, but for one thing: a message within a message is dropped where `defmt-rtt` panics, which would be
//! the only panic in an image.
//!
//! The probe finds [`_SEGGER_RTT`](https://wiki.segger.com/RTT) in RAM by its first bytes and reads the ring of bytes that it points to. While no
//! probe reads, the newest messages overwrite the oldest; a probe that does sets a flag, and then messages wait for room.
#![no_std]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

use critical_section::RestoreState;
use defmt::Encoder;

/// Bytes of the ring.
const SIZE: u32 = 1024;

/// In the channel's flags: the probe reads, so wait for room.
const BLOCK_IF_FULL: u32 = 2;
/// The flags' bits that are the mode.
const MODE: u32 = 0b11;
/// The mode that a channel starts in: what does not fit is cut.
const TRIM: u32 = 1;

#[repr(C)]
struct Channel {
    name: *const u8,
    buffer: *mut u8,
    size: u32,
    /// Where the next byte goes.
    write: AtomicU32,
    /// Where the probe reads the next byte.
    read: AtomicU32,
    flags: AtomicU32,
}

/// The control block, as the protocol lays it out.
#[repr(C)]
struct Control {
    id: [u8; 16],
    up_channels: u32,
    down_channels: u32,
    up: Channel,
}

struct Ring(UnsafeCell<[u8; SIZE as usize]>);

// SAFETY: only `put` writes to it, in a critical section; else only the probe looks at it.
unsafe impl Sync for Ring {}

// SAFETY: its pointers are to statics, and the rest is atomic.
unsafe impl Sync for Control {}

static RING: Ring = Ring(UnsafeCell::new([0; SIZE as usize]));
/// In RAM, so that a probe can read it while flash is busy.
#[unsafe(link_section = ".data.rtt_name")]
static NAME: [u8; 6] = *b"defmt\0";

// SAFETY: probes look for this name, and nothing else has it.
#[unsafe(no_mangle)]
static _SEGGER_RTT: Control = Control {
    id: *b"SEGGER RTT\0\0\0\0\0\0",
    up_channels: 1,
    down_channels: 0,
    up: Channel {
        name: NAME.as_ptr(),
        buffer: RING.0.get().cast(),
        size: SIZE,
        write: AtomicU32::new(0),
        read: AtomicU32::new(0),
        flags: AtomicU32::new(TRIM),
    },
};

impl Channel {
    /// Writes bytes to the ring.
    ///
    /// # Safety
    /// Only within a critical section.
    unsafe fn put(&self, bytes: &[u8]) {
        for &byte in bytes {
            let write = self.write.load(Ordering::Relaxed) % SIZE;
            let next = (write + 1) % SIZE;
            while self.flags.load(Ordering::Relaxed) & MODE == BLOCK_IF_FULL
                && next == self.read.load(Ordering::Relaxed)
            {}
            // SAFETY: `write` is within the ring, and the caller's critical section makes this the only writer.
            unsafe { self.buffer.add(write as usize).write_volatile(byte) };
            self.write.store(next, Ordering::Release);
        }
    }
}

/// What lasts from the start of a message to its end.
struct State {
    encoder: Encoder,
    /// Messages that have begun and not ended: more than one where one is logged while another is.
    depth: u32,
    restore: MaybeUninit<RestoreState>,
}

struct Shared(UnsafeCell<State>);

// SAFETY: it is used from `acquire` to `release` alone, which is one critical section.
unsafe impl Sync for Shared {}

static STATE: Shared =
    Shared(UnsafeCell::new(State { encoder: Encoder::new(), depth: 0, restore: MaybeUninit::uninit() }));

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` enters a critical section that `release` leaves, so that no message gets into another; one that is logged by code which runs
// within it is dropped.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: `release` restores it.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: this is a critical section, and no reference outlives this call.
        let state = unsafe { &mut *STATE.0.get() };
        if state.depth == 0 {
            state.restore.write(restore);
            // SAFETY: this is a critical section.
            state.encoder.start_frame(|bytes| unsafe { _SEGGER_RTT.up.put(bytes) });
        }
        state.depth = state.depth.saturating_add(1);
    }

    unsafe fn flush() {}

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: defmt calls this between `acquire` and `release` alone.
        let state = unsafe { &mut *STATE.0.get() };
        if state.depth == 1 {
            // SAFETY: as above.
            state.encoder.write(bytes, |bytes| unsafe { _SEGGER_RTT.up.put(bytes) });
        }
    }

    unsafe fn release() {
        // SAFETY: defmt calls this once after each `acquire`.
        let state = unsafe { &mut *STATE.0.get() };
        state.depth = state.depth.saturating_sub(1);
        if state.depth == 0 {
            // SAFETY: as above.
            state.encoder.end_frame(|bytes| unsafe { _SEGGER_RTT.up.put(bytes) });
            // SAFETY: the first `acquire` wrote it.
            let restore = unsafe { state.restore.assume_init_read() };
            // SAFETY: it is what that `acquire` got; inner ones changed nothing.
            unsafe { critical_section::release(restore) };
        }
    }
}
