//! Separable layers.

use ocelli_kernels::arch::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use ocelli_kernels::{Window, elementwise};
use zerocopy::IntoBytes;

use crate::convolution::{draw_channels, pack, portable_conv, portable_depthwise};
use crate::memory::Workspace;
use crate::random::Random;
use crate::rows::{Buffers, check_rows};
use crate::rule::DrawRule;
use crate::shape::{self, Reader};
use crate::{Checked, Fault, Layer, Verdict};

/// The 1x1 convolution behind a depthwise one.
pub fn pointwise(depthwise: &ConvShape, outputs: usize) -> ConvShape {
    let [height, width, channels] = depthwise.output;
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
    // A 1x1 convolution without padding does not look at the zero point.
    ConvShape { window, input: [height, width, channels], output: [height, width, outputs], zero_point: 0 }
}

/// A case of [`Arch::separable`].
pub fn separable<A: Arch, R: DrawRule>(random: &Random, workspace: &mut Workspace) -> Checked {
    let Workspace {
        packed,
        channels: [depthwise_channels, pointwise_channels],
        weights: [depthwise_weights, pointwise_weights],
        inputs: [input, middle, _],
        expected,
        table,
        ring,
        output,
        scratch,
        ..
    } = workspace;
    let outputs = shape::channels(random);
    let shape = SeparableShape { depthwise: shape::draw(random, Reader::Separable(outputs)), outputs };
    let depthwise = &shape.depthwise;
    let pointwise = pointwise(depthwise, outputs);
    let table = if random.one_in(2) {
        random.garbage(table);
        Some(&*table)
    } else {
        None
    };
    let layer = Layer::Separable(*depthwise, outputs as u16, table.is_some());
    let wrong = |fault: Fault| (layer, [0, 0], fault);

    let channels = depthwise.input[2];
    let taps = depthwise.window.kernel.map(usize::from).iter().product::<usize>();
    random.activations(&mut input[..depthwise.input.iter().product()]);
    random.weights(&mut depthwise_weights[..taps * channels]);
    random.weights(&mut pointwise_weights[..channels * outputs]);
    let first = Parameters {
        rule: R::draw(random),
        channels: draw_channels::<R>(random, depthwise_channels.as_mut_bytes(), channels, taps),
        weights: &depthwise_weights[..taps * channels],
    };
    let second = Parameters {
        rule: R::draw(random),
        channels: draw_channels::<R>(random, pointwise_channels.as_mut_bytes(), outputs, channels),
        weights: &pointwise_weights[..channels * outputs],
    };

    let write = |packed: &mut [u32]| A::pack_separable(&shape, [&first, &second], packed);
    let Some(packed) = pack(packed, A::separable_words::<R>(&shape), write).map_err(wrong)? else {
        return Ok(Verdict::Portable);
    };
    let middle = &mut middle[..depthwise.output.iter().product()];
    portable_depthwise(depthwise, &first, input, middle).ok_or(wrong(Fault::Case))?;
    if let Some(table) = table {
        elementwise::table(middle, table);
    }
    let expected = &mut expected[..pointwise.output.iter().product()];
    portable_conv(&pointwise, &second, middle, expected).ok_or(wrong(Fault::Case))?;

    let rules = SeparableRules { depthwise: first.rule, table, pointwise: second.rule };
    let buffers = Buffers { input, expected, ring, output, scratch };
    let scratch_bytes = A::separable_scratch_in_parts::<R>(&shape, random.size(1, A::PARTS));
    check_rows::<A>(random, layer, depthwise, scratch_bytes, buffers, |map, y, rows, scratch| {
        A::separable(&shape, &rules, packed, map, y, rows, scratch)
    })
}
