//! Convolutions and depthwise ones.

use ocelli_kernels::arch::{Arch, ConvShape, Parameters};
use ocelli_kernels::conv::Conv2d;
use ocelli_kernels::depthwise::DepthwiseConv2d;
use zerocopy::{FromBytes, IntoBytes};

use crate::memory::{MAP, Workspace};
use crate::random::Random;
use crate::rows::{Buffers, check_rows, whole};
use crate::rule::DrawRule;
use crate::shape::{self, Reader};
use crate::{Checked, Fault, Layer, Verdict};

/// The parameters of each output channel, drawn for that many products an output.
pub fn draw_channels<'a, R: DrawRule>(
    random: &Random,
    memory: &'a mut [u8],
    count: usize,
    products: usize,
) -> &'a [R::Channel] {
    let products = products as i32;
    // Products of arbitrary values have a standard deviation of 5400.
    let typical = (products as u32).isqrt() as i32 * 5400;
    let largest = products.saturating_mul(128 * 128);
    draw_channels_for::<R>(random, memory, count, [typical, largest], !random.one_in(4))
}

/// The parameters of each output channel, as [`DrawRule::channel`] draws them.
pub fn draw_channels_for<'a, R: DrawRule>(
    random: &Random,
    memory: &'a mut [u8],
    count: usize,
    [typical, largest]: [i32; 2],
    tame: bool,
) -> &'a mut [R::Channel] {
    let (channels, _) =
        <[R::Channel]>::mut_from_prefix_with_elems(memory, count).expect("the buffer is for the largest map");
    channels.iter_mut().for_each(|channel| *channel = R::channel(random, typical, largest, tame));
    channels
}

/// The packed parameters, or what a case ends with.
pub fn pack(
    packed: &mut [u32],
    words: Option<usize>,
    write: impl FnOnce(&mut [u32]) -> Option<()>,
) -> Result<Option<&[u32]>, Fault> {
    const GUARD: u32 = 0x5A5A_A5A5;
    let Some(words) = words else { return Ok(None) };
    if words >= packed.len() {
        return Err(Fault::TooLarge);
    }
    packed[..=words].fill(GUARD);
    let (packed, rest) = packed.split_at_mut(words);
    let written = write(packed);
    if rest[0] != GUARD { Err(Fault::PackedParameters) } else { Ok(written.map(|()| &*packed)) }
}

/// A convolution's row by the portable kernel, for all rows.
pub fn portable_conv<R: DrawRule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    input: &[i8],
    output: &mut [i8],
) -> Option<()> {
    let kernel = Conv2d { window: shape.window, groups: 1, weights: parameters.weights };
    let length = shape.output[1] * shape.output[2];
    let mut rows = output.chunks_exact_mut(length).enumerate();
    rows.try_for_each(|(y, row)| {
        kernel.row(&whole(shape, input), y, row, &parameters.rule, parameters.channels)
    })
}

/// A depthwise convolution by the portable kernel, for all rows.
pub fn portable_depthwise<R: DrawRule>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    input: &[i8],
    output: &mut [i8],
) -> Option<()> {
    let kernel = DepthwiseConv2d { window: shape.window, channel_multiplier: 1, weights: parameters.weights };
    let length = shape.output[1] * shape.output[2];
    let mut rows = output.chunks_exact_mut(length).enumerate();
    rows.try_for_each(|(y, row)| {
        kernel.row(&whole(shape, input), y, row, &parameters.rule, parameters.channels)
    })
}

/// A case of [`Arch::conv`].
pub fn conv<A: Arch, R: DrawRule>(random: &Random, workspace: &mut Workspace) -> Checked {
    let shape = shape::draw(random, Reader::Conv);
    let taps = shape.window.kernel.map(usize::from).iter().product::<usize>() * shape.input[2];
    run::<A, R>(random, workspace, shape, taps, true)
}

/// A case of [`Arch::depthwise`].
pub fn depthwise<A: Arch, R: DrawRule>(random: &Random, workspace: &mut Workspace) -> Checked {
    let shape = shape::draw(random, Reader::Depthwise);
    let taps = shape.window.kernel.map(usize::from).iter().product::<usize>();
    run::<A, R>(random, workspace, shape, taps, false)
}

fn run<A: Arch, R: DrawRule>(
    random: &Random,
    workspace: &mut Workspace,
    shape: ConvShape,
    taps: usize,
    dense: bool,
) -> Checked {
    let Workspace {
        packed,
        channels: [channels, _],
        weights: [weights, _],
        inputs: [input, ..],
        expected,
        ring,
        output,
        scratch,
        ..
    } = workspace;
    let layer = Layer::Window(shape);
    let wrong = |fault: Fault| (layer, [0, 0], fault);
    random.activations(&mut input[..MAP.min(shape.input.iter().product())]);
    let weights = &mut weights[..taps * shape.output[2]];
    random.weights(weights);
    let channels = draw_channels::<R>(random, channels.as_mut_bytes(), shape.output[2], taps);
    let parameters = Parameters { rule: R::draw(random), channels, weights };

    let words = if dense { A::conv_words::<R>(&shape) } else { A::depthwise_words::<R>(&shape) };
    let write = |packed: &mut [u32]| {
        if dense {
            A::pack_conv(&shape, &parameters, packed)
        } else {
            A::pack_depthwise(&shape, &parameters, packed)
        }
    };
    let Some(packed) = pack(packed, words, write).map_err(wrong)? else {
        return Ok(Verdict::Portable);
    };
    let expected = &mut expected[..shape.output.iter().product()];
    let portable = if dense { portable_conv } else { portable_depthwise };
    portable(&shape, &parameters, input, expected).ok_or(wrong(Fault::Case))?;

    let parts = random.size(1, A::PARTS);
    let scratch_bytes = if dense {
        A::conv_scratch_in_parts::<R>(&shape, parts)
    } else {
        A::depthwise_scratch_in_parts::<R>(&shape, parts)
    };
    let buffers = Buffers { input, expected, ring, output, scratch };
    check_rows::<A>(random, layer, &shape, scratch_bytes, buffers, |map, y, rows, scratch| {
        if dense {
            A::conv(&shape, &parameters.rule, packed, map, y, rows, scratch)
        } else {
            A::depthwise(&shape, &parameters.rule, packed, map, y, rows, scratch)
        }
    })
}
