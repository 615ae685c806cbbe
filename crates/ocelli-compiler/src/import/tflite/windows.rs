//! Convolutions, pooling, padding and fully connected layers. TFLite's maps are `[batch, height, width, channels]`.

use super::super::builder::{Arrangement, Value};
use super::super::constant::Constant;
use super::super::error::Refusal;
use super::super::maps::window_number;
use super::Importer;
use super::node::NodeView;
use super::tensors::TensorInfo;
use crate::graph::{Bias, Conv2d, Operator, Padding, Weights, Window};

pub(super) const MAP: Arrangement<'static> = [&[1], &[2], &[3]];

/// Weights and bias as the network's arithmetic needs them.
struct Parameters {
    weights: Weights,
    bias: Bias,
}

/// Weights of `channels` outputs (axis `channel_axis` of the file's tensor): int8 where the input is int8, else real.
fn parameters(
    node: &NodeView<'_>,
    weights: &TensorInfo<'_>,
    channel_axis: usize,
    channels: usize,
    int8: bool,
) -> Result<Parameters, Refusal> {
    let bias = node.constant(2)?;
    let count = |found: usize| match found == channels {
        true => Ok(()),
        false => Err(Refusal::malformed(format!("{found} biases for {channels} outputs"))),
    };
    if int8 {
        if !weights.is_quantized() {
            return Err(Refusal::unsupported(format!("float weights '{}' on an int8 input", weights.name)));
        }
        let (values, scales) = weights.int8_weights(channels)?;
        let bias = bias.map_or_else(|| Ok(vec![0; channels]), TensorInfo::int32_data)?;
        count(bias.len())?;
        return Ok(Parameters { weights: Weights::Int8 { values, scales }, bias: Bias::Int32(bias) });
    }
    let weights = weights.real_weights(channel_axis)?.floats();
    let bias = match bias {
        Some(bias) => bias.real_weights(0)?.floats(),
        None => vec![0.0; channels],
    };
    count(bias.len())?;
    Ok(Parameters { weights: Weights::Float(weights), bias: Bias::Float(bias) })
}

impl Importer<'_> {
    fn map<'v>(&self, node: &NodeView<'v>) -> Result<(&'v Value, [usize; 3]), Refusal> {
        let value = node.value(0)?;
        match *value.layout.dims() {
            [1, height, width, channels] => Ok((value, [height, width, channels])),
            ref dims => Err(Refusal::unsupported(format!(
                "a map of shape {dims:?}, not [1, height, width, channels]"
            ))),
        }
    }

    fn window(
        &self,
        node: &NodeView<'_>,
        kernel: [usize; 2],
        dilation: [i32; 2],
        [height, width, _]: [usize; 3],
    ) -> Result<Window, Refusal> {
        let positive = |value: i32, what: &str| match window_number(i64::from(value), what)? {
            0 => Err(Refusal::malformed(format!("a {what} of 0"))),
            number => Ok(number),
        };
        let mut window = Window {
            kernel,
            stride: [
                positive(node.option_int(2, 0)?, "stride")?,
                positive(node.option_int(1, 0)?, "stride")?,
            ],
            dilation: [positive(dilation[0], "dilation")?, positive(dilation[1], "dilation")?],
            padding: Padding::default(),
        };
        if kernel.contains(&0) {
            return Err(Refusal::malformed("a kernel size of 0"));
        }
        window.padding = match node.option_byte(0)? {
            0 => window.same_padding(height, width),
            1 => Padding::default(),
            other => return Err(Refusal::malformed(format!("padding rule {other}"))),
        };
        Ok(window)
    }

    pub(super) fn conv(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let (value, map) = self.map(node)?;
        let weights = node.required_constant(1)?;
        let &[outputs, height, width, per_group] = weights.dims()?.as_slice() else {
            return Err(Refusal::malformed(format!("weights '{}' without four axes", weights.name)));
        };
        let groups = map[2].checked_div(per_group).unwrap_or(0);
        if groups == 0 || groups * per_group != map[2] || outputs % groups != 0 {
            return Err(Refusal::malformed(format!(
                "weights for {per_group} channels on an input of {}, {outputs} outputs",
                map[2]
            )));
        }
        let dilation = [node.option_int(5, 1)?, node.option_int(4, 1)?];
        let window = self.window(node, [height, width], dilation, map)?;
        let Parameters { weights, bias } = parameters(node, weights, 0, outputs, self.is_int8(value))?;
        let operator = Operator::Conv2d(Conv2d { window, groups, weights, bias, fully_connected: false });
        let result = self.builder.windowed(&node.name, value, MAP, operator, node.quantization()?)?;
        self.fused(node, result, 3)
    }

    pub(super) fn depthwise(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let (value, map) = self.map(node)?;
        let weights = node.required_constant(1)?;
        let &[1, height, width, outputs] = weights.dims()?.as_slice() else {
            return Err(Refusal::malformed(format!(
                "weights '{}' of another shape than [1, h, w, c]",
                weights.name
            )));
        };
        if outputs % map[2] != 0 {
            return Err(Refusal::malformed(format!("{outputs} filters on an input of {} channels", map[2])));
        }
        let dilation = [node.option_int(6, 1)?, node.option_int(5, 1)?];
        let window = self.window(node, [height, width], dilation, map)?;
        let Parameters { weights, bias } = parameters(node, weights, 3, outputs, self.is_int8(value))?;
        // [height][width][outputs] to [outputs][height][width].
        let weights = match weights {
            Weights::Float(values) => Weights::Float(channels_first(&values, outputs)),
            Weights::Int8 { values, scales } => {
                Weights::Int8 { values: channels_first(&values, outputs), scales }
            }
        };
        let operator =
            Operator::Conv2d(Conv2d { window, groups: map[2], weights, bias, fully_connected: false });
        let result = self.builder.windowed(&node.name, value, MAP, operator, node.quantization()?)?;
        self.fused(node, result, 4)
    }

    pub(super) fn pool(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let (value, map) = self.map(node)?;
        let size = |field: usize| window_number(i64::from(node.option_int(field, 0)?), "filter size");
        let window = self.window(node, [size(4)?, size(3)?], [1, 1], map)?;
        let operator = if node.operator == "MAX_POOL_2D" {
            Operator::MaxPool(window)
        } else {
            Operator::AveragePool { window, count_include_pad: false }
        };
        let result = self.builder.windowed(&node.name, value, MAP, operator, node.quantization()?)?;
        self.fused(node, result, 5)
    }

    pub(super) fn fully_connected(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        if node.option_byte(1)? != 0 {
            return Err(Refusal::unsupported("shuffled weights"));
        }
        let weights = node.required_constant(1)?;
        let &[outputs, inputs] = weights.dims()?.as_slice() else {
            return Err(Refusal::malformed(format!("weights '{}' without two axes", weights.name)));
        };
        let rows = value.layout.len().checked_div(inputs).unwrap_or(0);
        if outputs == 0 || rows * inputs != value.layout.len() {
            return Err(Refusal::malformed(format!(
                "weights for {inputs} inputs, an input of {:?}",
                value.layout.dims()
            )));
        }
        let Parameters { weights, bias } = parameters(node, weights, 0, outputs, self.is_int8(value))?;
        let flat = self.builder.reshaped(value, &[rows, inputs], &node.name);
        let result = self.builder.linear(&node.name, &flat, 1, weights, bias, node.quantization()?)?;
        let result = self.fused(node, result, 0)?;
        let dims = node.output.dims()?;
        if dims.iter().product::<usize>() != result.layout.len() {
            return Err(Refusal::malformed(format!("an output of {dims:?} for {rows} rows of {outputs}")));
        }
        Ok(self.builder.reshaped(&result, &dims, &node.name))
    }

    pub(super) fn pad(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let numbers = node.integers(1)?;
        if numbers.len() != 2 * rank {
            return Err(Refusal::malformed(format!("{} borders for {rank} axes", numbers.len())));
        }
        let mut borders = Vec::with_capacity(rank);
        for pair in numbers.chunks_exact(2) {
            borders.push((window_number(pair[0], "border")?, window_number(pair[1], "border")?));
        }
        let fill = match node.constant(2)? {
            Some(constant) => {
                let constant: Constant = constant.constant()?;
                constant.scalar().ok_or_else(|| Refusal::malformed("a fill of several values"))?
            }
            None => 0.0,
        };
        self.builder.pad(&node.name, value, super::arrangement(rank)?, &borders, fill, node.quantization()?)
    }
}

fn channels_first<T: Copy>(values: &[T], channels: usize) -> Vec<T> {
    (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels).copied()).collect()
}
