//! What it takes to need less memory: estimates, in instructions, by which the planner chooses.

use ocelli_format::Target;

use crate::quantized::{Operation, PackedConv2d, PackedKind, QuantizedGraph, QuantizedNode};

/// What a step takes, estimated from what kernels were measured to take (`ocelli profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    /// At least, with all the memory that it likes.
    pub work: u64,
    /// More where it makes rows one by one, not as many at once as the target likes.
    pub alone: u64,
    /// More where it works in the second, third and fourth of [`Step::scratch`](super::steps::Step::scratch), each against the one before.
    pub parts: [u64; 3],
}

/// Instructions of a call of a step: of the engine, and of kernels before they make pixels.
pub(super) const CALL: u64 = 850;
/// Of a multiply-accumulate operation, in thousandths.
const MAC: u64 = 1150;
/// Of an output of a convolution that makes a row by itself, more than of one that makes two, on DSP cores.
const ROW: u64 = 7;
/// Of a value of a norm.
const NORM: u64 = 15;
/// Of a depthwise kernel, for each channel beside the columns that it makes.
const CHANNEL: u64 = 60;
/// Of a 1x1 kernel, for each output channel beside the pixels that it makes.
const OUTPUT: u64 = 35;

impl Costs {
    /// Of a node.
    pub fn of(graph: &QuantizedGraph, node: &QuantizedNode) -> Self {
        let output = graph.tensor(node.output).shape;
        let value = match node.operation {
            Operation::Norm(_) => NORM,
            _ => 2,
        };
        let work = (graph.macs(node) * MAC) / 1000 + value * output.len() as u64;
        let Operation::PackedConv2d(packed) = &node.operation else {
            return Self { work, alone: 0, parts: [0; 3] };
        };
        let pairs = output.height.div_ceil(2) as u64;
        let channels = graph.tensor(node.inputs[0]).shape.channels as u64;
        let outputs = match packed.kind {
            PackedKind::Depthwise => 0,
            _ => output.channels as u64,
        };
        let alone = match graph.target {
            Target::Dsp => {
                // A row is made as two halves, side by side, and its outputs two by two.
                let values = (output.height * output.width) as u64 * outputs.max(channels);
                wasted(packed, output.width, (output.height * output.width) as u64 * channels)
                    + pairs * CALL
                    + ROW * values
            }
            // Of two rows, kernels make both, and leave one.
            _ => packed.macs * MAC / 1000 + pairs * CALL,
        };
        let parts = match packed.kind {
            PackedKind::Full => [pairs * (CALL + OUTPUT * outputs); 3],
            _ => [CHANNEL * channels, CHANNEL * channels + OUTPUT * outputs, 2 * CHANNEL * channels]
                .map(|part| pairs * (CALL + part)),
        };
        Self { work, alone, parts }
    }
}

/// What a layer takes more if it makes one row at a time; `values` are those of its depthwise convolution's output.
fn wasted(packed: &PackedConv2d, width: usize, values: u64) -> u64 {
    let taps = packed.window.kernel.iter().map(|&taps| u64::from(taps)).product::<u64>();
    match packed.kind {
        // Rows are widened by twos.
        PackedKind::Full if packed.window.kernel == [3, 3] && packed.window.stride == [1, 1] => {
            packed.macs / 4
        }
        PackedKind::Full if width.is_multiple_of(2) => 0,
        PackedKind::Full => packed.macs / width.max(1) as u64,
        // Of two rows, the depthwise kernel makes both, and one is left.
        PackedKind::Depthwise | PackedKind::Separable { .. } => values * taps * 3 / 2,
    }
}
