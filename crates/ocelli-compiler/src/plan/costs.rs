//! What it takes to need less memory: estimates, in instructions, by which the planner chooses.

use ocelli_format::Target;

use crate::quantized::{Operation, PackedConv2d, PackedKind, QuantizedGraph, QuantizedNode};

/// What a step takes, estimated from what kernels were measured to take (`cargo xtask kernels --bench`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    /// At least, with all the memory that it likes.
    pub work: u64,
    /// More where it makes rows one by one, not as many at once as the target likes.
    pub alone: u64,
    /// More for each part more that its rows are made in.
    pub part: u64,
}

/// Instructions of a call of a step.
const CALL: u64 = 400;
/// Instructions of a multiply-accumulate operation, by thousands.
const MAC: u64 = 1100;
/// Instructions that a depthwise kernel takes for each channel beside the columns that it makes.
const CHANNEL: u64 = 40;

impl Costs {
    /// Of a node.
    pub fn of(graph: &QuantizedGraph, node: &QuantizedNode) -> Self {
        let output = graph.tensor(node.output).shape;
        let work = (graph.macs(node) * MAC) / 1000 + 2 * output.len() as u64;
        let Operation::PackedConv2d(packed) = &node.operation else {
            return Self { work, alone: 0, part: 0 };
        };
        let calls = output.height as u64 / 2;
        let taps = packed.window.kernel.iter().map(|&taps| u64::from(taps)).product::<u64>();
        let channels = graph.tensor(node.inputs[0]).shape.channels as u64;
        let pixels = (output.height * output.width) as u64;
        let (alone, part) = match packed.kind {
            // A pair of pixels is two of a row; the last of an odd number is alone.
            PackedKind::Full if output.width.is_multiple_of(2) => (0, calls * CALL / 2),
            PackedKind::Full => (packed.macs / output.width.max(1) as u64, calls * CALL / 2),
            PackedKind::Depthwise | PackedKind::Separable { .. } => {
                let depthwise = pixels * channels * taps * MAC / 1000;
                (one_row(graph.target, packed, depthwise), calls * (channels * CHANNEL + CALL / 2))
            }
        };
        Self { work, alone: alone + calls * CALL, part }
    }
}

/// What a depthwise convolution takes more if it makes one row at a time: of two, kernels make both, and leave one.
fn one_row(target: Target, packed: &PackedConv2d, depthwise: u64) -> u64 {
    let reduces = packed.window.kernel == [3, 3] && packed.window.stride[0] == 2;
    if target == Target::Dsp && reduces { depthwise / 8 } else { depthwise * 5 / 4 }
}
