//! From one node to one step.

use ocelli_format::operator::{
    AddQ32Record, AddTfLiteRecord, AttentionQ32Record, AveragePoolQ32Record, ChannelTablesRecord,
    ConcatRecord, ConvRecord, MeanTfLiteRecord, MulQ32Record, MulTfLiteRecord, PReluQ32Record,
    PReluTfLiteRecord, PackedConvRecord, PackedSeparableConvRecord, PadRecord, PatchRecord, PoolRecord,
    SliceRecord, SoftmaxTfLiteRecord, TableRecord, TransposeRecord,
};
use ocelli_format::{ModelWriter, Numerics, Operator};
use ocelli_kernels::TfLiteChannel;
use ocelli_kernels::elementwise::AddTfLite;

use super::attention::Exponentials;
use super::channels::{ConvChannels, out_of_range};
use super::requantize::{Q32_SCALES, q32_channel, tflite_channel};
use crate::graph::{Axis, Quantization, Window};
use crate::quantized::{Operation, PackedConv2d, PackedKind, QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// Writes the step of a node, which works in the memory of the tensor `scratch`, if any.
pub(super) fn step(
    graph: &QuantizedGraph,
    node: &QuantizedNode,
    tensors: &[Option<u16>],
    scratch: Option<u16>,
    exponentials: &mut Exponentials,
    writer: &mut ModelWriter,
) -> Result<(), String> {
    let mut inputs: Vec<u16> = node
        .inputs
        .iter()
        .map(|id| {
            tensors[id.0].ok_or_else(|| format!("its input `{}` is never made", graph.tensor(*id).name))
        })
        .collect::<Result<_, _>>()?;
    inputs.extend(scratch);
    let output = tensors[node.output.0].ok_or("its output is not in the model")?;
    let lowering = Lowering { graph, node, inputs: &inputs, output, exponentials, writer };
    lowering.write()
}

pub(super) struct Lowering<'g, 'w> {
    pub(super) graph: &'g QuantizedGraph,
    pub(super) node: &'g QuantizedNode,
    inputs: &'g [u16],
    output: u16,
    pub(super) exponentials: &'w mut Exponentials,
    pub(super) writer: &'w mut ModelWriter,
}

impl Lowering<'_, '_> {
    fn write(mut self) -> Result<(), String> {
        let q32 = self.graph.numerics == Numerics::Q32;
        match &self.node.operation {
            Operation::Conv2d(conv) => self.conv(conv),
            Operation::PackedConv2d(packed) => self.packed_conv(packed),
            Operation::Table(table) => {
                let record = TableRecord { table: self.writer.weights(table.as_ref()) };
                self.emit(Operator::Table, &record)
            }
            Operation::ChannelTables { tables, channels } => {
                let tables = self.writer.weights(tables.as_flattened());
                let channels = self.writer.weights(channels.as_slice());
                self.emit(Operator::ChannelTables, &ChannelTablesRecord { tables, channels })
            }
            Operation::PRelu { slopes, quantization } => self.prelu(slopes, *quantization),
            Operation::Add(_) if q32 => self.add_q32(),
            Operation::Add(bounds) => self.add_tflite(*bounds),
            Operation::Mul(bounds) => self.mul(*bounds),
            Operation::MaxPool(window, bounds) => self.pool(Operator::MaxPool, window, *bounds),
            Operation::AveragePool { window, count_include_pad, .. } if q32 => {
                self.average_q32(window, *count_include_pad)
            }
            Operation::AveragePool { window, count_include_pad, bounds } => {
                let padded = window.padding != crate::graph::Padding::default();
                if *count_include_pad && padded {
                    return Err("TFLite's mean never counts padding".into());
                }
                self.pool(Operator::AveragePoolTfLite, window, *bounds)
            }
            Operation::Mean if q32 => {
                let shape = self.graph.tensor(self.node.inputs[0]).shape;
                self.average_q32(
                    &Window { kernel: [shape.height, shape.width], ..Window::pointwise() },
                    false,
                )
            }
            Operation::Mean => self.mean_tflite(),
            Operation::Concat(axis) => {
                self.emit(Operator::Concat, &ConcatRecord { axis: axis_code(*axis), reserved: [0; 3] })
            }
            Operation::Pad { padding, value } => {
                let (top, left) = (narrow(padding.top)?, narrow(padding.left)?);
                self.emit(Operator::Pad, &PadRecord { top, left, value: *value, reserved: [0; 3] })
            }
            Operation::Transpose { order } => {
                let order = order.map(|axis| axis as u8);
                self.emit(Operator::Transpose, &TransposeRecord { order, reserved: 0 })
            }
            Operation::Softmax { beta } => self.softmax(*beta),
            Operation::Reshape => Ok(()),
            Operation::Attention(attention) => self.attention(attention, 0),
            Operation::UnfoldedAttention(attention) => {
                self.attention(attention, AttentionQ32Record::UNFOLDED)
            }
            Operation::Unfold { patch } => self.patch(Operator::Unfold, *patch),
            Operation::Fold { patch } => self.patch(Operator::Fold, *patch),
            Operation::SeparableAttention { patch } => self.separable_attention(*patch),
            Operation::Norm(norm) => self.norm(norm),
            Operation::MatMul { transpose_second } => self.matmul(*transpose_second),
            Operation::Slice { axis, start } => {
                let record = SliceRecord { axis: axis_code(*axis), reserved: 0, start: narrow(*start)? };
                self.emit(Operator::Slice, &record)
            }
        }
    }

    pub(super) fn emit<T>(&mut self, operator: Operator, record: &T) -> Result<(), String>
    where
        T: zerocopy::IntoBytes + zerocopy::Immutable,
    {
        self.writer.step(operator, self.inputs, self.output, record);
        Ok(())
    }

    fn patch(&mut self, operator: Operator, [rows, columns]: [usize; 2]) -> Result<(), String> {
        self.emit(operator, &PatchRecord { patch: [narrow(rows)?, narrow(columns)?] })
    }

    pub(super) fn input(&self, index: usize) -> Quantization {
        self.graph.tensor(self.node.inputs[index]).quantization
    }

    pub(super) fn result(&self) -> Quantization {
        self.graph.tensor(self.node.output).quantization
    }

    fn conv(&mut self, conv: &QuantizedConv2d) -> Result<(), String> {
        let channels = self.graph.tensor(self.node.output).shape.channels;
        let taps = conv.weights.len() / channels;
        let channels_offset = match ConvChannels::of(self.graph, self.node, conv)? {
            ConvChannels::Q32(parameters) => self.writer.weights(parameters.as_slice()),
            ConvChannels::TfLite(parameters) => self.writer.weights(parameters.as_slice()),
        };
        let depthwise = conv.is_depthwise(self.graph.tensor(self.node.inputs[0]).shape.channels);
        let tflite = self.graph.numerics == Numerics::TfLite;
        let (operator, groups, weights) = if depthwise {
            let operator =
                if tflite { Operator::DepthwiseConv2dTfLite } else { Operator::DepthwiseConv2dQ32 };
            (
                operator,
                channels / conv.groups,
                self.writer.weights(taps_first(&conv.weights, taps).as_slice()),
            )
        } else {
            let operator = match (tflite, conv.fully_connected) {
                (true, true) => Operator::FullyConnectedTfLite,
                (true, false) => Operator::Conv2dTfLite,
                (false, _) => Operator::Conv2dQ32,
            };
            (operator, conv.groups, self.writer.weights(conv.weights.as_slice()))
        };
        let record = ConvRecord {
            window: kernel_window(&conv.window)?,
            groups: narrow(groups)?,
            min: conv.bounds[0],
            max: conv.bounds[1],
            weights,
            channels: channels_offset,
        };
        self.emit(operator, &record)
    }

    fn packed_conv(&mut self, conv: &PackedConv2d) -> Result<(), String> {
        let operators = match conv.kind {
            PackedKind::Full => [Operator::PackedConv2dQ32, Operator::PackedConv2dTfLite],
            PackedKind::Depthwise => {
                [Operator::PackedDepthwiseConv2dQ32, Operator::PackedDepthwiseConv2dTfLite]
            }
            PackedKind::Separable { .. } => {
                [Operator::PackedSeparableConv2dQ32, Operator::PackedSeparableConv2dTfLite]
            }
        };
        let operator = operators[self.graph.numerics as usize];
        let ([min, max], window) = (conv.bounds, conv.window);
        let packed = self.writer.packed(&conv.words);
        self.writer.kernels(conv.kernels);
        let words = u32::try_from(conv.words.len()).map_err(|_| "it has too many parameters")?;
        match &conv.kind {
            PackedKind::Full | PackedKind::Depthwise => {
                self.emit(operator, &PackedConvRecord { window, packed, words, min, max, reserved: [0; 2] })
            }
            PackedKind::Separable { table, middle_bounds: [middle_min, middle_max], middle_zero_point } => {
                let table = table.as_ref().map(|table| self.writer.weights(table.as_ref()));
                let record = PackedSeparableConvRecord {
                    window,
                    packed,
                    words,
                    table: table.unwrap_or(PackedSeparableConvRecord::NO_TABLE),
                    middle_min: *middle_min,
                    middle_max: *middle_max,
                    middle_zero_point: *middle_zero_point,
                    min,
                    max,
                    reserved: [0; 3],
                };
                self.emit(operator, &record)
            }
        }
    }

    fn add_q32(&mut self) -> Result<(), String> {
        let (first, second, output) = (self.input(0), self.input(1), self.result());
        let ratios = [first, second].map(|operand| f64::from(operand.scale) / f64::from(output.scale));
        let largest = ratios[0].max(ratios[1]);
        // As many fraction bits as leave the larger multiplier within 16 bits; 22 keep the output's zero point within 31.
        let shift = (0..=22)
            .rev()
            .find(|&shift| (largest * f64::from(1u32 << shift)).round() < 32768.0)
            .ok_or("an operand's scale is more than 32767 times the output's")?;
        let multipliers = ratios.map(|ratio| (ratio * f64::from(1u32 << shift)).round() as i32);
        let zero_points = [first, second].map(|operand| i32::from(operand.zero_point));
        let bias = (i32::from(output.zero_point) << shift) + ((1 << shift) >> 1)
            - zero_points[0] * multipliers[0]
            - zero_points[1] * multipliers[1];
        self.emit(Operator::AddQ32, &AddQ32Record { multipliers, bias, shift })
    }

    fn add_tflite(&mut self, [min, max]: [i8; 2]) -> Result<(), String> {
        let (first, second, output) = (self.input(0), self.input(1), self.result());
        let twice_largest = 2.0 * f64::from(first.scale.max(second.scale));
        let record = AddTfLiteRecord {
            operands: [first, second]
                .map(|operand| tflite_channel(f64::from(operand.scale) / twice_largest, 0)),
            output: tflite_channel(
                twice_largest / (f64::from(1 << AddTfLite::LEFT_SHIFT) * f64::from(output.scale)),
                0,
            ),
            min,
            max,
            reserved: [0; 2],
        };
        self.emit(Operator::AddTfLite, &record)
    }

    fn mul(&mut self, [min, max]: [i8; 2]) -> Result<(), String> {
        let (first, second, output) = (self.input(0), self.input(1), self.result());
        match self.graph.numerics {
            Numerics::Q32 => {
                let scale = f64::from(first.scale) * f64::from(second.scale) / f64::from(output.scale);
                let channel =
                    q32_channel(scale, 0, output.zero_point).ok_or_else(|| out_of_range(scale, 0))?;
                self.emit(Operator::MulQ32, &MulQ32Record { channel })
            }
            Numerics::TfLite => {
                let channel = tflite_channel(f64::from(first.scale * second.scale / output.scale), 0);
                self.emit(Operator::MulTfLite, &MulTfLiteRecord { channel, min, max, reserved: [0; 2] })
            }
        }
    }

    fn prelu(&mut self, slopes: &[i8], quantization: Quantization) -> Result<(), String> {
        let (input, output) = (self.input(0), self.result());
        let slope_zero_point = i32::from(quantization.zero_point);
        let slopes = self.writer.weights(slopes);
        match self.graph.numerics {
            Numerics::Q32 => {
                let positive = f64::from(input.scale) / f64::from(output.scale);
                let negative = positive * f64::from(quantization.scale);
                let channel = |scale: f64| {
                    q32_channel(scale / 256.0, 0, output.zero_point)
                        .ok_or_else(|| out_of_range(scale / 256.0, 0))
                };
                let halves = [channel(positive)?, channel(negative)?];
                self.emit(Operator::PReluQ32, &PReluQ32Record { halves, slopes, slope_zero_point })
            }
            Numerics::TfLite => {
                let positive = input.scale / output.scale;
                let negative = input.scale * quantization.scale / output.scale;
                let halves = [positive, negative].map(|real| tflite_channel(f64::from(real), 0));
                self.emit(Operator::PReluTfLite, &PReluTfLiteRecord { halves, slopes, slope_zero_point })
            }
        }
    }

    fn pool(&mut self, operator: Operator, window: &Window, [min, max]: [i8; 2]) -> Result<(), String> {
        if self.input(0) != self.result() {
            return Err("its input and output differ in scale or zero point".into());
        }
        self.emit(operator, &PoolRecord { window: kernel_window(window)?, min, max, reserved: [0; 2] })
    }

    fn average_q32(&mut self, window: &Window, count_include_pad: bool) -> Result<(), String> {
        let (input, output) = (self.input(0), self.result());
        let taps = window.kernel[0] * window.kernel[1];
        let scale = f64::from(input.scale) / f64::from(output.scale) / taps as f64;
        // A window of one or two taps has a scale above the largest of `Q32`: the sum is raised instead.
        let shift = (0..8)
            .find(|&shift| Q32_SCALES.contains(&(scale / f64::from(1 << shift))))
            .filter(|&shift| (taps as u64 * 255) << shift < 1 << 30)
            .ok_or_else(|| format!("a mean over {taps} values, {}", out_of_range(scale, 0)))?;
        let scale = scale / f64::from(1 << shift);
        let record = AveragePoolQ32Record {
            window: kernel_window(window)?,
            channel: q32_channel(scale, 0, output.zero_point).ok_or_else(|| out_of_range(scale, 0))?,
            shift: shift as u8,
            count_include_pad: u8::from(count_include_pad),
            reserved: [0; 2],
        };
        self.emit(Operator::AveragePoolQ32, &record)
    }

    fn mean_tflite(&mut self) -> Result<(), String> {
        let (input, output) = (self.input(0), self.result());
        let count = self.graph.tensor(self.node.inputs[0]).shape.pixels() as i64;
        let real = tflite_channel(f64::from(input.scale) / f64::from(output.scale), 0);
        // TFLite's `QuantizedMeanOrSum`: the division by the count goes into the multiplier.
        let up = i64::from(count.ilog2()).min(32).min(31 + i64::from(real.shift));
        let multiplier = (i64::from(real.multiplier) << up) / count;
        let channel = TfLiteChannel {
            bias: (-count * i64::from(input.zero_point)) as i32,
            multiplier: multiplier as i32,
            shift: real.shift - up as i32,
        };
        self.emit(Operator::MeanTfLite, &MeanTfLiteRecord { channel })
    }

    fn softmax(&mut self, beta: f32) -> Result<(), String> {
        let output = self.result();
        if output != (Quantization { scale: 1.0 / 256.0, zero_point: -128 }) {
            return Err("softmax gives scale 1/256 and zero point -128, its output has others".into());
        }
        let scale = f64::from(beta) * f64::from(self.input(0).scale);
        match self.graph.numerics {
            Numerics::Q32 => {
                let exponentials: Vec<u16> =
                    (0..256).map(|d| (32767.0 * (-f64::from(d) * scale).exp()).round() as u16).collect();
                let record = TableRecord { table: self.writer.weights(exponentials.as_slice()) };
                self.emit(Operator::SoftmaxQ32, &record)
            }
            Numerics::TfLite => {
                let real = (scale * f64::from(1 << 26)).min(2_147_483_647.0);
                let TfLiteChannel { multiplier, shift, .. } = tflite_channel(real, 0);
                let radius = 31.0 * f64::from(1 << 26) / f64::from(shift).exp2();
                let smallest_difference = -(radius.floor() as i32);
                self.emit(
                    Operator::SoftmaxTfLite,
                    &SoftmaxTfLiteRecord { multiplier, shift, smallest_difference },
                )
            }
        }
    }
}

fn axis_code(axis: Axis) -> u8 {
    match axis {
        Axis::Height => 0,
        Axis::Width => 1,
        Axis::Channels => 2,
    }
}

/// `[channel][tap]` as `[tap][channel]`.
pub(crate) fn taps_first(weights: &[i8], taps: usize) -> Vec<i8> {
    let channels = weights.len() / taps;
    (0..weights.len()).map(|index| weights[(index % channels) * taps + index / channels]).collect()
}

pub(crate) fn kernel_window(window: &Window) -> Result<ocelli_kernels::Window, String> {
    let pair = |[vertical, horizontal]: [usize; 2]| Ok::<_, String>([narrow(vertical)?, narrow(horizontal)?]);
    Ok(ocelli_kernels::Window {
        kernel: pair(window.kernel)?,
        stride: pair(window.stride)?,
        dilation: pair(window.dilation)?,
        padding: pair([window.padding.top, window.padding.left])?,
    })
}

pub(super) fn narrow(value: usize) -> Result<u16, String> {
    u16::try_from(value).map_err(|_| format!("a size of {value} is above 65535"))
}
