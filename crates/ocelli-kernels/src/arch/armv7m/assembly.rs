//! The assembly of Cortex-M3, behind functions that check what it relies on.
#![expect(unsafe_code, reason = "calls of assembly")]

use core::arch::global_asm;

use super::Armv7m;
use crate::arch::pairs::{Stream, Work};

global_asm!(include_str!("pointwise.s"), options(raw));
global_asm!(include_str!("words.s"), options(raw));
global_asm!(include_str!("taps.s"), options(raw));

/// Arguments of the 1x1 kernel.
#[repr(C)]
struct Pointwise {
    x: *const u32,
    stream: *const u32,
    output: *mut i8,
    distances: [usize; 3],
}

/// Arguments of the depthwise kernel.
#[repr(C)]
struct Depthwise {
    words: *const u32,
    record: *const u32,
    x: *mut u32,
    steps: [usize; 2],
    end: *const u32,
}

type TapsFunction = unsafe extern "C" fn(&Depthwise);
type ColumnsFunction = unsafe extern "C" fn(&[*const i8; 5], *mut u32, usize, usize);

unsafe extern "C" {
    fn ocelli_armv7m_pointwise_q32(arguments: &Pointwise);
    fn ocelli_armv7m_pointwise_tflite(arguments: &Pointwise);
    fn ocelli_armv7m_widen(sources: &[*const i8; 4], x: *mut u32, count: usize);
    fn ocelli_armv7m_columns_1(rows: &[*const i8; 5], words: *mut u32, length: usize, step: usize);
    fn ocelli_armv7m_columns_2(rows: &[*const i8; 5], words: *mut u32, length: usize, step: usize);
    fn ocelli_armv7m_taps_1_3_q32(arguments: &Depthwise);
    fn ocelli_armv7m_taps_1_5_q32(arguments: &Depthwise);
    fn ocelli_armv7m_taps_2_3_q32(arguments: &Depthwise);
    fn ocelli_armv7m_taps_2_5_q32(arguments: &Depthwise);
    fn ocelli_armv7m_taps_1_3_tflite(arguments: &Depthwise);
    fn ocelli_armv7m_taps_1_5_tflite(arguments: &Depthwise);
    fn ocelli_armv7m_taps_2_3_tflite(arguments: &Depthwise);
    fn ocelli_armv7m_taps_2_5_tflite(arguments: &Depthwise);
}

/// [`super::Core::pointwise`].
#[inline]
pub(super) fn pointwise(
    stream: &Stream<'_, Armv7m>,
    x: &[u32],
    output: &mut [i8],
    at: [usize; 4],
) -> Option<()> {
    stream.fits(x, output, at)?;
    let [first, rest @ ..] = at;
    let output = output.get_mut(first..)?.as_mut_ptr();
    let distances = rest.map(|at| at.wrapping_sub(first));
    let arguments = Pointwise { x: x.as_ptr(), stream: stream.words.as_ptr(), output, distances };
    // SAFETY: a `Stream` has been checked: its jumps lead to the steps that its weights are for, it has `channels` channels of `depth`
    // weights, and it ends. `x` has two words a weight; `channels` bytes from each place in `at` on are in `output`.
    unsafe {
        if stream.tflite {
            ocelli_armv7m_pointwise_tflite(&arguments);
        } else {
            ocelli_armv7m_pointwise_q32(&arguments);
        }
    }
    Some(())
}

/// [`super::Core::widen`].
#[inline]
pub(super) fn widen(sources: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
    let count = sources[0].len();
    if sources.iter().any(|source| source.len() != count) || x.len() < count.checked_mul(2)? {
        return None;
    }
    // SAFETY: four slices of `count` values, and two words for each.
    unsafe { ocelli_armv7m_widen(&sources.map(<[i8]>::as_ptr), x.as_mut_ptr(), count) };
    Some(())
}

/// [`super::Core::depthwise`].
pub(super) fn depthwise(work: &Work<'_>, records: &[u32], words: &mut [u32], x: &mut [u32]) -> Option<()> {
    work.fits::<Armv7m>(records, words, x)?;
    let Work { columns, before, taps } = work;
    let make_columns: ColumnsFunction =
        if columns.stride == 1 { ocelli_armv7m_columns_1 } else { ocelli_armv7m_columns_2 };
    let by_stride: [[TapsFunction; 2]; 2] = if taps.tflite {
        [
            [ocelli_armv7m_taps_1_5_tflite, ocelli_armv7m_taps_1_3_tflite],
            [ocelli_armv7m_taps_2_5_tflite, ocelli_armv7m_taps_2_3_tflite],
        ]
    } else {
        [
            [ocelli_armv7m_taps_1_5_q32, ocelli_armv7m_taps_1_3_q32],
            [ocelli_armv7m_taps_2_5_q32, ocelli_armv7m_taps_2_3_q32],
        ]
    };
    let [by_pairs, by_columns] = by_stride[usize::from(taps.stride != 1)];
    let length = columns.count;
    let end =
        taps.count.checked_mul(taps.stride)?.checked_add(usize::from(taps.stride == 1))?.checked_mul(3)?;
    let words = words.as_mut_ptr();
    let inside = words.wrapping_add(before * 3);
    let mut rows = columns.rows.map(<[i8]>::as_ptr);
    let mut arguments = Depthwise {
        words,
        record: records.as_ptr(),
        x: x.as_mut_ptr(),
        steps: taps.steps.map(|step| step.wrapping_mul(4)),
        end: words.wrapping_add(end),
    };
    for record in records.chunks_exact(records.len().checked_div(columns.channels)?.max(1)) {
        arguments.record = record.as_ptr();
        let function = if record.last() == Some(&0) { by_pairs } else { by_columns };
        // SAFETY: `Work::fits` has seen that each row has `count` values at distances of `channels` from each channel's first on, `words` has
        // the columns that the outputs see, of which those on the map are from `inside` on, `end` is where reading them ends, `record` is one
        // channel's parameters, and `x` takes the last output of the last channel.
        unsafe {
            if length > 0 {
                make_columns(&rows, inside, length, columns.channels);
            }
            function(&arguments);
        }
        rows = rows.map(|row| row.wrapping_add(1));
        arguments.x = arguments.x.wrapping_add(2);
    }
    Some(())
}

global_asm!(include_str!("products.s"), options(raw));

unsafe extern "C" {
    fn ocelli_armv7m_products(
        first: *const [i32; 2],
        second: *const [i8; 2],
        count: usize,
        sums: *mut [i32; 2],
    );
}

/// `sums[j][i] += first[n][i] * second[n][j]` for as many `n` as both have.
pub fn products(first: &[[i32; 2]], second: &[[i8; 2]], sums: &mut [[i32; 2]; 2]) {
    let count = first.len().min(second.len());
    // SAFETY: both have `count` pairs, and `sums` the four values that the function reads and writes.
    unsafe { ocelli_armv7m_products(first.as_ptr(), second.as_ptr(), count, sums.as_mut_ptr()) }
}
