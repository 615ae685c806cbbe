//! Convolutions at the edge of what packers take: accumulators as large as they prove that they can become.

use ocelli_kernels::Window;
use ocelli_kernels::arch::{Arch, ConvShape, Parameters};
use zerocopy::IntoBytes;

use crate::convolution::{draw_channels_for, pack, portable_conv};
use crate::memory::Workspace;
use crate::random::Random;
use crate::rows::{Buffers, check_rows};
use crate::rule::DrawRule;
use crate::{Checked, Layer, Verdict};

/// A case of [`Arch::conv`]: a 1x1 convolution whose biases are the largest that the packer takes, and whose inputs all pull into the same
/// direction as the weights of one of its channels.
pub fn edge<A: Arch, R: DrawRule>(random: &Random, workspace: &mut Workspace) -> Checked {
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
    let (height, width) = (random.size(1, 3), random.size(1, 7));
    let (depth, outputs) = (random.size(1, 20), random.size(1, 5));
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
    let shape = ConvShape {
        window,
        input: [height, width, depth],
        output: [height, width, outputs],
        zero_point: random.zero_point(),
    };
    let layer = Layer::Window(shape);

    let weights = &mut weights[..depth * outputs];
    random.weights(weights);
    for weights in weights.chunks_exact_mut(depth) {
        // The least input times a weight below zero is what bounds count on for every weight.
        if random.one_in(2) {
            weights.iter_mut().for_each(|weight| *weight = -weight.abs());
        }
    }
    for pixel in input[..height * width * depth].chunks_exact_mut(depth) {
        let channel = random.size(0, outputs - 1);
        let upwards = random.one_in(2);
        for (value, &weight) in pixel.iter_mut().zip(&weights[channel * depth..]) {
            *value = if (weight > 0) == upwards { i8::MAX } else { i8::MIN };
        }
    }

    let typical = 1 << random.size(16, 29);
    let largest = depth as i32 * 128 * 127;
    let channels = draw_channels_for::<R>(random, channels.as_mut_bytes(), outputs, [typical, largest], true);
    let rule = R::draw(random);
    let words = A::conv_words::<R>(&shape);
    let mut takes = |channels: &[R::Channel]| {
        let parameters = Parameters { rule, channels, weights };
        pack(packed, words, |packed| A::pack_conv(&shape, &parameters, packed)).map(|packed| packed.is_some())
    };
    channels.iter_mut().for_each(|channel| *channel = R::with_bias(*channel, 0));
    let first = random.size(0, outputs - 1);
    for step in 0..outputs {
        let at = (first + step) % outputs;
        let sign = random.pick(&[-1, 1]);
        // The packer takes `low` and, if accumulators still fit 32 bits, not `high`.
        let (mut low, mut high) = (0, i32::MAX - largest);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            channels[at] = R::with_bias(channels[at], sign * middle);
            if takes(channels).map_err(|fault| (layer, [0, 0], fault))? {
                low = middle;
            } else {
                high = middle;
            }
        }
        channels[at] = R::with_bias(channels[at], sign * low);
    }

    let parameters = Parameters { rule, channels, weights };
    let wrong = |fault| (layer, [0, 0], fault);
    let write = |packed: &mut [u32]| A::pack_conv(&shape, &parameters, packed);
    let Some(packed) = pack(packed, words, write).map_err(wrong)? else {
        return Ok(Verdict::Portable);
    };
    let expected = &mut expected[..height * width * outputs];
    portable_conv(&shape, &parameters, input, expected).ok_or(wrong(crate::Fault::Case))?;
    let buffers = Buffers { input, expected, ring, output, scratch };
    check_rows::<A>(random, layer, &shape, A::conv_scratch::<R>(&shape), buffers, |map, y, rows, scratch| {
        A::conv(&shape, &parameters.rule, packed, map, y, rows, scratch)
    })
}
