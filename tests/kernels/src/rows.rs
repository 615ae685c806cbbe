//! Asking for rows in every way, and comparing them.

use ocelli_kernels::Map;
use ocelli_kernels::arch::{Arch, ConvShape};

use crate::memory::{Guarded, Ring, rows_at_once};
use crate::random::Random;
use crate::shape::rows_seen;
use crate::{Checked, Fault, Layer, Verdict};

/// The buffers that a comparison takes.
pub struct Buffers<'a> {
    /// The whole input.
    pub input: &'a [i8],
    /// The whole output of the portable kernels.
    pub expected: &'a [i8],
    /// For the rows of the input that are in memory.
    pub ring: &'a mut [i8],
    /// For an output with its guard.
    pub output: &'a mut [i8],
    /// For scratch with its guard.
    pub scratch: &'a mut [i8],
}

/// The whole input of a shape.
pub fn whole<'a>(shape: &ConvShape, data: &'a [i8]) -> Map<'a> {
    let [height, width, channels] = shape.input;
    Map::whole(&data[..height * width * channels], shape.input, shape.zero_point)
}

/// Makes all rows with `call`, a few at once, from a map that holds no others than they see, and compares.
pub fn check_rows<A: Arch>(
    random: &Random,
    layer: Layer,
    shape: &ConvShape,
    scratch_bytes: usize,
    buffers: Buffers<'_>,
    mut call: impl FnMut(&Map<'_>, usize, &mut [i8], &mut [i8]) -> Option<()>,
) -> Checked {
    let Buffers { input, expected, ring, output, scratch } = buffers;
    let map = whole(shape, input);
    let height = shape.output[0];
    let row_length = expected.len() / height;
    let at_once = rows_at_once::<A>(random, height);

    let seen = |first: usize| rows_seen(shape, first, at_once.min(height - first));
    let needed = (0..height).step_by(at_once).map(|first| seen(first).len()).max().unwrap_or(0).max(1);
    let slots = if random.one_in(2) { map.height } else { (needed + random.size(0, 2)).min(map.height) };
    let ring_shape = Ring { slots, offset: random.size(0, 3) };
    let [output_offset, scratch_offset] = [random.size(0, 3), random.size(0, 3)];
    let wrong = |fault: Fault| (layer, [at_once as u16, slots as u16], fault);

    let mut scratch =
        Guarded::new(scratch, scratch_offset, scratch_bytes, random).ok_or(wrong(Fault::TooLarge))?;
    for first in (0..height).step_by(at_once) {
        let range = first * row_length..(first + at_once).min(height) * row_length;
        let expected = &expected[range.clone()];
        let input = ring_shape.fill(&map, seen(first), ring, random);
        let mut rows =
            Guarded::new(output, output_offset, range.len(), random).ok_or(wrong(Fault::TooLarge))?;
        call(&input, first, rows.values(), scratch.values()).ok_or(wrong(Fault::Refused))?;
        compare(expected, &mut rows, range.start).map_err(wrong)?;
        if !scratch.is_intact() {
            return Err(wrong(Fault::BesideScratch));
        }
    }
    Ok(Verdict::Equal)
}

/// Compares what was written with what was expected; `start` is the first byte's position in the whole output.
pub fn compare(expected: &[i8], found: &mut Guarded<'_>, start: usize) -> Result<(), Fault> {
    for (at, (&expected, &mut found)) in expected.iter().zip(found.values()).enumerate() {
        if expected != found {
            return Err(Fault::Byte { at: (start + at) as u32, expected, found });
        }
    }
    if found.is_intact() { Ok(()) } else { Err(Fault::BesideOutput) }
}
