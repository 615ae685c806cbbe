//! The int8 network: what the quantizer and the importer of int8 models make, and what is planned and packed.

use ocelli_format::operator::separable_attention_scratch_bytes;
use ocelli_format::{Numerics, Target};

use crate::graph::{Attention, Axis, Norm, Padding, Quantization, Sequences, Shape, TensorId, Window};
use crate::pack::scratch_shape;
use crate::targets::attention_scratch;

/// An int8 network: nodes in an order in which every input is produced before it is used.
#[derive(Clone, Debug)]
pub struct QuantizedGraph {
    /// The network's name.
    pub name: String,
    /// How accumulators become int8.
    pub numerics: Numerics,
    /// Whose kernels it is for: [`Target::Portable`] until [`targets::lower`](crate::targets::lower) makes another of it.
    pub target: Target,
    /// All tensors; [`TensorId`] is an index.
    pub tensors: Vec<QuantizedTensor>,
    /// Nodes in execution order.
    pub nodes: Vec<QuantizedNode>,
    /// The tensor fed from outside.
    pub input: TensorId,
    /// The tensor handed out.
    pub output: TensorId,
}

/// An int8 tensor.
#[derive(Clone, Debug)]
pub struct QuantizedTensor {
    /// The name in the file, for messages.
    pub name: String,
    /// Height, width, channels.
    pub shape: Shape,
    /// Scale and zero point.
    pub quantization: Quantization,
    /// The values, if they never change, in HWC order.
    pub constant: Option<Vec<i8>>,
}

/// One int8 operation.
#[derive(Clone, Debug)]
pub struct QuantizedNode {
    /// The name in the file, for messages.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Operands, in the order that [`Operation`] states.
    pub inputs: Vec<TensorId>,
    /// The result.
    pub output: TensorId,
}

/// Bounds of an output, from a fused activation: `[min, max]`. Under [`Numerics::Q32`] always the whole range: there, saturation clips.
pub type Bounds = [i8; 2];

/// The whole range of int8.
pub const UNBOUNDED: Bounds = [i8::MIN, i8::MAX];

/// What a node computes. Scales and zero points are those of its tensors.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Convolution of any kind: one input.
    Conv2d(QuantizedConv2d),
    /// Convolution on the target's own kernels: one input.
    PackedConv2d(PackedConv2d),
    /// A function of one value as a table over -128..=127: one input.
    Table(Box<[i8; 256]>),
    /// Several tables, one for each channel: one input.
    ChannelTables {
        /// The tables.
        tables: Vec<[i8; 256]>,
        /// For each channel the index of its table.
        channels: Vec<u8>,
    },
    /// `x < 0 ? slope[channel] * x : x`: one input.
    PRelu {
        /// One slope a channel.
        slopes: Vec<i8>,
        /// Scale and zero point of the slopes.
        quantization: Quantization,
    },
    /// Sum of two inputs of one shape, or the second is a value a channel, or one value.
    Add(Bounds),
    /// Product of two inputs, of shapes as for `Add`.
    Mul(Bounds),
    /// Largest value under a window: one input of the output's scale and zero point.
    MaxPool(Window, Bounds),
    /// Mean under a window: one input. Under [`Numerics::TfLite`] of the output's scale and zero point, without padding.
    AveragePool {
        /// The window.
        window: Window,
        /// Whether padding counts as zeros.
        count_include_pad: bool,
        /// Bounds of the output.
        bounds: Bounds,
    },
    /// Mean over height and width: one input.
    Mean,
    /// Inputs of the output's scale and zero point side by side.
    Concat(Axis),
    /// A border around one input of the output's scale and zero point.
    Pad {
        /// Rows and columns to add.
        padding: Padding,
        /// The border's value.
        value: i8,
    },
    /// The same values under another shape: one input of the output's scale and zero point. Takes no step.
    Reshape,
    /// Axes in another order: one input of the output's scale and zero point.
    Transpose {
        /// The input axis that becomes each output axis.
        order: [usize; 3],
    },
    /// Softmax over channels: one input; the output has scale 1/256 and zero point -128.
    Softmax {
        /// Factor on the input.
        beta: f32,
    },
    /// Scaled dot-product attention: query, key and value.
    Attention(Attention),
    /// The same on unfolded maps ([`Operation::Unfold`] of the attention's patches).
    UnfoldedAttention(Attention),
    /// `value * sum(softmax(scores) * key)`: scores, key and value.
    SeparableAttention {
        /// Rows and columns of a patch.
        patch: [usize; 2],
    },
    /// LayerNorm, RMSNorm and their kin: one input.
    Norm(Norm),
    /// Product of two maps, row by row, of shapes as for [`crate::graph::Operator::MatMul`].
    MatMul {
        /// Whether the second is given transposed.
        transpose_second: bool,
    },
    /// The pixels of a map sequence by sequence: a map of the output's scale and zero point, and optionally a tensor of which the rows of a
    /// sequence are made before those of the output.
    Unfold {
        /// Rows and columns of a patch: pixels at the same place of their patches form a sequence.
        patch: [usize; 2],
    },
    /// The inverse of [`Operation::Unfold`]: one input of the output's scale and zero point.
    Fold {
        /// Rows and columns of a patch.
        patch: [usize; 2],
    },
    /// Part of one input of the output's scale and zero point.
    Slice {
        /// The axis.
        axis: Axis,
        /// The first element along it.
        start: usize,
    },
}

impl Operation {
    /// The name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv2d(conv) if conv.fully_connected => "FullyConnected",
            Self::Conv2d(conv) if conv.groups > 1 && conv.groups == conv.bias.len() => "DepthwiseConv2d",
            Self::Conv2d(conv) if conv.groups > 1 => "Conv2d in groups",
            Self::Conv2d(_) => "Conv2d",
            Self::PackedConv2d(packed) => match packed.kind {
                PackedKind::Full => "Conv2d",
                PackedKind::Depthwise => "DepthwiseConv2d",
                PackedKind::Separable { .. } => "SeparableConv2d",
            },
            Self::Table(_) | Self::ChannelTables { .. } => "Table",
            Self::PRelu { .. } => "PReLU",
            Self::Add(_) => "Add",
            Self::Mul(_) => "Mul",
            Self::MaxPool(..) => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::Mean => "Mean",
            Self::Concat(_) => "Concat",
            Self::Pad { .. } => "Pad",
            Self::Reshape => "Reshape",
            Self::Transpose { .. } => "Transpose",
            Self::Softmax { .. } => "Softmax",
            Self::Attention(_) | Self::UnfoldedAttention(_) => "Attention",
            Self::SeparableAttention { .. } => "SeparableAttention",
            Self::Norm(_) => "Norm",
            Self::MatMul { .. } => "MatMul",
            Self::Unfold { .. } => "Unfold",
            Self::Fold { .. } => "Fold",
            Self::Slice { .. } => "Slice",
        }
    }
}

/// Parameters of an int8 convolution.
#[derive(Clone, Debug)]
pub struct QuantizedConv2d {
    /// Kernel size, stride, dilation and padding.
    pub window: Window,
    /// Independent groups of channels.
    pub groups: usize,
    /// `[output channels][kernel height][kernel width][input channels / groups]`, zero point 0.
    pub weights: Vec<i8>,
    /// One scale an output channel.
    pub weight_scales: Vec<f32>,
    /// One value an output channel, in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
    /// Bounds of the output.
    pub bounds: Bounds,
    /// Whether it is rounded as TFLite rounds fully connected layers (under [`Numerics::TfLite`] alone).
    pub fully_connected: bool,
}

/// Convolutions with parameters in the layout of the network's target.
#[derive(Clone, Debug)]
pub struct PackedConv2d {
    /// Which.
    pub kind: PackedKind,
    /// Kernel size, stride, dilation and padding; of a separable layer, of its depthwise convolution.
    pub window: ocelli_kernels::Window,
    /// Bounds of the output.
    pub bounds: Bounds,
    /// Weights and parameters of channels.
    pub words: Vec<u32>,
    /// Bytes that its kernel works in, and the fewer that it takes where it makes rows in more parts.
    pub scratch_bytes: Vec<usize>,
    /// Which of the target's [kernels](ocelli_kernels::arch::KERNELS) it takes.
    pub kernels: u64,
    /// Multiply-accumulate operations.
    pub macs: u64,
}

/// Kinds of packed convolutions.
#[derive(Clone, Debug)]
pub enum PackedKind {
    /// Of one group.
    Full,
    /// Depthwise, one output channel an input channel.
    Depthwise,
    /// Depthwise, and then 1x1.
    Separable {
        /// Between the two.
        table: Option<Box<[i8; 256]>>,
        /// Bounds of the depthwise convolution's output.
        middle_bounds: Bounds,
        /// Zero point of the depthwise convolution's output.
        middle_zero_point: i8,
    },
}

impl QuantizedConv2d {
    /// Whether each group has one input channel, and there is more than one group.
    pub fn is_depthwise(&self, input_channels: usize) -> bool {
        self.groups > 1 && self.groups == input_channels
    }
}

impl QuantizedGraph {
    /// The tensor of an id.
    ///
    /// # Panics
    /// If the id is not of this graph.
    pub fn tensor(&self, id: TensorId) -> &QuantizedTensor {
        &self.tensors[id.0]
    }

    /// Bytes that a node needs to work in beside its inputs and its output, the fastest way to make its rows first; none where it needs none.
    pub fn scratch_bytes(&self, node: &QuantizedNode) -> Vec<usize> {
        let shape = |index: usize| node.inputs.get(index).map(|&id| self.tensor(id).shape);
        let tokens = |shape: Shape, patch| Sequences::of(shape, patch).map_or(0, |of| of.tokens);
        let bytes = match (&node.operation, shape(1), shape(2)) {
            (Operation::PackedConv2d(packed), ..) => {
                packed.scratch_bytes.iter().map(|&bytes| bytes.max(1)).collect()
            }
            (
                Operation::Attention(attention) | Operation::UnfoldedAttention(attention),
                Some(key),
                Some(value),
            ) => vec![attention_scratch(
                self.target,
                tokens(key, attention.key_patch),
                [key, value].map(|shape| shape.channels.checked_div(attention.heads).unwrap_or(0)),
            )],
            (Operation::SeparableAttention { patch }, Some(key), _) => {
                vec![separable_attention_scratch_bytes(tokens(key, *patch), key.channels)]
            }
            _ => Vec::new(),
        };
        bytes.into_iter().map(|bytes| scratch_shape(bytes).into_iter().product()).collect()
    }

    /// Weights of all convolutions that are not packed.
    pub fn weights(&self) -> usize {
        let weights = |node: &QuantizedNode| match &node.operation {
            Operation::Conv2d(conv) => conv.weights.len(),
            _ => 0,
        };
        self.nodes.iter().map(weights).sum()
    }

    /// Multiply-accumulate operations of a node: those of convolutions, attention and matrix products, and one an element of a product.
    pub fn macs(&self, node: &QuantizedNode) -> u64 {
        let output = self.tensor(node.output).shape;
        match &node.operation {
            Operation::Conv2d(conv) => {
                let taps = conv.weights.len().checked_div(output.channels).unwrap_or(0);
                (output.len() * taps) as u64
            }
            Operation::PackedConv2d(packed) => packed.macs,
            Operation::Mul(_) => output.len() as u64,
            Operation::Attention(attention) | Operation::UnfoldedAttention(attention) => {
                match node.inputs.as_slice() {
                    &[query, key, value] => {
                        let [query, key, value] = [query, key, value].map(|id| self.tensor(id).shape);
                        attention.macs(query, key, value)
                    }
                    _ => 0,
                }
            }
            Operation::SeparableAttention { .. } => 2 * output.len() as u64,
            Operation::MatMul { .. } => {
                let inner = node.inputs.first().map_or(0, |&input| self.tensor(input).shape.channels);
                (output.len() * inner) as u64
            }
            _ => 0,
        }
    }
}
