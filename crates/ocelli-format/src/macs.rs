//! Counting the multiply-accumulate operations of steps.

use ocelli_kernels::Window;

use crate::operator::{AttentionQ32Record, ConvRecord, PackedConvRecord, PackedSeparableConvRecord};
use crate::{Model, Operator, Step, TensorInfo};

impl Model<'_> {
    /// Multiply-accumulate operations of a step: those of convolutions, attention and matrix products, and one an element of a product.
    /// A model's steps have [`Model::macs`] together.
    pub fn step_macs(&self, step: &Step<'_>) -> u64 {
        self.count(step).unwrap_or(0)
    }

    /// `None` where the step does not fit together.
    fn count(&self, step: &Step<'_>) -> Option<u64> {
        let output = self.tensor(step.output)?;
        let input = self.tensor(*step.inputs.first()?)?;
        let values = output.len() as u64;
        Some(match step.operator {
            Operator::Conv2dQ32 | Operator::Conv2dTfLite | Operator::FullyConnectedTfLite => {
                let record: &ConvRecord = step.record()?;
                let inputs = u64::from(input.channels).checked_div(u64::from(record.groups))?;
                values * taps(&record.window) * inputs
            }
            Operator::DepthwiseConv2dQ32 | Operator::DepthwiseConv2dTfLite => {
                values * taps(&step.record::<ConvRecord>()?.window)
            }
            Operator::PackedConv2dQ32 | Operator::PackedConv2dTfLite => {
                values * taps(&step.record::<PackedConvRecord>()?.window) * u64::from(input.channels)
            }
            Operator::PackedDepthwiseConv2dQ32 | Operator::PackedDepthwiseConv2dTfLite => {
                values * taps(&step.record::<PackedConvRecord>()?.window)
            }
            Operator::PackedSeparableConv2dQ32 | Operator::PackedSeparableConv2dTfLite => {
                let record: &PackedSeparableConvRecord = step.record()?;
                let middle = pixels(output) * u64::from(input.channels);
                middle * taps(&record.window) + middle * u64::from(output.channels)
            }
            Operator::MulQ32 | Operator::MulTfLite => values,
            Operator::AttentionQ32 => {
                let record: &AttentionQ32Record = step.record()?;
                let [_, key, value] = *step.inputs.first_chunk()?;
                let [key, value] = [self.tensor(key)?, self.tensor(value)?];
                let [rows, columns] = record.key_patch.map(u64::from);
                let keys = pixels(key).checked_div(rows * columns)?;
                pixels(input) * keys * (u64::from(input.channels) + u64::from(value.channels))
            }
            Operator::SeparableAttentionQ32 => 2 * values,
            Operator::MatMulQ32 => values * u64::from(input.channels),
            _ => 0,
        })
    }
}

fn taps(window: &Window) -> u64 {
    let [height, width] = window.kernel.map(u64::from);
    height * width
}

fn pixels(tensor: &TensorInfo) -> u64 {
    u64::from(tensor.height) * u64::from(tensor.width)
}
