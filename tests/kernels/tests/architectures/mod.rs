//! An architecture that keeps the portable parameters as they are, byte for byte: right by construction, and a base for wrong ones.

use ocelli_kernels::arch::{Arch, ConvShape, Parameters, SeparableRules, SeparableShape};
use ocelli_kernels::conv::Conv2d;
use ocelli_kernels::depthwise::DepthwiseConv2d;
use ocelli_kernels::{Map, Rule, Window, elementwise};
use zerocopy::{FromBytes, IntoBytes};

/// Portable parameters in packed form: the channels' parameters, then the weights.
pub struct Copied;

/// Bytes of a channel's parameters in common form.
const CHANNEL: usize = 12;

fn words(outputs: usize, weights: usize) -> usize {
    (outputs * CHANNEL + weights).div_ceil(4)
}

fn write<R: Rule>(parameters: &Parameters<'_, R>, packed: &mut [u32]) {
    let (channels, weights) = packed.as_mut_bytes().split_at_mut(parameters.channels.len() * CHANNEL);
    for (bytes, channel) in channels.chunks_mut(CHANNEL).zip(parameters.channels) {
        let channel = R::common(channel);
        let words = [channel.bias, channel.multiplier, channel.shift];
        bytes.copy_from_slice(words.as_bytes());
    }
    weights[..parameters.weights.len()].copy_from_slice(parameters.weights.as_bytes());
}

/// Channels and weights as the portable kernels take them.
fn read<R: Rule>(packed: &[u32], outputs: usize) -> (Vec<R::Channel>, Vec<i8>) {
    let (channels, weights) = packed.as_bytes().split_at(outputs * CHANNEL);
    let channel = |bytes: &[u8]| {
        let length = if R::TFLITE { CHANNEL } else { 8 };
        R::Channel::read_from_bytes(&bytes[..length]).expect("the length is a channel's")
    };
    (
        channels.chunks(CHANNEL).map(channel).collect(),
        weights.iter().map(|&byte| byte.cast_signed()).collect(),
    )
}

fn taps(shape: &ConvShape) -> usize {
    shape.window.kernel.map(usize::from).iter().product()
}

impl Arch for Copied {
    const ROWS: usize = 2;

    fn conv_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        Some(words(shape.output[2], taps(shape) * shape.input[2] * shape.output[2]))
    }

    fn pack_conv<R: Rule>(_: &ConvShape, parameters: &Parameters<'_, R>, packed: &mut [u32]) -> Option<()> {
        write(parameters, packed);
        Some(())
    }

    fn conv<R: Rule>(
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        _: &mut [i8],
    ) -> Option<()> {
        let (channels, weights) = read::<R>(packed, shape.output[2]);
        let weights = &weights[..taps(shape) * shape.input[2] * shape.output[2]];
        let kernel = Conv2d { window: shape.window, groups: 1, weights };
        let mut rows = output.chunks_exact_mut(shape.output[1] * shape.output[2]).enumerate();
        rows.try_for_each(|(row, output)| kernel.row(input, y + row, output, rule, &channels))
    }

    fn depthwise_words<R: Rule>(shape: &ConvShape) -> Option<usize> {
        Some(words(shape.output[2], taps(shape) * shape.output[2]))
    }

    fn pack_depthwise<R: Rule>(
        _: &ConvShape,
        parameters: &Parameters<'_, R>,
        packed: &mut [u32],
    ) -> Option<()> {
        write(parameters, packed);
        Some(())
    }

    fn depthwise<R: Rule>(
        shape: &ConvShape,
        rule: &R,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        _: &mut [i8],
    ) -> Option<()> {
        let (channels, weights) = read::<R>(packed, shape.output[2]);
        let weights = &weights[..taps(shape) * shape.output[2]];
        let kernel = DepthwiseConv2d { window: shape.window, channel_multiplier: 1, weights };
        let mut rows = output.chunks_exact_mut(shape.output[1] * shape.output[2]).enumerate();
        rows.try_for_each(|(row, output)| kernel.row(input, y + row, output, rule, &channels))
    }

    fn separable_words<R: Rule>(shape: &SeparableShape) -> Option<usize> {
        let channels = shape.depthwise.output[2];
        Some(Self::depthwise_words::<R>(&shape.depthwise)? + words(shape.outputs, channels * shape.outputs))
    }

    fn pack_separable<R: Rule>(
        shape: &SeparableShape,
        [first, second]: [&Parameters<'_, R>; 2],
        packed: &mut [u32],
    ) -> Option<()> {
        let (depthwise, pointwise) = packed.split_at_mut(Self::depthwise_words::<R>(&shape.depthwise)?);
        write(first, depthwise);
        write(second, pointwise);
        Some(())
    }

    fn separable_scratch<R: Rule>(shape: &SeparableShape) -> usize {
        shape.depthwise.output[1] * shape.depthwise.output[2]
    }

    fn separable<R: Rule>(
        shape: &SeparableShape,
        rules: &SeparableRules<'_, R>,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let (depthwise, pointwise) = packed.split_at(Self::depthwise_words::<R>(&shape.depthwise)?);
        let [_, width, channels] = shape.depthwise.output;
        let (parameters, weights) = read::<R>(pointwise, shape.outputs);
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
        let kernel = Conv2d { window, groups: 1, weights: &weights[..channels * shape.outputs] };
        for (row, output) in output.chunks_exact_mut(width * shape.outputs).enumerate() {
            Self::depthwise(&shape.depthwise, &rules.depthwise, depthwise, input, y + row, scratch, &mut [])?;
            if let Some(table) = rules.table {
                elementwise::table(scratch, table);
            }
            let middle = Map::whole(scratch, [1, width, channels], 0);
            kernel.row(&middle, 0, output, &rules.pointwise, &parameters)?;
        }
        Some(())
    }
}
