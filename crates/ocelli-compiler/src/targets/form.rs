//! Which kernels run the steps of a packed model, told from the file.

use ocelli_format::operator::{ConvRecord, Operator};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::arch::{Arch, ConvShape};
use ocelli_kernels::{Q32, Rule, TfLite};

use super::Form;
use super::convolution::{FULLY_CONNECTED, GROUPS, NO_KERNEL, NOT_EXACT, SEVERAL_OUTPUTS};

/// Which of the kernels of its target, or of the portable ones, run a step. Why it is the portable ones follows from its shape.
pub(super) fn of_step<A: Arch>(model: &Model<'_>, step: &Step<'_>) -> Form {
    match step.operator {
        Operator::Conv2dQ32 => convolution::<A, Q32>(model, step, false),
        Operator::Conv2dTfLite => convolution::<A, TfLite>(model, step, false),
        Operator::DepthwiseConv2dQ32 => convolution::<A, Q32>(model, step, true),
        Operator::DepthwiseConv2dTfLite => convolution::<A, TfLite>(model, step, true),
        Operator::FullyConnectedTfLite => Form::Portable(FULLY_CONNECTED),
        operator if operator.is_packed() => Form::Packed,
        _ => Form::Common,
    }
}

/// The form of a convolution that is not packed.
fn convolution<A: Arch, R: Rule>(model: &Model<'_>, step: &Step<'_>, depthwise: bool) -> Form {
    let input = step.inputs.first().and_then(|&input| model.tensor(input));
    let (Some(record), Some(input), Some(output)) =
        (step.record::<ConvRecord>(), input, model.tensor(step.output))
    else {
        return Form::Portable(NO_KERNEL);
    };
    let shape = ConvShape {
        window: record.window,
        input: axes(input),
        output: axes(output),
        zero_point: input.zero_point,
    };
    Form::Portable(match (depthwise, record.groups) {
        (true, 1) if A::depthwise_words::<R>(&shape).is_none() => NO_KERNEL,
        (false, 1) if A::conv_words::<R>(&shape).is_none() => NO_KERNEL,
        (_, 1) => NOT_EXACT,
        (true, _) => SEVERAL_OUTPUTS,
        (false, _) => GROUPS,
    })
}

fn axes(tensor: &TensorInfo) -> [usize; 3] {
    [tensor.height, tensor.width, tensor.channels].map(usize::from)
}
