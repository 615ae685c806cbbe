//! Calls of the assembly of Cortex-M0 and M3, behind functions that check what it relies on.
#![expect(unsafe_code, reason = "calls of assembly")]

use super::{Core, Stream, Work};
use crate::requantize::Rule;

/// Arguments of the 1x1 kernel.
#[repr(C)]
pub(in crate::arch) struct Pointwise {
    x: *const u32,
    stream: *const u32,
    output: *mut i8,
    distances: [usize; 3],
}

/// Arguments of the depthwise kernel.
#[repr(C)]
pub(in crate::arch) struct Depthwise {
    words: *const u32,
    record: *const u32,
    x: *mut u32,
    steps: [usize; 2],
    end: *const u32,
}

pub(in crate::arch) type PointwiseFunction = unsafe extern "C" fn(&Pointwise);
pub(in crate::arch) type WidenFunction = unsafe extern "C" fn(&[*const i8; 4], *mut u32, usize);
pub(in crate::arch) type ColumnsFunction = unsafe extern "C" fn(&[*const i8; 5], *mut u32, usize, usize);
pub(in crate::arch) type TapsFunction = unsafe extern "C" fn(&Depthwise);

/// A core's functions, each of two for `Q32` and then `TfLite`, and for stride 1 and then 2.
pub(in crate::arch) struct Functions {
    /// [`Core::pointwise`].
    pub pointwise: [PointwiseFunction; 2],
    /// [`Core::widen`], of at least one value.
    pub widen: WidenFunction,
    /// Pair words of a channel's columns: rows, words, a length, and values from a column to the next.
    pub columns: [ColumnsFunction; 2],
    /// Taps of a channel, by rule and stride: for records whose last word is 0, and for others.
    pub taps: [[[TapsFunction; 2]; 2]; 2],
    /// Whether the length of columns is the values that they span in a row, and not their number.
    pub spans: bool,
    /// Columns that taps of each stride have read beyond those of the last output's first when they end.
    pub ahead: [usize; 2],
}

/// A core with assembly.
///
/// # Safety
/// The functions compute what [`Core`] says, read and write no other memory, and keep to the calling convention.
pub(in crate::arch) unsafe trait Assembly: Core {
    /// The functions.
    const FUNCTIONS: Functions;
}

/// [`Core::pointwise`].
#[inline]
pub(in crate::arch) fn pointwise<C: Assembly, R: Rule>(
    stream: &Stream<'_, C>,
    x: &[u32],
    output: &mut [i8],
    at: [usize; 4],
) -> Option<()> {
    stream.fits(x, output, at)?;
    if stream.tflite != R::TFLITE {
        return None;
    }
    let [first, rest @ ..] = at;
    let output = output.get_mut(first..)?.as_mut_ptr();
    let distances = rest.map(|at| at.wrapping_sub(first));
    let arguments = Pointwise { x: x.as_ptr(), stream: stream.words.as_ptr(), output, distances };
    // Chosen by what is known when it is compiled, so that one of them is linked.
    let [q32, tflite] = const { C::FUNCTIONS.pointwise };
    // SAFETY: a `Stream` has been checked: its jumps lead to the steps that its weights are for, it has `channels` channels of `depth`
    // weights, and it ends. `x` has two words a weight; `channels` bytes from each place in `at` on are in `output`.
    unsafe {
        if R::TFLITE {
            tflite(&arguments);
        } else {
            q32(&arguments);
        }
    }
    Some(())
}

/// [`Core::widen`].
#[inline]
pub(in crate::arch) fn widen<C: Assembly>(sources: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
    let count = sources[0].len();
    if sources.iter().any(|source| source.len() != count) || x.len() < count.checked_mul(2)? {
        return None;
    }
    if count == 0 {
        return Some(());
    }
    // SAFETY: four slices of `count` values, at least one, and two words for each.
    unsafe { (const { C::FUNCTIONS.widen })(&sources.map(<[i8]>::as_ptr), x.as_mut_ptr(), count) };
    Some(())
}

/// [`Core::depthwise`].
pub(in crate::arch) fn depthwise<C: Assembly, R: Rule>(
    work: &Work<'_>,
    records: &[u32],
    words: &mut [u32],
    x: &mut [u32],
) -> Option<()> {
    work.fits::<C>(records, words, x)?;
    if work.taps.tflite != R::TFLITE {
        return None;
    }
    let Work { columns, before, taps } = work;
    let functions = const { C::FUNCTIONS };
    let [columns_1, columns_2] = functions.columns;
    let make_columns = if columns.stride == 1 { columns_1 } else { columns_2 };
    let [q32, tflite] = functions.taps;
    let [taps_1, taps_2] = if R::TFLITE { tflite } else { q32 };
    let [by_pairs, by_columns] = if taps.stride == 1 { taps_1 } else { taps_2 };
    let [ahead_1, ahead_2] = functions.ahead;
    let ahead = if taps.stride == 1 { ahead_1 } else { ahead_2 };
    let length = if functions.spans { columns.count * columns.channels } else { columns.count };
    let end = taps.count.checked_mul(taps.stride)?.checked_add(ahead)?.checked_mul(3)?;
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
