//! The float graph that importers produce and the quantizer reads.
//!
//! Every tensor is one image of a batch of one: `height x width x channels`, channels innermost (HWC). Importers settle every
//! question of layout (NCHW, batch, flattening order), so that nothing after them has to ask.

mod activation;
mod attention;
mod check;
mod norm;
mod shape;
mod summary;

pub use activation::Activation;
pub use attention::{Attention, AttentionBias, Sequences, matmul_output};
pub use check::GraphError;
pub use norm::{Norm, NormExtent};
pub use shape::{Padding, Shape, Window};
pub use summary::NodeSummary;

/// Index of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub usize);

/// A network: nodes in an order in which every input is produced before it is used.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The name that the file gives, or its file stem.
    pub name: String,
    /// All tensors, inputs and outputs included; constants that nodes own (weights, biases) are not tensors.
    pub tensors: Vec<Tensor>,
    /// Nodes in execution order.
    pub nodes: Vec<Node>,
    /// The tensors fed from outside.
    pub inputs: Vec<TensorId>,
    /// The tensors handed out.
    pub outputs: Vec<TensorId>,
}

/// A value that flows between nodes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name in the file, for messages.
    pub name: String,
    /// Height, width, channels.
    pub shape: Shape,
    /// Scale and zero point where the file gives them (int8 TFLite, ONNX `QuantizeLinear`); `None` in float networks.
    pub quantization: Option<Quantization>,
}

/// `real = scale * (q - zero_point)`, `q` an int8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// Size of one step, above zero.
    pub scale: f32,
    /// The int8 value that stands for 0.0.
    pub zero_point: i8,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in the file (or the name of its output), for messages.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// Operands, in the order that [`Operator`] states.
    pub inputs: Vec<TensorId>,
    /// The result.
    pub output: TensorId,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Convolution of any kind: one input. A fully connected layer is a 1x1 convolution on a 1x1 map; a per-token linear layer is a
    /// 1x1 convolution; a depthwise convolution has as many groups as input channels.
    Conv2d(Conv2d),
    /// A function of one value, applied to each element: one input.
    Activation(Activation),
    /// `x < 0 ? slope[channel] * x : x`: one input.
    PRelu {
        /// One slope a channel.
        slopes: Vec<f32>,
        /// The slopes as an int8 file gives them, whose arithmetic multiplies by these integers; `None` in float networks.
        quantized: Option<QuantizedSlopes>,
    },
    /// Sum of two inputs of one shape, or the second is `1 x 1 x channels`, or `1 x 1 x 1`.
    Add,
    /// Product of two inputs of one shape, or the second is `1 x 1 x channels` (squeeze-and-excite), or `1 x 1 x 1`.
    Mul,
    /// Largest value under a window: one input. Padding never wins.
    MaxPool(Window),
    /// Mean under a window: one input.
    AveragePool {
        /// The window.
        window: Window,
        /// Whether padding counts as zeros in the mean (ONNX's `count_include_pad`).
        count_include_pad: bool,
    },
    /// Mean over height and width, `h x w x c` to `1 x 1 x c`: one input. (Global average pooling.)
    Mean,
    /// Inputs side by side along an axis: one or more inputs.
    Concat(Axis),
    /// A border of a constant: one input.
    Pad {
        /// Rows and columns to add.
        padding: Padding,
        /// The value of the border.
        value: f32,
    },
    /// The same elements in the same HWC order under another shape: one input. Costs nothing.
    Reshape,
    /// Axes in another order: one input. `order[i]` names the input axis that becomes output axis `i` (0 height, 1 width, 2 channels).
    Transpose {
        /// A permutation of 0, 1, 2.
        order: [usize; 3],
    },
    /// `exp(x) / sum(exp(x))` over channels, for each pixel: one input.
    Softmax {
        /// Factor on the input (TFLite's `beta`), 1 elsewhere.
        beta: f32,
    },
    /// Scaled dot-product attention: query, key and value.
    Attention(Attention),
    /// `value * sum(softmax(scores) * key)`, softmax and sum over the tokens of each sequence (MobileViTv2): scores of one channel, key and
    /// value of the same channels, three maps of one height and width. The output is like the value.
    SeparableAttention {
        /// Rows and columns of a patch: pixels at the same place of their patches form one sequence, as in [`Attention`].
        patch: [usize; 2],
    },
    /// LayerNorm, RMSNorm and their kin: one input.
    Norm(Norm),
    /// Product of two maps, row by row; height is a batch. First `h x m x k`, second `h x k x n`, output `h x m x n`. The second may
    /// have height 1: it is the same for all.
    MatMul {
        /// The second is `h x n x k` instead: `q k^T`.
        transpose_second: bool,
    },
    /// Part of the input: as long along an axis as the output, whole along the others. One input.
    Slice {
        /// The axis.
        axis: Axis,
        /// The first element along it.
        start: usize,
    },
    /// The same real values under the output's own scale and zero point: one input. Identity in float networks.
    Requantize,
    /// A value that never changes: no input.
    Constant(Constant),
}

/// Slopes of an int8 PReLU: `real = scale * (value - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedSlopes {
    /// One value a channel.
    pub values: Vec<i8>,
    /// Scale and zero point of all.
    pub quantization: Quantization,
}

/// Parameters of a convolution.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Kernel size, stride, dilation and padding.
    pub window: Window,
    /// Input channels and output channels are split into this many independent groups.
    pub groups: usize,
    /// `[output channels][kernel height][kernel width][input channels / groups]`.
    pub weights: Weights,
    /// One value an output channel.
    pub bias: Bias,
    /// Whether the file has it as a fully connected layer (ONNX Gemm and MatMul, TFLite FULLY_CONNECTED): TFLite rounds those once, and
    /// convolutions twice.
    pub fully_connected: bool,
}

/// Weights as the file gives them.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Real values.
    Float(Vec<f32>),
    /// Int8 values with zero point 0 and one scale an output channel.
    Int8 {
        /// The values.
        values: Vec<i8>,
        /// As many as output channels.
        scales: Vec<f32>,
    },
}

/// Bias as the file gives it.
#[derive(Clone, Debug)]
pub enum Bias {
    /// Real values, one an output channel.
    Float(Vec<f32>),
    /// In units of `input scale * weight scale`, one an output channel.
    Int32(Vec<i32>),
}

/// A constant operand.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Real values in HWC order.
    Float(Vec<f32>),
    /// Int8 values in HWC order under the tensor's quantization.
    Int8(Vec<i8>),
}

/// An axis of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Rows.
    Height,
    /// Columns.
    Width,
    /// Channels.
    Channels,
}

impl Graph {
    /// The tensor of an id.
    ///
    /// # Panics
    /// If the id is not of this graph.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// Adds a tensor without quantization.
    pub fn add_tensor(&mut self, name: impl Into<String>, shape: Shape) -> TensorId {
        self.tensors.push(Tensor { name: name.into(), shape, quantization: None });
        TensorId(self.tensors.len() - 1)
    }

    /// The node that produces a tensor; `None` for an input.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == id)
    }

    /// The nodes that read a tensor.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].inputs.contains(&id)).collect()
    }
}

impl Weights {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int8 { values, .. } => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Bias {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int32(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
