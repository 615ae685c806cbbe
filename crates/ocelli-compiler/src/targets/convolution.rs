//! Parameters of convolutions in the layout of a target's kernels.

use std::borrow::Cow;

use ocelli_kernels::arch::{Arch, ConvShape, Parameters, SeparableShape};
use ocelli_kernels::{Q32, Rule, TfLite};

use crate::graph::Shape;
use crate::pack::channels::ConvChannels;
use crate::pack::{kernel_window, taps_first};
use crate::quantized::{Operation, PackedConv2d, PackedKind, QuantizedConv2d, QuantizedGraph, QuantizedNode};

pub(super) const NO_KERNEL: &str = "no kernel for its shape";
pub(super) const NOT_EXACT: &str = "its numbers leave what the kernel computes exactly";
pub(super) const FULLY_CONNECTED: &str = "TFLite rounds fully connected layers in another way";
pub(super) const SEVERAL_OUTPUTS: &str = "several output channels an input channel";
pub(super) const GROUPS: &str = "groups of channels";

/// A convolution of one group, or a depthwise one that makes one output channel of an input channel, as kernels take them.
pub(super) struct Convolution<'g> {
    pub conv: &'g QuantizedConv2d,
    pub depthwise: bool,
    pub shape: ConvShape,
    macs: u64,
    weights: Cow<'g, [i8]>,
    channels: ConvChannels,
    /// Under `TfLite`.
    rule: TfLite,
}

impl<'g> Convolution<'g> {
    /// The convolution of a node, or why it has the portable form on every target; `None` for other nodes.
    pub fn of(graph: &QuantizedGraph, node: &'g QuantizedNode) -> Option<Result<Self, &'static str>> {
        let Operation::Conv2d(conv) = &node.operation else { return None };
        Some(Self::supported(graph, node, conv))
    }

    fn supported(
        graph: &QuantizedGraph,
        node: &QuantizedNode,
        conv: &'g QuantizedConv2d,
    ) -> Result<Self, &'static str> {
        let (input, output) = (graph.tensor(node.inputs[0]), graph.tensor(node.output));
        let depthwise = conv.is_depthwise(input.shape.channels);
        if depthwise && output.shape.channels != input.shape.channels {
            return Err(SEVERAL_OUTPUTS);
        }
        if conv.groups > 1 && !depthwise {
            return Err(GROUPS);
        }
        // What does not fit is refused, with the reason, when the portable form is written.
        let channels = ConvChannels::of(graph, node, conv).map_err(|_| NOT_EXACT)?;
        if conv.fully_connected && matches!(channels, ConvChannels::TfLite(_)) {
            return Err(FULLY_CONNECTED);
        }
        let axes = |shape: Shape| [shape.height, shape.width, shape.channels];
        let shape = ConvShape {
            window: kernel_window(&conv.window).map_err(|_| NO_KERNEL)?,
            input: axes(input.shape),
            output: axes(output.shape),
            zero_point: input.quantization.zero_point,
        };
        let [min, max] = conv.bounds.map(i32::from);
        Ok(Self {
            depthwise,
            shape,
            macs: graph.macs(node),
            weights: if depthwise {
                taps_first(&conv.weights, conv.weights.len() / output.shape.channels).into()
            } else {
                conv.weights.as_slice().into()
            },
            channels,
            rule: TfLite { zero_point: output.quantization.zero_point.into(), min, max },
            conv,
        })
    }

    /// Packs it by itself; the error says why that cannot be.
    pub fn pack<A: Arch>(&self) -> Result<PackedConv2d, &'static str> {
        let (words, scratch_bytes) = match &self.channels {
            ConvChannels::Q32(channels) => self.words::<A, Q32>(&self.parameters(Q32, channels))?,
            ConvChannels::TfLite(channels) => {
                self.words::<A, TfLite>(&self.parameters(self.rule, channels))?
            }
        };
        let kind = if self.depthwise { PackedKind::Depthwise } else { PackedKind::Full };
        Ok(PackedConv2d {
            kind,
            window: self.shape.window,
            bounds: self.conv.bounds,
            words,
            scratch_bytes,
            kernels: if self.depthwise {
                A::depthwise_kernels(&self.shape)
            } else {
                A::conv_kernels(&self.shape)
            },
            macs: self.macs,
        })
    }

    fn words<A: Arch, R: Rule>(
        &self,
        parameters: &Parameters<'_, R>,
    ) -> Result<(Vec<u32>, Vec<usize>), &'static str> {
        let shape = &self.shape;
        let (length, scratch_bytes) = if self.depthwise {
            (
                A::depthwise_words::<R>(shape),
                scratch_sizes::<A>(|parts| A::depthwise_scratch_in_parts::<R>(shape, parts)),
            )
        } else {
            (
                A::conv_words::<R>(shape),
                scratch_sizes::<A>(|parts| A::conv_scratch_in_parts::<R>(shape, parts)),
            )
        };
        let mut words = vec![0; length.ok_or(NO_KERNEL)?];
        let packed = if self.depthwise {
            A::pack_depthwise(&self.shape, parameters, &mut words)
        } else {
            A::pack_conv(&self.shape, parameters, &mut words)
        };
        packed.map(|()| (words, scratch_bytes)).ok_or(NOT_EXACT)
    }

    /// Packs a depthwise convolution and the 1x1 convolution that reads it, or a table of it, as one layer; `None` where that cannot be.
    pub fn pack_separable<A: Arch>(
        &self,
        table: Option<&[i8; 256]>,
        pointwise: &Self,
    ) -> Option<PackedConv2d> {
        let shape = SeparableShape { depthwise: self.shape, outputs: pointwise.shape.output[2] };
        let (words, scratch_bytes) = match (&self.channels, &pointwise.channels) {
            (ConvChannels::Q32(first), ConvChannels::Q32(second)) => separable_words::<A, Q32>(
                &shape,
                [&self.parameters(Q32, first), &pointwise.parameters(Q32, second)],
            )?,
            (ConvChannels::TfLite(first), ConvChannels::TfLite(second)) => separable_words::<A, TfLite>(
                &shape,
                [&self.parameters(self.rule, first), &pointwise.parameters(pointwise.rule, second)],
            )?,
            _ => return None,
        };
        let kind = PackedKind::Separable {
            table: table.copied().map(Box::new),
            middle_bounds: self.conv.bounds,
            middle_zero_point: self.rule.zero_point as i8,
        };
        Some(PackedConv2d {
            kind,
            window: self.shape.window,
            bounds: pointwise.conv.bounds,
            words,
            scratch_bytes,
            kernels: A::separable_kernels(&shape),
            macs: self.macs + pointwise.macs,
        })
    }

    fn parameters<'a, R: Rule>(&'a self, rule: R, channels: &'a [R::Channel]) -> Parameters<'a, R> {
        Parameters { rule, channels, weights: &self.weights }
    }
}

fn separable_words<A: Arch, R: Rule>(
    shape: &SeparableShape,
    parameters: [&Parameters<'_, R>; 2],
) -> Option<(Vec<u32>, Vec<usize>)> {
    let mut words = vec![0; A::separable_words::<R>(shape)?];
    A::pack_separable(shape, parameters, &mut words)?;
    Some((words, scratch_sizes::<A>(|parts| A::separable_scratch_in_parts::<R>(shape, parts))))
}

/// The bytes that a kernel works in where it makes rows as a whole, and the fewer in more parts.
fn scratch_sizes<A: Arch>(bytes: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = (1..=A::PARTS).map(bytes).collect();
    sizes.dedup_by(|next, before| next >= before);
    sizes
}
