//! What does not fit together in a step.

use core::fmt;

macro_rules! problems {
    ($($name:ident: $text:literal,)*) => {
        /// What does not fit together in a step. Displayed as a sentence about the step, without its end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum Problem {$(
            #[doc = $text]
            $name,
        )*}

        impl fmt::Display for Problem {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The texts are linked only where they are displayed.
                formatter.write_str(match self {$(Self::$name => $text,)*})
            }
        }
    };
}

problems! {
    Parameters: "its parameters have another length than its operator takes",
    ParametersOutside: "parameters lie outside the weights",
    InputMissing: "an input is missing",
    OutputMissing: "the output is missing",
    Inputs: "it has another number of inputs than its operator takes",
    OneInput: "it takes one input",
    TwoInputs: "it takes two inputs",
    Sizes: "input and output have different sizes",
    Channels: "input and output have different channels",
    TooManyWeights: "it has too many weights",
    WindowZero: "kernel, stride and dilation must be at least 1",
    WindowFar: "the window is too far from the map",
    PoolDilation: "a pooling window has no dilation",
    PoolBeside: "a pooling window lies beside the map",
    Groups: "its groups do not divide its channels",
    ChannelMultiplier: "its output channels are no multiple of its input channels",
    DenseWindow: "a fully connected layer has no groups, stride, dilation or padding",
    DenseBeyond: "a fully connected layer sees more than its input",
    MeanOutput: "its output is not one value a channel",
    NoKernel: "its target has no kernel for its shape",
    PackedLength: "its packed parameters have another length than its target's kernel takes",
    PackedContents: "its packed parameters are not those of its shape",
    ScratchSmall: "its scratch is too small",
    ScratchPlace: "its scratch is a constant or overlaps the output",
    Rings: "it reads a whole map, of which not all rows are in memory",
    WritesOver: "it writes over what it reads",
    Whole: "its operator makes all rows at once, but it is in a stage that makes row by row",
    SecondInput: "the second input has neither the output's size, nor a value a channel, nor one value",
    SecondMatrices: "the second input has neither one matrix nor as many as the first",
    SecondRows: "the second input's rows are not the first's columns",
    ProductSize: "the output has not the size of the product",
    Axis: "its axis is none of height, width and channels",
    ConcatSizes: "an input has another size than the output",
    ConcatTotal: "the inputs do not add up to the output",
    PadSizes: "the padded input does not fit the output",
    TransposeSizes: "the output's sizes are not the input's in another order",
    TransposeOrder: "its order names an axis twice",
    SliceSizes: "the output has another size than the input",
    SliceBeyond: "the output reaches beyond the input",
    ExponentialZero: "exp(0) is 0 in its table",
    ExponentialLast: "the last entry of its table is not 0",
    AttentionInputs: "query, key and value do not fit together",
    AttentionOutput: "the output has not the query's size and the value's channels",
    AttentionSequences: "query and key have different numbers of sequences",
    AttentionHeads: "its heads do not divide its channels",
    AttentionBias: "its bias is too long",
    AttentionScores: "its scores are not one a pixel of the key",
    AttentionShapes: "key, value and output have different shapes",
    Patches: "its patches do not divide the map",
    Unfolded: "the rows of a sequence of its unfolded maps do not lie together",
    FoldRing: "it folds into a map of which not all rows are in memory",
    Unfolds: "it takes a map, and a tensor of its height to wait for",
    Sequences: "its sequences are too long",
    SequencesTable: "its sequences are too long for its table",
    NotRun: "it could not run",
    NormMap: "its map is too large to be normalized together",
}
