//! Operators that update in place.

use ocelli_kernels::arch::Arch;
use ocelli_kernels::elementwise::{self, AddTfLite, Mul};
use ocelli_kernels::norm::Norm;
use ocelli_kernels::{Q32Channel, TfLite, TfLiteChannel};
use zerocopy::{FromBytes, IntoBytes};

use crate::memory::{Guarded, Workspace};
use crate::random::Random;
use crate::rows::compare;
use crate::rule::DrawRule;
use crate::shape;
use crate::{Checked, Fault, Layer, Verdict};

/// Compares two functions that update a first operand by a second one.
fn run(
    random: &Random,
    workspace: &mut Workspace,
    layer: Layer,
    [length, other]: [usize; 2],
    portable: impl Fn(&mut [i8], &[i8]) -> Option<()>,
    call: impl Fn(&mut [i8], &[i8]) -> Option<()>,
) -> Checked {
    let Workspace { inputs: [first, second, _], expected, output, .. } = workspace;
    let wrong = |fault: Fault| (layer, [0, 0], fault);
    let (first, second) = (&mut first[..length], &mut second[random.size(0, 3)..][..other]);
    random.activations(first);
    random.activations(second);
    let expected = &mut expected[..length];
    expected.copy_from_slice(first);
    portable(expected, second).ok_or(wrong(Fault::Case))?;
    let offset = random.size(0, 3);
    let mut found = Guarded::new(output, offset, length, random).ok_or(wrong(Fault::TooLarge))?;
    found.values().copy_from_slice(first);
    call(found.values(), second).ok_or(wrong(Fault::Refused))?;
    compare(expected, &mut found, 0).map_err(wrong)?;
    Ok(Verdict::Equal)
}

/// Lengths of two operands: the second is as long, a pixel, or a value.
fn lengths(random: &Random) -> [usize; 2] {
    let channels = shape::channels(random);
    let length = channels * random.size(1, 30);
    [length, random.pick(&[length, length, length, channels, 1])]
}

/// A case of [`Arch::add`].
pub fn add<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let lengths = lengths(random);
    let shift = random.size(0, 30) as u32;
    let largest = if random.one_in(2) { 32767 } else { 1 << shift.min(14) };
    let multipliers = [random.within(0, largest), random.within(0, largest)];
    let bias = random.within(-(200 << shift.min(21)), 200 << shift.min(21));
    let bias = random.pick(&[bias, bias, bias, random.any() as i32 >> 1]);
    let add = elementwise::Add { multipliers, bias, shift };
    let layer = Layer::Elements(lengths[0], lengths[1]);
    run(random, workspace, layer, lengths, |a, b| add.apply(a, b), |a, b| A::add(&add, a, b))
}

/// A case of [`Arch::add_tflite`].
pub fn add_tflite<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let lengths = lengths(random);
    let scale = |first: i32, last: i32| TfLiteChannel {
        bias: 0,
        multiplier: random.within(1 << 30, i32::MAX),
        shift: random.within(first, last),
    };
    // The larger scale counts as a half, exactly; TFLite's output shift takes the common scale's 20 bits back.
    let half = TfLiteChannel { bias: 0, multiplier: 1 << 30, shift: 0 };
    let (other, output) = (scale(-8, -1), scale(-22, -15));
    let operands = random.pick(&[[half, other], [other, half], [half, half], [other, other]]);
    let zero_points = [i32::from(random.zero_point()), i32::from(random.zero_point())];
    let add = AddTfLite { zero_points, operands, output, rule: TfLite::draw(random) };
    let layer = Layer::Elements(lengths[0], lengths[1]);
    run(random, workspace, layer, lengths, |a, b| add.apply(a, b), |a, b| A::add_tflite(&add, a, b))
}

/// A case of [`Arch::mul`].
pub fn mul<A: Arch, R: DrawRule>(random: &Random, workspace: &mut Workspace) -> Checked {
    let lengths = lengths(random);
    let channel = R::channel(random, 5400, 255 * 255, random.one_in(2));
    let zero_points = [i32::from(random.zero_point()), i32::from(random.zero_point())];
    let mul = Mul { zero_points, rule: R::draw(random), channel: &channel };
    let layer = Layer::Elements(lengths[0], lengths[1]);
    run(random, workspace, layer, lengths, |a, b| mul.apply(a, b), |a, b| A::mul(&mul, a, b))
}

/// A case of [`Arch::table`].
pub fn table<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let mut table = [0; 256];
    random.garbage(&mut table);
    let length = random.size(1, 300);
    let layer = Layer::Elements(length, 0);
    let portable = |data: &mut [i8], _: &[i8]| {
        elementwise::table(data, &table);
        Some(())
    };
    run(random, workspace, layer, [length, 0], portable, |data, _| {
        A::table(data, &table);
        Some(())
    })
}

/// A case of [`Arch::norm_pixels`].
pub fn norm<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let count = shape::channels(random);
    let pixels = random.size(1, 12);
    let shift = random.size(1, 12) as u32;
    let mut channels = [[0u32; 2]; crate::memory::CHANNELS];
    let (channels, _) = <[Q32Channel]>::mut_from_prefix_with_elems(channels.as_mut_bytes(), count)
        .expect("there is room for all channels");
    let gamma = 40i32.saturating_mul(1 << (16 + shift).min(24));
    for channel in channels.iter_mut() {
        channel.multiplier = random.within(-gamma, gamma);
        channel.bias = random.within(-(100 << shift), 100 << shift);
        if random.one_in(16) {
            *channel = Q32Channel { multiplier: random.any() as i32, bias: random.any() as i32 >> 1 };
        }
    }
    let epsilon = random.pick(&[
        0,
        1,
        u64::from(random.any()) >> random.size(0, 31),
        u64::from(random.any()) << random.size(0, 20),
    ]);
    let norm =
        Norm { centered: !random.one_in(3), zero_point: random.zero_point(), epsilon, shift, channels };
    let layer = Layer::Pixels(pixels, count);
    run(
        random,
        workspace,
        layer,
        [count * pixels, 0],
        |data, _| norm.pixels(data),
        |data, _| A::norm_pixels(&norm, data),
    )
}
