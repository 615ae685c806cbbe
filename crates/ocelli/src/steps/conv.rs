//! Convolutions, row by row.

use core::ops::Range;

use ocelli_format::operator::ConvRecord;
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::TfLiteFullyConnected;
use ocelli_kernels::conv::Conv2d;
use ocelli_kernels::dense::Dense;
use ocelli_kernels::depthwise::DepthwiseConv2d;

use ocelli_kernels::Window;

use super::{Bound, Rule, check_window, first_row, one_to_one, rows};
use crate::Problem;
use crate::memory::parameters;

/// A convolution with any groups.
pub(crate) struct Conv<'m, R: Rule> {
    kernel: Conv2d<'m>,
    common: Common<'m, R>,
}

/// A depthwise convolution.
pub(crate) struct Depthwise<'m, R: Rule> {
    kernel: DepthwiseConv2d<'m>,
    common: Common<'m, R>,
}

/// A layer each of whose outputs sees all values of its input.
pub(crate) struct FullyConnected<'m> {
    kernel: Dense<'m>,
    common: Common<'m, TfLiteFullyConnected>,
}

/// What all kinds have.
struct Common<'m, R: Rule> {
    input: &'m TensorInfo,
    output: &'m TensorInfo,
    rule: R,
    channels: &'m [R::Channel],
}

impl<'m, R: Rule> Common<'m, R> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<(Self, &'m ConvRecord), Problem> {
        let [input, output] = one_to_one(model, step)?;
        let record: &ConvRecord = step.record().ok_or(Problem::Parameters)?;
        check_window(&record.window, output)?;
        let rule = R::new(output, record.min, record.max);
        let channels = parameters(model, record.channels, usize::from(output.channels))?;
        Ok((Self { input, output, rule, channels }, record))
    }
}

impl<'m, R: Rule> Bound<'m> for Conv<'m, R> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let (common, record) = Common::bind(model, step)?;
        let groups = usize::from(record.groups);
        let (inputs, outputs) = (usize::from(common.input.channels), usize::from(common.output.channels));
        if groups == 0 || inputs.checked_rem(groups) != Some(0) || outputs.checked_rem(groups) != Some(0) {
            return Err(Problem::Groups);
        }
        let [height, width] = record.window.kernel.map(usize::from);
        let length = [height, width, inputs.checked_div(groups).unwrap_or(0), outputs]
            .into_iter()
            .try_fold(1usize, usize::checked_mul)
            .ok_or(Problem::TooManyWeights)?;
        let weights = parameters(model, record.weights, length)?;
        Ok(Self { kernel: Conv2d { window: record.window, groups, weights }, common })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let Common { input, output, rule, channels } = &self.common;
        let first = first_row(&self.kernel.window, range.start);
        rows(model, arena, [input, output], range, first, |input, y, output| {
            self.kernel.row(input, y, output, rule, channels)
        })
    }
}

impl<'m> Bound<'m> for FullyConnected<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let (common, record) = Common::<TfLiteFullyConnected>::bind(model, step)?;
        let Window { kernel, stride, dilation, padding } = record.window;
        if (record.groups, stride, dilation, padding) != (1, [1; 2], [1; 2], [0; 2]) {
            return Err(Problem::DenseWindow);
        }
        let (input, output) = (common.input, common.output);
        let axes = [(input.height, output.height), (input.width, output.width)];
        for ((size, outputs), kernel) in axes.into_iter().zip(kernel) {
            if u32::from(outputs) + u32::from(kernel) > u32::from(size) + 1 {
                return Err(Problem::DenseBeyond);
            }
        }
        let [height, width] = kernel.map(usize::from);
        let length = [height, width, usize::from(input.channels), usize::from(output.channels)]
            .into_iter()
            .try_fold(1usize, usize::checked_mul)
            .ok_or(Problem::TooManyWeights)?;
        Ok(Self { kernel: Dense { kernel, weights: parameters(model, record.weights, length)? }, common })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let Common { input, output, rule, channels } = &self.common;
        let first = range.start;
        rows(model, arena, [input, output], range, first, |input, y, output| {
            self.kernel.row(input, y, output, rule, channels)
        })
    }
}

impl<'m, R: Rule> Bound<'m> for Depthwise<'m, R> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let (common, record) = Common::bind(model, step)?;
        let outputs = usize::from(common.output.channels);
        let channel_multiplier = usize::from(record.groups);
        if usize::from(common.input.channels).checked_mul(channel_multiplier) != Some(outputs) {
            return Err(Problem::ChannelMultiplier);
        }
        let [height, width] = record.window.kernel.map(usize::from);
        let length = height.checked_mul(width).and_then(|taps| taps.checked_mul(outputs));
        let weights = parameters(model, record.weights, length.ok_or(Problem::TooManyWeights)?)?;
        Ok(Self { kernel: DepthwiseConv2d { window: record.window, channel_multiplier, weights }, common })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let Common { input, output, rule, channels } = &self.common;
        let first = first_row(&self.kernel.window, range.start);
        rows(model, arena, [input, output], range, first, |input, y, output| {
            self.kernel.row(input, y, output, rule, channels)
        })
    }
}
