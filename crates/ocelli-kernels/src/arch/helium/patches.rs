//! Patches: the taps of each window side by side.
#![allow(unsafe_code)]

use super::bytes;

/// Windows over rows in slots.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// The rows.
    pub rows: &'a [i8],
    /// From a slot to the next.
    pub pitch: usize,
    /// Rows of a window, and slots: they follow each other, and slot 0 the last one.
    pub slots: usize,
    /// Slot of the first row.
    pub first_slot: usize,
    /// Runs of taps in a row.
    pub runs: usize,
    /// Values of a run.
    pub run: usize,
    /// From a run to the next.
    pub run_stride: usize,
    /// From a window to the next.
    pub stride: usize,
    /// Where the first window starts, in windows from the rows' start.
    pub first: usize,
    /// Windows, at least 1.
    pub count: usize,
}

/// Makes the patches of all windows, `patch_stride` apart. What follows a patch is overwritten: up to 16 values.
pub fn patches(windows: &Windows<'_>, to: &mut [i8], patch_stride: usize) -> Option<()> {
    let &Windows { rows, pitch, slots, first_slot, runs, run, run_stride, stride, first, count } = windows;
    let start = first.checked_mul(stride)?;
    #[cfg(ocelli_helium)]
    if runs == 1 && run <= 16 {
        use super::asm;
        let last = count.checked_sub(1)?;
        // The last row's windows, read by 16 values, and the last patch.
        let enough = (slots - 1)
            .checked_mul(pitch)?
            .checked_add(start)?
            .checked_add(last.checked_mul(stride)?)?
            .checked_add(16)?
            <= rows.len()
            && last.checked_add(1)?.checked_mul(patch_stride)?.checked_add(16)? <= to.len()
            && slots.checked_mul(run)? <= patch_stride
            && first_slot < slots;
        if !enough {
            return None;
        }
        let from = rows.as_ptr() as usize + start;
        if slots == 3 && (patch_stride == 16 || patch_stride == 32) {
            let row = |tap: usize| {
                let slot = first_slot + tap;
                from + (if slot < 3 { slot } else { slot - 3 }) * pitch
            };
            let arguments = [row(0), row(1), row(2), run, stride, to.as_mut_ptr() as usize, count];
            let function = if patch_stride == 16 { asm::patches3_16 } else { asm::patches3_32 };
            // SAFETY: above it is checked that windows are within `rows` and patches, with 16 values after the last, within `to`.
            unsafe { function(arguments.as_ptr()) }
            return Some(());
        }
        let arguments =
            [from, pitch, first_slot, slots, run, stride, to.as_mut_ptr() as usize, patch_stride, count];
        // SAFETY: as above.
        unsafe { asm::patches(arguments.as_ptr()) }
        return Some(());
    }
    let (mut at, mut slot) = (0usize, first_slot);
    for _ in 0..slots {
        for column in 0..runs {
            let from =
                slot.checked_mul(pitch)?.checked_add(start)?.checked_add(column.checked_mul(run_stride)?)?;
            bytes::pieces(rows.get(from..)?, stride, to.get_mut(at..)?, patch_stride, run, count)?;
            at = at.checked_add(run)?;
        }
        slot = if slot + 1 == slots { 0 } else { slot + 1 };
    }
    Some(())
}
