//! Pools and means.

use ocelli_kernels::arch::{Arch, ConvShape};
use ocelli_kernels::pool::{AveragePool, average_row_tflite, max_row};
use ocelli_kernels::{Map, Q32, Q32Channel, TfLite, TfLiteChannel, pool};

use crate::memory::{Guarded, Ring, Workspace};
use crate::random::Random;
use crate::rows::{Buffers, check_rows, compare, whole};
use crate::rule::DrawRule;
use crate::shape::{self, Reader};
use crate::{Checked, Fault, Layer, Verdict};

/// Compares two functions that make one row of a pool each.
fn run<A: Arch>(
    random: &Random,
    workspace: &mut Workspace,
    shape: &ConvShape,
    portable: impl Fn(&Map<'_>, usize, &mut [i8]) -> Option<()>,
    call: impl Fn(&Map<'_>, usize, &mut [i8]) -> Option<()>,
) -> Checked {
    let Workspace { inputs: [input, ..], expected, ring, output, scratch, .. } = workspace;
    let layer = Layer::Window(*shape);
    random.activations(&mut input[..shape.input.iter().product()]);
    let length = shape.output[1] * shape.output[2];
    let expected = &mut expected[..shape.output[0] * length];
    let mut rows = expected.chunks_exact_mut(length).enumerate();
    rows.try_for_each(|(y, row)| portable(&whole(shape, input), y, row)).ok_or((
        layer,
        [0, 0],
        Fault::Case,
    ))?;
    let buffers = Buffers { input, expected, ring, output, scratch };
    check_rows::<A>(random, layer, shape, 0, buffers, |map, first, rows, _| {
        rows.chunks_exact_mut(length).enumerate().try_for_each(|(row, output)| call(map, first + row, output))
    })
}

fn bounds(random: &Random) -> [i8; 2] {
    if random.one_in(2) {
        return [i8::MIN, i8::MAX];
    }
    let min = random.zero_point();
    [min, random.within(min.into(), 127) as i8]
}

/// A case of [`Arch::max_row`].
pub fn max<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let shape = shape::draw(random, Reader::Pool);
    let (bounds, window) = (bounds(random), shape.window);
    run::<A>(
        random,
        workspace,
        &shape,
        |map, y, row| max_row(&window, map, y, row, bounds),
        |map, y, row| A::max_row(&window, map, y, row, bounds),
    )
}

/// A case of [`Arch::average_row`].
pub fn average<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let shape = shape::draw(random, Reader::Pool);
    let taps = shape.window.kernel.map(i32::from).iter().product::<i32>();
    let shift = random.size(0, 8) as u32;
    let channel = Q32::channel(random, (taps * 60) << shift, (taps * 256) << shift, random.one_in(2));
    // Multipliers of pools have all their bits.
    let channel = Q32Channel { multiplier: channel.multiplier | random.within(0, 255), ..channel };
    let pool =
        AveragePool { window: shape.window, count_include_pad: random.one_in(2), shift, channel: &channel };
    run::<A>(
        random,
        workspace,
        &shape,
        |map, y, row| pool.row(map, y, row),
        |map, y, row| A::average_row(&pool, map, y, row),
    )
}

/// A case of [`Arch::average_row_tflite`].
pub fn average_tflite<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let shape = shape::draw(random, Reader::Pool);
    let (rule, window) = (TfLite::draw(random), shape.window);
    run::<A>(
        random,
        workspace,
        &shape,
        |map, y, row| average_row_tflite(&window, map, y, row, &rule),
        |map, y, row| A::average_row_tflite(&window, map, y, row, &rule),
    )
}

/// A case of [`Arch::mean_tflite`].
pub fn mean_tflite<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let Workspace { inputs: [input, ..], expected, ring, output, .. } = workspace;
    let [height, width, channels] = [random.size(1, 12), random.size(1, 12), shape::channels(random)];
    let layer = Layer::Pixels(height * width, channels);
    let wrong = |fault: Fault| (layer, [0, 0], fault);
    let values = &mut input[..height * width * channels];
    random.activations(values);
    let map = Map::whole(values, [height, width, channels], random.zero_point());
    let count = (height * width) as i32;
    let channel: TfLiteChannel = TfLite::channel(random, count * 60, count * 128, random.one_in(2));
    let rule = TfLite::draw(random);
    let expected = &mut expected[..channels];
    pool::mean_tflite(&map, expected, &rule, &channel).ok_or(wrong(Fault::Case))?;

    let ring = Ring { slots: height, offset: random.size(0, 3) }.fill(&map, 0..height, ring, random);
    let offset = random.size(0, 3);
    let mut found = Guarded::new(output, offset, channels, random).ok_or(wrong(Fault::TooLarge))?;
    A::mean_tflite(&ring, found.values(), &rule, &channel).ok_or(wrong(Fault::Refused))?;
    compare(expected, &mut found, 0).map_err(wrong)?;
    Ok(Verdict::Equal)
}
