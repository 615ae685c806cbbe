//! The operators that a step can have, and the parameters that each keeps in the step.
//!
//! Offsets (`weights`, `channels`, `table`, `slopes`, `exponentials`, `bias`) are relative to the model's weights.

pub use ocelli_kernels::arch::KERNELS;
pub use ocelli_kernels::attention::scratch_bytes as attention_scratch_bytes;
pub use ocelli_kernels::separable::scratch_bytes as separable_attention_scratch_bytes;
use ocelli_kernels::{Q32Channel, TfLiteChannel, Window};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a step computes. Where the two requantization rules differ, each has an operator of its own, so that a firmware image links one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Operator {
    /// [`ConvRecord`].
    Conv2dQ32 = 0,
    /// [`ConvRecord`].
    Conv2dTfLite = 1,
    /// [`ConvRecord`].
    DepthwiseConv2dQ32 = 2,
    /// [`ConvRecord`].
    DepthwiseConv2dTfLite = 3,
    /// [`AddQ32Record`].
    AddQ32 = 4,
    /// [`AddTfLiteRecord`].
    AddTfLite = 5,
    /// [`MulQ32Record`].
    MulQ32 = 6,
    /// [`MulTfLiteRecord`].
    MulTfLite = 7,
    /// [`PReluQ32Record`].
    PReluQ32 = 8,
    /// [`PReluTfLiteRecord`].
    PReluTfLite = 9,
    /// [`AveragePoolQ32Record`].
    AveragePoolQ32 = 10,
    /// [`PoolRecord`].
    AveragePoolTfLite = 11,
    /// [`PoolRecord`].
    MaxPool = 12,
    /// [`TableRecord`] of 256 `u16`.
    SoftmaxQ32 = 13,
    /// [`SoftmaxTfLiteRecord`].
    SoftmaxTfLite = 14,
    /// [`TableRecord`] of 256 `i8`.
    Table = 15,
    /// [`ConcatRecord`].
    Concat = 16,
    /// [`PadRecord`].
    Pad = 17,
    /// [`TransposeRecord`].
    Transpose = 18,
    /// [`MeanTfLiteRecord`].
    MeanTfLite = 19,
    /// [`ConvRecord`].
    FullyConnectedTfLite = 20,
    /// [`AttentionQ32Record`].
    AttentionQ32 = 21,
    /// [`SeparableAttentionQ32Record`].
    SeparableAttentionQ32 = 22,
    /// [`NormQ32Record`].
    NormQ32 = 23,
    /// [`MatMulQ32Record`].
    MatMulQ32 = 24,
    /// [`SliceRecord`].
    Slice = 25,
    /// [`ChannelTablesRecord`].
    ChannelTables = 26,
    /// [`PackedConvRecord`].
    PackedConv2dQ32 = 27,
    /// [`PackedConvRecord`].
    PackedConv2dTfLite = 28,
    /// [`PackedConvRecord`].
    PackedDepthwiseConv2dQ32 = 29,
    /// [`PackedConvRecord`].
    PackedDepthwiseConv2dTfLite = 30,
    /// [`PackedSeparableConvRecord`].
    PackedSeparableConv2dQ32 = 31,
    /// [`PackedSeparableConvRecord`].
    PackedSeparableConv2dTfLite = 32,
    /// [`PatchRecord`].
    Unfold = 33,
    /// [`PatchRecord`].
    Fold = 34,
}

impl Operator {
    /// All operators, by code.
    pub const ALL: [Self; 35] = [
        Self::Conv2dQ32,
        Self::Conv2dTfLite,
        Self::DepthwiseConv2dQ32,
        Self::DepthwiseConv2dTfLite,
        Self::AddQ32,
        Self::AddTfLite,
        Self::MulQ32,
        Self::MulTfLite,
        Self::PReluQ32,
        Self::PReluTfLite,
        Self::AveragePoolQ32,
        Self::AveragePoolTfLite,
        Self::MaxPool,
        Self::SoftmaxQ32,
        Self::SoftmaxTfLite,
        Self::Table,
        Self::Concat,
        Self::Pad,
        Self::Transpose,
        Self::MeanTfLite,
        Self::FullyConnectedTfLite,
        Self::AttentionQ32,
        Self::SeparableAttentionQ32,
        Self::NormQ32,
        Self::MatMulQ32,
        Self::Slice,
        Self::ChannelTables,
        Self::PackedConv2dQ32,
        Self::PackedConv2dTfLite,
        Self::PackedDepthwiseConv2dQ32,
        Self::PackedDepthwiseConv2dTfLite,
        Self::PackedSeparableConv2dQ32,
        Self::PackedSeparableConv2dTfLite,
        Self::Unfold,
        Self::Fold,
    ];

    /// The operator of a code in a step.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Its bit in a mask of operators.
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }

    /// The name in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv2dQ32 | Self::Conv2dTfLite | Self::PackedConv2dQ32 | Self::PackedConv2dTfLite => {
                "Conv2d"
            }
            Self::DepthwiseConv2dQ32
            | Self::DepthwiseConv2dTfLite
            | Self::PackedDepthwiseConv2dQ32
            | Self::PackedDepthwiseConv2dTfLite => "DepthwiseConv2d",
            Self::PackedSeparableConv2dQ32 | Self::PackedSeparableConv2dTfLite => "SeparableConv2d",
            Self::AddQ32 | Self::AddTfLite => "Add",
            Self::MulQ32 | Self::MulTfLite => "Mul",
            Self::PReluQ32 | Self::PReluTfLite => "PReLU",
            Self::AveragePoolQ32 | Self::AveragePoolTfLite => "AveragePool",
            Self::MaxPool => "MaxPool",
            Self::SoftmaxQ32 | Self::SoftmaxTfLite => "Softmax",
            Self::Table | Self::ChannelTables => "Table",
            Self::Concat => "Concat",
            Self::Pad => "Pad",
            Self::Transpose => "Transpose",
            Self::MeanTfLite => "Mean",
            Self::FullyConnectedTfLite => "FullyConnected",
            Self::AttentionQ32 => "Attention",
            Self::SeparableAttentionQ32 => "SeparableAttention",
            Self::NormQ32 => "Norm",
            Self::MatMulQ32 => "MatMul",
            Self::Slice => "Slice",
            Self::Unfold => "Unfold",
            Self::Fold => "Fold",
        }
    }

    /// Whether its parameters are in the layout of the model's target.
    pub const fn is_packed(self) -> bool {
        let code = self as u32;
        code >= Self::PackedConv2dQ32 as u32 && code <= Self::PackedSeparableConv2dTfLite as u32
    }
}

/// The mask of every operator.
pub const OPERATORS: u64 = (1 << Operator::ALL.len()) - 1;

const _: () = assert!(OPERATORS & KERNELS == 0);

/// The mask of every operator on every [target](crate::Target) with all of its kernels, for images that run any model.
pub const ALL: u64 = OPERATORS | KERNELS | 0xff << 56;

/// The mask of the operators that are [packed](Operator::is_packed).
const PACKED: u64 = {
    let (mut mask, mut code) = (0, 0);
    while code < Operator::ALL.len() {
        if Operator::ALL[code].is_packed() {
            mask |= Operator::ALL[code].bit();
        }
        code += 1;
    }
    mask
};

/// What a header says of operators and the target's kernels; files that were written before the kernels were told apart may take all.
pub(crate) const fn mask(field: u64) -> u64 {
    let all = field & PACKED != 0 && field & KERNELS == 0;
    field & (OPERATORS | KERNELS) | if all { KERNELS } else { 0 }
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}

records! {
    /// A convolution, depthwise or not: one input.
    ConvRecord {
        /// The window.
        window: Window,
        /// Groups; of a depthwise convolution, output channels an input channel.
        groups: u16,
        /// Lower bound of the output (`TfLite` alone).
        min: i8,
        /// Upper bound of the output (`TfLite` alone).
        max: i8,
        /// `[output channels][kernel height][kernel width][input channels / groups]` int8; of a depthwise convolution
        /// `[kernel height][kernel width][output channels]`.
        weights: u32,
        /// A `Q32Channel` or `TfLiteChannel` an output channel, at a multiple of 4.
        channels: u32,
    }

    /// A convolution of one group, or a depthwise one of one output channel an input channel, whose parameters are in the layout of the
    /// model's target: one input and scratch.
    PackedConvRecord {
        /// The window.
        window: Window,
        /// Words (`u32`, at a multiple of 16) as the target's kernels take them.
        packed: u32,
        /// Their number.
        words: u32,
        /// Lower bound of the output (`TfLite` alone).
        min: i8,
        /// Upper bound of the output (`TfLite` alone).
        max: i8,
        /// Zero.
        reserved: [u8; 2],
    }

    /// A depthwise convolution, a table if there is one, and a 1x1 convolution as one layer: one input and scratch.
    PackedSeparableConvRecord {
        /// The window of the depthwise convolution.
        window: Window,
        /// Words (`u32`, at a multiple of 16) as the target's kernels take them.
        packed: u32,
        /// Their number.
        words: u32,
        /// 256 `i8` between the convolutions, or [`PackedSeparableConvRecord::NO_TABLE`].
        table: u32,
        /// Bounds of the depthwise convolution's output (`TfLite` alone).
        middle_min: i8,
        /// The upper one.
        middle_max: i8,
        /// Zero point of the depthwise convolution's output.
        middle_zero_point: i8,
        /// Lower bound of the output (`TfLite` alone).
        min: i8,
        /// Upper bound of the output (`TfLite` alone).
        max: i8,
        /// Zero.
        reserved: [u8; 3],
    }

    /// [`ocelli_kernels::elementwise::Add`]: two inputs.
    AddQ32Record {
        /// Multipliers of the operands.
        multipliers: [i32; 2],
        /// Summand.
        bias: i32,
        /// Right shift, 0 to 30.
        shift: u32,
    }

    /// [`ocelli_kernels::elementwise::AddTfLite`]: two inputs.
    AddTfLiteRecord {
        /// Multipliers and shifts of the operands.
        operands: [TfLiteChannel; 2],
        /// Multiplier and shift of the sum.
        output: TfLiteChannel,
        /// Lower bound of the output.
        min: i8,
        /// Upper bound of the output.
        max: i8,
        /// Zero.
        reserved: [u8; 2],
    }

    /// [`ocelli_kernels::elementwise::Mul`] under `Q32`: two inputs.
    MulQ32Record {
        /// Requantization of the product.
        channel: Q32Channel,
    }

    /// [`ocelli_kernels::elementwise::Mul`] under `TfLite`: two inputs.
    MulTfLiteRecord {
        /// Requantization of the product.
        channel: TfLiteChannel,
        /// Lower bound of the output.
        min: i8,
        /// Upper bound of the output.
        max: i8,
        /// Zero.
        reserved: [u8; 2],
    }

    /// [`ocelli_kernels::elementwise::PRelu`] under `Q32`: one input.
    PReluQ32Record {
        /// Requantization of the positive and of the negative half.
        halves: [Q32Channel; 2],
        /// One int8 a channel.
        slopes: u32,
        /// Zero point of the slopes.
        slope_zero_point: i32,
    }

    /// [`ocelli_kernels::elementwise::PRelu`] under `TfLite`: one input.
    PReluTfLiteRecord {
        /// Requantization of the positive and of the negative half.
        halves: [TfLiteChannel; 2],
        /// One int8 a channel.
        slopes: u32,
        /// Zero point of the slopes.
        slope_zero_point: i32,
    }

    /// [`ocelli_kernels::pool::AveragePool`]: one input.
    AveragePoolQ32Record {
        /// The window.
        window: Window,
        /// Requantization of the sum.
        channel: Q32Channel,
        /// Left shift of the sum, 0 to 15.
        shift: u8,
        /// 1 where padding counts as zeros.
        count_include_pad: u8,
        /// Zero.
        reserved: [u8; 2],
    }

    /// A maximum, or TFLite's mean: one input.
    PoolRecord {
        /// The window.
        window: Window,
        /// Lower bound of the output.
        min: i8,
        /// Upper bound of the output.
        max: i8,
        /// Zero.
        reserved: [u8; 2],
    }

    /// [`ocelli_kernels::softmax::SoftmaxTfLite`]: one input.
    SoftmaxTfLiteRecord {
        /// Multiplier of a difference.
        multiplier: i32,
        /// Its shift.
        shift: i32,
        /// The smallest difference that counts.
        smallest_difference: i32,
    }

    /// A mean over height and width as TFLite computes it: one input.
    MeanTfLiteRecord {
        /// Requantization of the sum.
        channel: TfLiteChannel,
    }

    /// A table: one input.
    TableRecord {
        /// Where it lies.
        table: u32,
    }

    /// A table for each channel: one input.
    ChannelTablesRecord {
        /// Tables of 256 `i8`.
        tables: u32,
        /// For each channel the index of its table, a `u8`.
        channels: u32,
    }

    /// Inputs side by side: one or more inputs.
    ConcatRecord {
        /// 0 height, 1 width, 2 channels.
        axis: u8,
        /// Zero.
        reserved: [u8; 3],
    }

    /// A border: one input.
    PadRecord {
        /// Rows above.
        top: u16,
        /// Columns on the left.
        left: u16,
        /// The border's value.
        value: i8,
        /// Zero.
        reserved: [u8; 3],
    }

    /// Axes in another order: one input.
    TransposeRecord {
        /// The input axis that becomes each output axis: 0 height, 1 width, 2 channels.
        order: [u8; 3],
        /// Zero.
        reserved: u8,
    }
    /// [`ocelli_kernels::attention::Attention`]: query, key, value and scratch of at least [`attention_scratch_bytes`].
    AttentionQ32Record {
        /// Rows and columns of a patch of the query's map.
        patch: [u16; 2],
        /// The same of the key's and value's maps.
        key_patch: [u16; 2],
        /// Number of heads.
        heads: u16,
        /// [`AttentionQ32Record::CAUSAL`], [`AttentionQ32Record::BIAS`] and [`AttentionQ32Record::UNFOLDED`].
        flags: u16,
        /// Multiplier of a score.
        score_multiplier: i32,
        /// Its left shift.
        score_shift: u32,
        /// 1024 `u16`, at a multiple of 2: `round(largest * exp(-i / 96))`, the last one 0.
        exponentials: u32,
        /// Multiplier of the output.
        output_multiplier: i32,
        /// Zero points of value and output, and the rounding half.
        output_bias: i32,
        /// Fraction bits of the output before it is rounded.
        output_shift: u32,
        /// `[heads][query tokens][key tokens]` of `i16`, at a multiple of 2, where flagged.
        bias: u32,
        /// Values from a head to the next in the bias, 0 where all share.
        bias_head_stride: u32,
        /// Values from a query token to the next in the bias, 0 where all share.
        bias_query_stride: u32,
    }

    /// [`ocelli_kernels::separable::SeparableAttention`]: scores, key, value and scratch of at least
    /// [`separable_attention_scratch_bytes`].
    SeparableAttentionQ32Record {
        /// Rows and columns of a patch.
        patch: [u16; 2],
        /// 256 `u16`, at a multiple of 2: `round(largest * exp(-difference))`.
        exponentials: u32,
        /// Requantization of the product of context and value.
        channel: Q32Channel,
    }

    /// [`ocelli_kernels::norm::Norm`]: one input.
    NormQ32Record {
        /// A `Q32Channel` a channel, at a multiple of 4: as `Norm` has them.
        channels: u32,
        /// Low and high half of `round(count^2 * epsilon / input scale^2)`.
        epsilon: [u32; 2],
        /// Fraction bits of the output before it is rounded.
        shift: u32,
        /// [`NormQ32Record::CENTERED`] and [`NormQ32Record::MAP`].
        flags: u32,
    }

    /// [`ocelli_kernels::matmul::MatMul`] under `Q32`: two inputs.
    MatMulQ32Record {
        /// Requantization of the sums.
        channel: Q32Channel,
        /// [`MatMulQ32Record::TRANSPOSE_SECOND`].
        flags: u32,
    }

    /// Part of the input along one axis: one input.
    SliceRecord {
        /// 0 height, 1 width, 2 channels.
        axis: u8,
        /// Zero.
        reserved: u8,
        /// The first position along the axis; the output says how many follow.
        start: u16,
    }

    /// The order of pixels. To unfold: a map, and optionally another tensor of the output's height, of which the rows of a sequence are
    /// there before a row of that sequence is made. To fold: the unfolded map.
    PatchRecord {
        /// Rows and columns of a patch: pixels at the same place of their patches form a sequence, and lie together in the unfolded map.
        patch: [u16; 2],
    }
}

impl AttentionQ32Record {
    /// Flag: token `i` of the query sees keys `0..=i` only.
    pub const CAUSAL: u16 = 1;
    /// Flag: there is a bias.
    pub const BIAS: u16 = 2;
    /// Flag: query, key, value and output are unfolded: sequences lie one below the other, as many as a patch has pixels.
    pub const UNFOLDED: u16 = 4;
}

impl PackedSeparableConvRecord {
    /// There is no table.
    pub const NO_TABLE: u32 = u32::MAX;
}

impl NormQ32Record {
    /// Flag: the mean is taken off.
    pub const CENTERED: u32 = 1;
    /// Flag: the whole map is normalized together, not each pixel.
    pub const MAP: u32 = 2;
}

impl MatMulQ32Record {
    /// Flag: sums go over the channels of both maps.
    pub const TRANSPOSE_SECOND: u32 = 1;
}
