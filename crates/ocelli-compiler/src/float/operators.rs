//! A graph written as NCHW ONNX.

use rten_onnx::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

use super::protobuf::{float, float_tensor, int, int_tensor, ints, node, value_info};
use crate::graph::{
    Axis, Bias, Constant, Conv2d, Graph, Node, Operator, Padding, Shape, TensorId, Weights, Window,
};

/// The name of a graph's tensor in [`to_onnx`]'s model: `t` and its index.
pub(super) fn tensor_name(id: TensorId) -> String {
    format!("t{}", id.0)
}

/// Dimensions of a stored map as NCHW.
pub(super) fn nchw(shape: Shape) -> [usize; 4] {
    [1, shape.channels, shape.height, shape.width]
}

/// The place of an axis in NCHW.
fn nchw_axis(axis: Axis) -> usize {
    match axis {
        Axis::Channels => 1,
        Axis::Height => 2,
        Axis::Width => 3,
    }
}

/// Writes a graph as an ONNX model whose tensors are NCHW and named `t0`, `t1`, ... after their index in [`Graph::tensors`]. Int8
/// weights and constants are written as the real values that they stand for.
pub fn to_onnx(graph: &Graph) -> ModelProto {
    let mut writer = Writer { graph, proto: GraphProto::default() };
    for &input in &graph.inputs {
        writer.proto.input.push(value_info(&tensor_name(input), &nchw(graph.tensor(input).shape)));
    }
    for node in &graph.nodes {
        writer.write(node);
    }
    for &output in &graph.outputs {
        writer.proto.output.push(value_info(&tensor_name(output), &nchw(graph.tensor(output).shape)));
    }
    ModelProto {
        ir_version: Some(10),
        graph: Some(writer.proto),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(20) }],
        producer_name: Some("ocelli".to_owned()),
        ..ModelProto::default()
    }
}

pub(super) struct Writer<'a> {
    graph: &'a Graph,
    proto: GraphProto,
}

impl Writer<'_> {
    fn shape(&self, id: TensorId) -> Shape {
        self.graph.tensor(id).shape
    }

    /// Adds a node; `output` also names it.
    pub(super) fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        let node: NodeProto = node(operator, inputs, output, attributes);
        self.proto.node.push(node);
    }

    /// Adds a constant and returns its name.
    pub(super) fn constant(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        self.proto.initializer.push(float_tensor(&name, dims, values));
        name
    }

    pub(super) fn shape_constant(&mut self, name: String, values: &[usize]) -> String {
        self.proto.initializer.push(int_tensor(&name, values));
        name
    }

    fn write(&mut self, node: &Node) {
        let output = tensor_name(node.output);
        let inputs: Vec<String> = node.inputs.iter().map(|&input| tensor_name(input)).collect();
        let all: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let first = all.first().copied().unwrap_or_default();
        match &node.operator {
            Operator::Conv2d(conv) => self.convolution(conv, node, first, &output),
            Operator::Activation(activation) => self.activation(activation, first, &output),
            Operator::PRelu { slopes, .. } => {
                let slopes = self.constant(format!("{output}.slopes"), &[slopes.len(), 1, 1], slopes);
                self.push("PRelu", &[first, &slopes], &output, Vec::new());
            }
            Operator::Add => self.push("Add", &all, &output, Vec::new()),
            Operator::Mul => self.push("Mul", &all, &output, Vec::new()),
            Operator::MaxPool(window) => {
                self.push("MaxPool", &[first], &output, window_attributes(window, true))
            }
            Operator::AveragePool { window, count_include_pad } => {
                let mut attributes = window_attributes(window, true);
                attributes.push(int("count_include_pad", i64::from(*count_include_pad)));
                self.push("AveragePool", &[first], &output, attributes);
            }
            Operator::Mean => self.push("GlobalAveragePool", &[first], &output, Vec::new()),
            Operator::Concat(axis) => {
                self.push("Concat", &all, &output, vec![int("axis", nchw_axis(*axis) as i64)]);
            }
            Operator::Pad { padding, value } => {
                let Padding { top, left, bottom, right } = *padding;
                let pads =
                    self.shape_constant(format!("{output}.pads"), &[0, 0, top, left, 0, 0, bottom, right]);
                let value = self.constant(format!("{output}.value"), &[], &[*value]);
                self.push("Pad", &[first, &pads, &value], &output, Vec::new());
            }
            Operator::Reshape => self.reshape(node, first, &output),
            Operator::Transpose { order } => {
                // HWC axes stand at 2, 3, 1 of NCHW.
                let place = |axis: usize| [2, 3, 1][axis];
                let axes = [0, place(order[2]), place(order[0]), place(order[1])];
                self.push("Transpose", &[first], &output, vec![ints("perm", &axes)]);
            }
            Operator::Softmax { beta } => {
                let scaled = format!("{output}.scaled");
                let beta = self.constant(format!("{output}.beta"), &[], &[*beta]);
                self.push("Mul", &[first, &beta], &scaled, Vec::new());
                self.push("Softmax", &[&scaled], &output, vec![int("axis", 1)]);
            }
            Operator::Attention(attention) => {
                if let (&[q, k, v], &[query, key, value]) = (all.as_slice(), node.inputs.as_slice()) {
                    let shapes = [query, key, value].map(|id| self.shape(id));
                    self.attention(attention, [q, k, v], shapes, &output);
                }
            }
            Operator::SeparableAttention { patch } => {
                if let &[scores, key, value] = all.as_slice() {
                    let shape = self.shape(node.output);
                    self.separable_attention(*patch, [scores, key, value], shape, &output);
                }
            }
            Operator::Norm(norm) => self.norm(norm, first, &output),
            &Operator::MatMul { transpose_second } => {
                if let &[first, second] = all.as_slice() {
                    self.matmul(transpose_second, first, second, &output);
                }
            }
            &Operator::Slice { axis, start } => {
                let shape = self.shape(node.output);
                let length = match axis {
                    Axis::Height => shape.height,
                    Axis::Width => shape.width,
                    Axis::Channels => shape.channels,
                };
                self.slice(nchw_axis(axis), start, length, first, &output);
            }
            Operator::Requantize => self.push("Identity", &[first], &output, Vec::new()),
            Operator::Constant(constant) => {
                let shape = self.shape(node.output);
                let values = self.real_values(constant, node.output);
                let values = hwc_to_chw(&values, shape);
                self.constant(output, &nchw(shape), &values);
            }
        }
    }

    fn convolution(&mut self, conv: &Conv2d, node: &Node, input: &str, output: &str) {
        let outputs = self.shape(node.output).channels;
        let [height, width] = conv.window.kernel;
        let weights = real_weights(&conv.weights, outputs);
        let per_group = weights.len() / (outputs * height * width).max(1);
        // [outputs][height][width][inputs] to [outputs][inputs][height][width].
        let mut reordered = Vec::with_capacity(weights.len());
        for kernel in weights.chunks_exact((height * width * per_group).max(1)) {
            reordered.extend(hwc_to_chw(kernel, Shape::new(height, width, per_group)));
        }
        let bias = self.real_bias(conv, node, outputs);
        let weights =
            self.constant(format!("{output}.weights"), &[outputs, per_group, height, width], &reordered);
        let bias = self.constant(format!("{output}.bias"), &[outputs], &bias);
        let mut attributes = window_attributes(&conv.window, false);
        attributes.push(int("group", conv.groups as i64));
        self.push("Conv", &[input, &weights, &bias], output, attributes);
    }

    /// The bias as real values; int32 biases are in steps of input scale times weight scale.
    fn real_bias(&self, conv: &Conv2d, node: &Node, outputs: usize) -> Vec<f32> {
        match (&conv.bias, &conv.weights) {
            (Bias::Float(values), _) => values.clone(),
            (Bias::Int32(values), Weights::Int8 { scales, .. }) => {
                let input = node.inputs.first().and_then(|&input| self.graph.tensor(input).quantization);
                let input_scale = input.map_or(1.0, |quantization| f64::from(quantization.scale));
                let real =
                    |(&bias, &scale): (&i32, &f32)| (f64::from(bias) * input_scale * f64::from(scale)) as f32;
                values.iter().zip(scales).map(real).collect()
            }
            (Bias::Int32(_), Weights::Float(_)) => vec![0.0; outputs],
        }
    }

    fn real_values(&self, constant: &Constant, tensor: TensorId) -> Vec<f32> {
        match constant {
            Constant::Float(values) => values.clone(),
            Constant::Int8(values) => {
                let quantization = self.graph.tensor(tensor).quantization;
                let (scale, zero) =
                    quantization.map_or((1.0, 0.0), |own| (own.scale, f32::from(own.zero_point)));
                values.iter().map(|&value| scale * (f32::from(value) - zero)).collect()
            }
        }
    }

    /// A reshape keeps the HWC order, so that in NCHW the channels must go last and come back.
    fn reshape(&mut self, node: &Node, input: &str, output: &str) {
        let shape = node.inputs.first().map_or(Shape::new(1, 1, 1), |&input| self.shape(input));
        let target = self.shape(node.output);
        let (last, flat) = (format!("{output}.nhwc"), format!("{output}.reshaped"));
        self.push("Transpose", &[input], &last, vec![ints("perm", &[0, 2, 3, 1])]);
        debug_assert_eq!(shape.len(), target.len());
        let dims = [1, target.height, target.width, target.channels];
        let dims = self.shape_constant(format!("{output}.shape"), &dims);
        self.push("Reshape", &[&last, &dims], &flat, Vec::new());
        self.push("Transpose", &[&flat], output, vec![ints("perm", &[0, 3, 1, 2])]);
    }

    pub(super) fn affine(&mut self, scale: f32, offset: f32, input: &str, output: &str) {
        let scaled = format!("{output}.scaled");
        let scale = self.constant(format!("{output}.scale"), &[], &[scale]);
        let offset = self.constant(format!("{output}.offset"), &[], &[offset]);
        self.push("Mul", &[input, &scale], &scaled, Vec::new());
        self.push("Add", &[&scaled, &offset], output, Vec::new());
    }

    pub(super) fn float_attribute(name: &str, value: f32) -> AttributeProto {
        float(name, value)
    }
}

/// Weights as real values, `[outputs]...`.
fn real_weights(weights: &Weights, outputs: usize) -> Vec<f32> {
    match weights {
        Weights::Float(values) => values.clone(),
        Weights::Int8 { values, scales } => {
            let row = (values.len() / outputs.max(1)).max(1);
            let rows = values.chunks(row).zip(scales);
            rows.flat_map(|(row, &scale)| row.iter().map(move |&value| scale * f32::from(value))).collect()
        }
    }
}

fn window_attributes(window: &Window, pooling: bool) -> Vec<AttributeProto> {
    let Padding { top, left, bottom, right } = window.padding;
    let mut attributes = vec![
        ints("kernel_shape", &window.kernel),
        ints("strides", &window.stride),
        ints("pads", &[top, left, bottom, right]),
    ];
    if !pooling || window.dilation != [1, 1] {
        attributes.push(ints("dilations", &window.dilation));
    }
    attributes
}

/// Elements in HWC order in CHW order.
pub(super) fn hwc_to_chw(values: &[f32], shape: Shape) -> Vec<f32> {
    let channels = shape.channels.max(1);
    (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels).copied()).collect()
}

/// Elements in CHW order in HWC order.
pub(super) fn chw_to_hwc(values: &[f32], shape: Shape) -> Vec<f32> {
    let pixels = shape.pixels().max(1);
    (0..pixels).flat_map(|pixel| values.iter().skip(pixel).step_by(pixels).copied()).collect()
}
