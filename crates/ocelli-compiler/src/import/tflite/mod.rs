//! TFLite files: float32, int8 and uint8, dynamic-range and float16 weights.

mod file;
mod math;
mod node;
mod reader;
mod schema;
mod tensors;
mod windows;

use self::file::{File, FileOperator};
use self::node::{NodeView, Operand};
use self::tensors::TensorInfo;
use super::builder::{Arrangement, Builder, Value};
use super::constant::element_count;
use super::edge::Edge;
use super::error::{Problem, Refusal};
use super::layout::Layout;
use super::{ImportOptions, Parsed};
use crate::graph::Shape;

/// Whether bytes are a TFLite file, by its identifier.
pub(super) fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Operators that are read; for the list in messages.
const SUPPORTED: &str = "ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, DIV, EXPAND_DIMS, \
FULLY_CONNECTED, GELU, HARD_SWISH, LEAKY_RELU, LOGISTIC, MAXIMUM, MAX_POOL_2D, MEAN, MINIMUM, MUL, NEG, PAD, PADV2, PRELU, QUANTIZE, \
RELU, RELU6, RELU_0_TO_1, RELU_N1_TO_1, RESHAPE, SOFTMAX, SQUEEZE, SUB, TANH, TRANSPOSE";

/// Height, width and channels of a tensor in the file's own order.
fn arrangement(rank: usize) -> Result<Arrangement<'static>, Refusal> {
    match rank {
        4 => Ok(windows::MAP),
        3 => Ok([&[], &[1], &[2]]),
        2 => Ok([&[], &[], &[1]]),
        1 => Ok([&[], &[], &[0]]),
        _ => Err(Refusal::unsupported(format!("a tensor of {rank} axes"))),
    }
}

/// An axis, counted from the end where negative.
fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| Refusal::malformed(format!("axis {axis} of a tensor of {rank} axes")))
}

/// What is known of a tensor of the file.
enum Slot<'a> {
    /// Nothing has made it yet; it may be a constant.
    Open,
    Value(Value),
    /// A constant under another type: float16 weights after DEQUANTIZE.
    Alias(&'a TensorInfo<'a>),
    /// Its node could not be imported: what depends on it is not reported again.
    Failed,
}

struct Importer<'a> {
    builder: Builder,
    infos: &'a [TensorInfo<'a>],
    slots: Vec<Slot<'a>>,
}

/// Reads a file's bytes.
pub(super) fn parse(bytes: &[u8], options: &ImportOptions) -> Result<Parsed, Vec<Problem>> {
    let whole = |refusal: Refusal| vec![Problem::of_file(refusal.reason, refusal.remedy)];
    let file = File::read(bytes).map_err(whole)?;
    let importer = Importer {
        builder: Builder::default(),
        infos: &file.tensors,
        slots: file.tensors.iter().map(|_| Slot::Open).collect(),
    };
    importer.run(&file, options)
}

impl<'a> Importer<'a> {
    fn run(mut self, file: &File<'a>, options: &ImportOptions) -> Result<Parsed, Vec<Problem>> {
        // The converter's name for the main graph says nothing; the file's stem does.
        if file.name != "main" {
            self.builder.graph.name.clone_from(&file.name);
        }
        let mut inputs = Vec::new();
        for index in file.inputs.iter() {
            match self.input(file, index, options) {
                Ok(edge) => inputs.push(edge),
                Err(refusal) => self.fail(index, "input", refusal),
            }
        }
        for node in &file.operators {
            self.import(node);
        }
        let mut outputs = Vec::new();
        for index in file.outputs.iter() {
            match self.output(index) {
                Ok(Some(edge)) => outputs.push(edge),
                Ok(None) => {}
                Err(refusal) => self.fail(index, "output", refusal),
            }
        }
        let (graph, problems) = self.builder.finish();
        if problems.is_empty() {
            Ok(Parsed { graph, inputs, outputs, notes: Vec::new() })
        } else {
            Err(problems)
        }
    }

    fn info(&self, index: i32) -> Result<(usize, &'a TensorInfo<'a>), Refusal> {
        let place = usize::try_from(index).ok();
        let found = place.and_then(|place| Some((place, self.infos.get(place)?)));
        found.ok_or_else(|| Refusal::malformed(format!("tensor {index} is not in the file")))
    }

    fn fail(&mut self, index: i32, operator: &str, refusal: Refusal) {
        let name = self.info(index).map_or_else(|_| format!("tensor {index}"), |(_, info)| info.name.clone());
        if let Ok((place, info)) = self.info(index) {
            self.slots[place] = self.stand_in(info).map_or(Slot::Failed, Slot::Value);
        }
        self.builder.problems.push(Problem {
            node: Some(name),
            operator: Some(operator.to_owned()),
            reason: refusal.reason,
            remedy: refusal.remedy,
        });
    }

    /// A tensor as the file states it, in place of a result that cannot be imported, so that what reads it is checked too.
    fn stand_in(&mut self, info: &TensorInfo<'_>) -> Option<Value> {
        let dims = info.dims().ok()?;
        element_count(&dims).ok()?;
        let layout = Layout::in_file_order(&dims);
        let quantization = info.activation_quantization().ok()?;
        let tensor = self.builder.graph.add_tensor(&info.name, Shape::new(1, 1, layout.len()));
        self.builder.graph.tensors[tensor.0].quantization = quantization;
        Some(Value { tensor, layout })
    }

    fn is_int8(&self, value: &Value) -> bool {
        self.builder.graph.tensor(value.tensor).quantization.is_some()
    }

    fn input(&mut self, file: &File<'a>, index: i32, options: &ImportOptions) -> Result<Edge, Refusal> {
        let (place, info) = self.info(index)?;
        let dims = info.dims()?;
        if let Some(given) = options.input_shape.as_ref().filter(|given| **given != dims) {
            return Err(Refusal::new(
                format!("the input shape {given:?} does not fit the file's {dims:?}"),
                "convert the network again with the shape that is wanted",
            ));
        }
        element_count(&dims)?;
        // With fewer axes the first may be rows (tokens) as well as a batch, and either is computed.
        if dims.len() == 4 && dims[0] != 1 {
            return Err(Refusal::new(
                format!("a batch of {} ({dims:?})", dims[0]),
                "convert with a batch of 1: a microcontroller sees one image at a time",
            ));
        }
        let quantization = info.activation_quantization()?;
        let order = storage_order(file, index, self.infos, dims.len());
        let layout = Layout::stored(&dims, &order);
        let size = |from_end: usize| order.len().checked_sub(from_end).map_or(1, |index| dims[order[index]]);
        if dims.len() > 4 {
            return Err(Refusal::unsupported(format!("an input of {} axes", dims.len())));
        }
        let tensor = self.builder.graph.add_tensor(&info.name, Shape::new(size(3), size(2), size(1)));
        self.builder.graph.tensors[tensor.0].quantization = quantization;
        self.builder.graph.inputs.push(tensor);
        self.slots[place] = Slot::Value(Value { tensor, layout: layout.clone() });
        Ok(Edge::new(&info.name, layout, info.kind == schema::kind::UINT8))
    }

    fn output(&mut self, index: i32) -> Result<Option<Edge>, Refusal> {
        let (place, info) = self.info(index)?;
        let value = match &self.slots[place] {
            Slot::Value(value) => value.clone(),
            Slot::Failed => return Ok(None),
            Slot::Open | Slot::Alias(_) => {
                return Err(Refusal::malformed(format!("no node makes the output '{}'", info.name)));
            }
        };
        let rank = value.layout.rank();
        let stored = match arrangement(rank).and_then(|axes| self.builder.arrange(&value, axes, &info.name)) {
            Ok(stored) => stored,
            Err(_) => {
                let all: Vec<usize> = (0..rank).collect();
                let (outer, inner) = all.split_at(rank.saturating_sub(1));
                self.builder.arrange(&value, [&[], outer, inner], &info.name)?
            }
        };
        self.builder.graph.outputs.push(stored.tensor);
        Ok(Some(Edge::new(&info.name, stored.layout, info.kind == schema::kind::UINT8)))
    }

    fn import(&mut self, node: &FileOperator<'a>) {
        let first = node.outputs.get(0).unwrap_or(-1);
        let kind = match &node.kind {
            Ok(kind) if SUPPORTED.split(", ").any(|known| known == *kind) => *kind,
            Ok(kind) => {
                let remedy = format!("replace it; supported are {SUPPORTED}");
                return self.fail(first, kind, Refusal::new("the operator is not supported", remedy));
            }
            Err(custom) => {
                let refusal = Refusal::new(
                    "a custom operator cannot be read",
                    "convert with built-in operators only (no allow_custom_ops)",
                );
                return self.fail(first, custom, refusal);
            }
        };
        match self.convert(node, kind) {
            Ok(Some(slot)) => {
                if let Ok((place, _)) = self.info(first) {
                    self.slots[place] = slot;
                }
            }
            // An operand has failed: nothing more to say.
            Ok(None) => {
                if let Ok((place, _)) = self.info(first) {
                    self.slots[place] = Slot::Failed;
                }
            }
            Err(refusal) => self.fail(first, kind, refusal),
        }
    }

    fn convert(
        &mut self,
        node: &FileOperator<'a>,
        operator: &'static str,
    ) -> Result<Option<Slot<'a>>, Refusal> {
        let (Some(output), 1) = (node.outputs.get(0), node.outputs.len()) else {
            return Err(Refusal::malformed(format!("{} outputs", node.outputs.len())));
        };
        let (_, output) = self.info(output)?;
        let slots = std::mem::take(&mut self.slots);
        let result = self.convert_with(node, operator, output, &slots);
        self.slots = slots;
        result
    }

    fn convert_with(
        &mut self,
        node: &FileOperator<'a>,
        operator: &'static str,
        output: &'a TensorInfo<'a>,
        slots: &[Slot<'a>],
    ) -> Result<Option<Slot<'a>>, Refusal> {
        if operator == "DEQUANTIZE"
            && let Some(index) = node.inputs.get(0)
            && let (place, info) = self.info(index)?
            && matches!(slots[place], Slot::Open)
            && info.has_data()
        {
            return Ok(Some(Slot::Alias(info)));
        }
        let mut operands = Vec::new();
        for index in node.inputs.iter() {
            if index == -1 {
                operands.push(None);
                continue;
            }
            let (place, info) = self.info(index)?;
            operands.push(Some(match &slots[place] {
                Slot::Failed => return Ok(None),
                Slot::Value(value) => Operand::Value(info, value),
                Slot::Alias(info) => Operand::Constant(info),
                Slot::Open if info.has_data() => Operand::Constant(info),
                Slot::Open => {
                    return Err(Refusal::malformed(format!(
                        "operand '{}' is made by no earlier operator",
                        info.name
                    )));
                }
            }));
        }
        for operand in operands.iter().flatten() {
            // Behind a DEQUANTIZE a tensor is float for the file, but still int8 here.
            if let Operand::Value(info, value) = operand
                && !info.is_quantized()
                && self.is_int8(value)
                && !(operator == "QUANTIZE" && self.builder.graph.inputs.contains(&value.tensor))
            {
                return Err(Refusal::new(
                    format!("a float operator on '{}', which an int8 operator made", info.name),
                    "convert the whole network to int8, or none of it",
                ));
            }
        }
        let name = output.name.clone();
        let node = NodeView { name, operator, operands, output, options: node.options };
        let value = match operator {
            "CONV_2D" => self.conv(&node)?,
            "DEPTHWISE_CONV_2D" => self.depthwise(&node)?,
            "FULLY_CONNECTED" => self.fully_connected(&node)?,
            "AVERAGE_POOL_2D" | "MAX_POOL_2D" => self.pool(&node)?,
            "ADD" | "SUB" | "MUL" | "DIV" => self.arithmetic(&node)?,
            "MINIMUM" | "MAXIMUM" => self.bound(&node)?,
            "PRELU" => self.prelu(&node)?,
            "MEAN" => self.mean(&node)?,
            "SOFTMAX" => self.softmax(&node)?,
            "CONCATENATION" => self.concatenation(&node)?,
            "PAD" | "PADV2" => self.pad(&node)?,
            "TRANSPOSE" => self.transpose(&node)?,
            "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => self.as_stated(&node, node.value(0)?)?,
            "QUANTIZE" => self.quantize(&node)?,
            "DEQUANTIZE" => node.value(0)?.clone(),
            _ => self.activation(&node)?,
        };
        Ok(Some(Slot::Value(value)))
    }
}

/// The order in which an input's axes are stored (channels last): as the first convolution or pooling sees them, through transposes and
/// element-wise operators (networks converted from PyTorch begin with a transpose to NHWC).
fn storage_order(file: &File<'_>, input: i32, infos: &[TensorInfo<'_>], rank: usize) -> Vec<usize> {
    let file_order: Vec<usize> = (0..rank).collect();
    if rank != 4 {
        return file_order;
    }
    let (mut name, mut axes) = (input, file_order.clone());
    for _ in 0..file.operators.len() {
        let mut consumers =
            file.operators.iter().filter(|node| node.inputs.iter().any(|index| index == name));
        let (Some(node), None) = (consumers.next(), consumers.next()) else { break };
        match node.kind.as_ref().copied().unwrap_or_default() {
            "CONV_2D" | "DEPTHWISE_CONV_2D" | "AVERAGE_POOL_2D" | "MAX_POOL_2D" => return axes,
            "TRANSPOSE" => {
                let constant = node.inputs.get(1).and_then(|index| infos.get(usize::try_from(index).ok()?));
                let order = constant.and_then(|info| info.constant().ok());
                let order = order.as_ref().and_then(|constant| constant.ints().ok()).unwrap_or_default();
                let next: Option<Vec<usize>> =
                    order.iter().map(|&axis| axes.get(usize::try_from(axis).ok()?).copied()).collect();
                match next {
                    Some(next) if (0..rank).all(|axis| next.contains(&axis)) => axes = next,
                    _ => break,
                }
            }
            "QUANTIZE" | "DEQUANTIZE" | "ADD" | "SUB" | "MUL" | "DIV" | "PAD" | "PADV2" => {}
            _ => break,
        }
        let Some(next) = node.outputs.get(0) else { break };
        name = next;
    }
    file_order
}
