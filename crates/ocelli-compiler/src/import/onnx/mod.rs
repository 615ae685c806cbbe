//! ONNX files, operator sets 11 to 21, as PyTorch's exporters and tf2onnx write them.

mod attention;
mod deferred;
mod edges;
mod einsum;
mod fold;
mod math;
mod node;
mod norms;
mod quantization;
mod rows;
mod separable;
mod shapes;
mod slices;
mod tensor;
mod windows;
mod wire;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto};

use self::deferred::{Deferred, Stop};
use self::node::{Entry, NodeView, display_name};
use super::builder::{Arrangement, Builder, Value};
use super::edge::Edge;
use super::error::{Problem, Refusal};
use super::layout::Layout;
use super::{ImportOptions, Parsed, missed};
use crate::graph::{Shape, TensorId};

/// Operator sets that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=21;

/// The ways in which a tensor of the file may be stored as height, width and channels, the likeliest first.
fn arrangements(rank: usize) -> Vec<Arrangement<'static>> {
    match rank {
        4 => vec![[&[2], &[3], &[1]], [&[1], &[2], &[3]]],
        3 => vec![[&[], &[2], &[1]], [&[], &[1], &[2]], [&[0], &[1], &[2]]],
        2 => vec![[&[], &[], &[1]], [&[], &[0], &[1]]],
        1 => vec![[&[], &[], &[0]]],
        _ => Vec::new(),
    }
}

struct Importer<'a> {
    graph: &'a GraphProto,
    builder: Builder,
    /// Nodes whose meaning depends on what reads them, by the tensor that stands for their result.
    deferred: HashMap<TensorId, Deferred<'a>>,
    /// Why a softmax is not that of an attention, by its node's name.
    missed: HashMap<String, String>,
    entries: HashMap<String, Entry>,
    /// Results of nodes that could not be imported: what depends on them is not reported again.
    failed: HashSet<String>,
    folder: &'a Path,
    opset: i64,
}

/// Checks that bytes are a whole protobuf message, as far as an ONNX file is decoded.
pub(super) fn check_structure(bytes: &[u8]) -> Result<(), Problem> {
    wire::check(bytes).map_err(|refusal| Problem::of_file(refusal.reason, refusal.remedy))
}

/// Reads a file's bytes; `folder` is where external data lies.
pub(super) fn parse(bytes: &[u8], folder: &Path, options: &ImportOptions) -> Result<Parsed, Vec<Problem>> {
    let whole = |refusal: Refusal| vec![Problem::of_file(refusal.reason, refusal.remedy)];
    check_structure(bytes).map_err(|problem| vec![problem])?;
    let model = ModelProto::parse_buf(bytes)
        .map_err(|error| whole(Refusal::malformed(format!("not a valid ONNX file ({error})"))))?;
    let graph = model.graph.as_ref().filter(|graph| !graph.node.is_empty() && !graph.output.is_empty());
    let graph = graph
        .ok_or_else(|| whole(Refusal::malformed("the file holds no ONNX graph with nodes and an output")))?;
    let default_domain = |domain: Option<&str>| matches!(domain.unwrap_or_default(), "" | "ai.onnx");
    let opset = model.opset_import.iter().find(|opset| default_domain(opset.domain.as_deref()));
    let opset = opset.and_then(|opset| opset.version);
    match opset {
        Some(version) if OPSETS.contains(&version) => {}
        Some(version) => {
            let reason = format!("opset {version} is outside {} to {}", OPSETS.start(), OPSETS.end());
            return Err(whole(Refusal::new(reason, "export with opset_version=17")));
        }
        None => return Err(whole(Refusal::malformed("the file names no operator set (opset)"))),
    }
    let mut importer = Importer {
        graph,
        builder: Builder::default(),
        deferred: HashMap::new(),
        missed: HashMap::new(),
        entries: HashMap::new(),
        failed: HashSet::new(),
        folder,
        opset: opset.unwrap_or_default(),
    };
    importer.run(graph, options)
}

impl<'a> Importer<'a> {
    fn run(&mut self, graph: &'a GraphProto, options: &ImportOptions) -> Result<Parsed, Vec<Problem>> {
        for initializer in &graph.initializer {
            let name = initializer.name.clone().unwrap_or_default();
            match tensor::decode(initializer, self.folder) {
                Ok(constant) => {
                    self.entries.insert(name, Entry::Constant(Rc::new(constant)));
                }
                Err(refusal) => {
                    self.fail(Some(&name), Some("initializer"), refusal, std::slice::from_ref(&name))
                }
            }
        }
        let mut inputs = Vec::new();
        for info in &graph.input {
            let name = info.name.clone().unwrap_or_default();
            // Before version 4 of the format initializers were listed as inputs too.
            if self.entries.contains_key(&name) {
                continue;
            }
            let is_map = graph.node.iter().any(|node| node.input.first() == Some(&name));
            match edges::input_dims(info, is_map, options) {
                Ok(dims) => inputs.push(self.input(graph, &name, dims)),
                Err(refusal) => self.fail(Some(&name), Some("input"), refusal, std::slice::from_ref(&name)),
            }
        }
        for node in &graph.node {
            self.import(node);
        }
        let mut outputs = Vec::new();
        for info in &graph.output {
            let name = info.name.clone().unwrap_or_default();
            match self.output(&name) {
                Ok(Some(edge)) => outputs.push(edge),
                Ok(None) | Err(Stop::Reported) => {}
                Err(Stop::Refused(refusal)) => self.fail(Some(&name), Some("output"), refusal, &[]),
            }
        }
        let (graph, problems) = std::mem::take(&mut self.builder).finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        let notes = missed::notes(&graph, &self.missed);
        Ok(Parsed { graph, inputs, outputs, notes })
    }

    fn fail(&mut self, node: Option<&str>, operator: Option<&str>, refusal: Refusal, results: &[String]) {
        self.builder.problems.push(Problem {
            node: node.map(str::to_owned),
            operator: operator.map(str::to_owned),
            reason: refusal.reason,
            remedy: refusal.remedy,
        });
        self.failed.extend(results.iter().cloned());
    }

    fn input(&mut self, graph: &GraphProto, name: &str, dims: Vec<usize>) -> Edge {
        let order = edges::storage_order(graph, name, &dims);
        let layout = Layout::stored(&dims, &order);
        let size = |from_end: usize| order.len().checked_sub(from_end).map_or(1, |index| dims[order[index]]);
        let shape = match size(3).checked_mul(size(2) * size(1)) == Some(layout.len()) {
            true => Shape::new(size(3), size(2), size(1)),
            false => Shape::new(1, 1, layout.len()),
        };
        let tensor = self.builder.graph.add_tensor(name, shape);
        self.builder.graph.inputs.push(tensor);
        self.entries.insert(name.to_owned(), Entry::Value(Value { tensor, layout: layout.clone() }));
        Edge::new(name, layout, false)
    }

    fn output(&mut self, name: &str) -> Result<Option<Edge>, Stop> {
        let value = match self.entries.get(name) {
            Some(Entry::Value(value)) => value.clone(),
            Some(Entry::Constant(_)) => return Err(Refusal::unsupported("an output that is constant").into()),
            None if self.failed.contains(name) => return Ok(None),
            None => return Err(Refusal::malformed("no node makes this output").into()),
        };
        let value = self.plain(&value)?;
        let rank = value.layout.rank();
        let all: Vec<usize> = (0..rank).collect();
        let unmoved = |axes: &Arrangement<'_>| {
            let factors = value.layout.factor_sizes().len();
            axes.iter().flat_map(|group| value.layout.factors_of(group)).eq(0..factors)
        };
        let candidates = arrangements(rank);
        let stored = match candidates.iter().find(|axes| unmoved(axes)) {
            Some(axes) => self.builder.arrange(&value, *axes, name)?,
            None => self.builder.arrange(&value, [&[], &[], &all], name)?,
        };
        self.builder.graph.outputs.push(stored.tensor);
        Ok(Some(Edge::new(name, stored.layout, false)))
    }

    fn import(&mut self, proto: &'a NodeProto) {
        let operator = proto.op_type.as_deref().unwrap_or_default();
        let name = display_name(proto);
        if !matches!(proto.domain.as_deref().unwrap_or_default(), "" | "ai.onnx") {
            let domain = proto.domain.as_deref().unwrap_or_default();
            let refusal = Refusal::new(
                format!("an operator of the domain '{domain}'"),
                "export with the standard operators only (no runtime-specific fusion)",
            );
            return self.fail(Some(&name), Some(operator), refusal, &proto.output);
        }
        if !is_known(operator) {
            let refusal = Refusal::new(
                "the operator is not supported",
                format!("replace it; supported are {}", math::SUPPORTED),
            );
            return self.fail(Some(&name), Some(operator), refusal, &proto.output);
        }
        if proto.input.iter().any(|input| self.failed.contains(input)) {
            self.failed.extend(proto.output.iter().cloned());
            return;
        }
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            let entry = self.entries.get(input).cloned();
            if entry.is_none() && !input.is_empty() {
                let refusal = Refusal::malformed(format!("operand '{input}' is made by no earlier node"));
                return self.fail(Some(&name), Some(operator), refusal, &proto.output);
            }
            inputs.push(entry);
        }
        let node = NodeView { proto, name: name.clone(), operator, inputs, opset: self.opset };
        match self.convert(&node) {
            Ok(entries) => {
                for (output, entry) in proto.output.iter().zip(entries) {
                    self.entries.insert(output.clone(), entry);
                }
            }
            Err(Stop::Refused(refusal)) => self.fail(Some(&name), Some(operator), refusal, &proto.output),
            Err(Stop::Reported) => self.failed.extend(proto.output.iter().cloned()),
        }
    }

    fn convert(&mut self, node: &NodeView<'a>) -> Result<Vec<Entry>, Stop> {
        if node.operator == "Constant" {
            return Ok(vec![self.constant(node)?]);
        }
        if let Some(constant) = fold::fold(node)? {
            return Ok(vec![Entry::Constant(Rc::new(constant))]);
        }
        if let Some(value) = self.view(node)? {
            return Ok(vec![Entry::Value(value)]);
        }
        if let Some(value) = self.pattern(node)? {
            return Ok(vec![Entry::Value(value)]);
        }
        let node = self.with_plain_operands(node)?;
        self.convert_plain(&node)
    }

    /// The results of a node of computed operands, as it stands.
    fn convert_plain(&mut self, node: &NodeView<'a>) -> Result<Vec<Entry>, Stop> {
        if node.operator == "Split" {
            return Ok(self.split_node(node)?);
        }
        let value = match node.operator {
            "Conv" => self.conv(node),
            "AveragePool" | "MaxPool" | "GlobalMaxPool" => self.pool(node),
            "GlobalAveragePool" | "ReduceMean" | "ReduceSum" => self.mean_node(node),
            "Gemm" => self.gemm(node),
            "MatMul" | "Einsum" => self.matmul(node),
            "BatchNormalization" => self.batch_normalization(node),
            "LayerNormalization" => self.layer_norm_node(node, true),
            "RMSNormalization" | "SimplifiedLayerNormalization" => self.layer_norm_node(node, false),
            "InstanceNormalization" => self.instance_norm_node(node),
            "GroupNormalization" => self.group_norm_node(node),
            "Add" | "Sub" | "Mul" | "Div" | "Sum" => self.arithmetic_node(node),
            "Min" | "Max" => self.bound_node(node),
            "PRelu" => self.prelu_node(node),
            "Softmax" => self.softmax_node(node),
            "Resize" => self.resize_node(node),
            "Concat" => self.concat_node(node),
            "Slice" => self.slice_node(node),
            "Gather" => self.gather_node(node),
            "Pad" => self.pad_node(node),
            "Col2Im" => self.fold_patches_node(node),
            "Transpose" => self.transpose_node(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape_node(node),
            "Expand" => self.expand_node(node),
            "QuantizeLinear" | "DequantizeLinear" => self.quantization_node(node),
            "Erf" | "Exp" | "Reciprocal" | "Pow" | "Sqrt" => self.partial_node(node),
            "Identity" | "Dropout" | "Cast" => node.value(0).cloned(),
            operator if is_activation(operator) => self.activation_node(node),
            _ => Err(Refusal::unsupported("this operator is only known with constant operands")),
        };
        Ok(vec![Entry::Value(value?)])
    }

    fn constant(&mut self, node: &NodeView<'_>) -> Result<Entry, Refusal> {
        use super::constant::Constant;
        let attribute = |name: &str| node.raw_attribute(name);
        let constant = if let Some(tensor) = attribute("value").and_then(|attribute| attribute.t.as_ref()) {
            tensor::decode(tensor, self.folder)?
        } else if let Some(value) = attribute("value_float").and_then(|attribute| attribute.f) {
            Constant::float(Vec::new(), vec![value])
        } else if let Some(value) = attribute("value_int").and_then(|attribute| attribute.i) {
            Constant::int(Vec::new(), vec![value])
        } else if let Some(attribute) = attribute("value_floats") {
            Constant::float(vec![attribute.floats.len()], attribute.floats.clone())
        } else if let Some(attribute) = attribute("value_ints") {
            Constant::int(vec![attribute.ints.len()], attribute.ints.clone())
        } else {
            return Err(Refusal::unsupported("a constant that is neither a tensor nor a number"));
        };
        Ok(Entry::Constant(Rc::new(constant)))
    }
}

fn is_activation(operator: &str) -> bool {
    matches!(
        operator,
        "Relu"
            | "Clip"
            | "LeakyRelu"
            | "Sigmoid"
            | "Tanh"
            | "HardSwish"
            | "HardSigmoid"
            | "Gelu"
            | "Swish"
            | "Neg"
    )
}

/// Whether an operator is imported, or folded where its operands are constant.
fn is_known(operator: &str) -> bool {
    let folded_only = [
        "Constant",
        "Identity",
        "Dropout",
        "Cast",
        "Shape",
        "Size",
        "Where",
        "Resize",
        "IsNaN",
        "Trilu",
        "Mod",
        "And",
        "Or",
        "Not",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "ReduceL2",
        "ReduceSumSquare",
        "SimplifiedLayerNormalization",
        "Equal",
        "Expand",
        "ConstantOfShape",
        "Range",
        "ReduceProd",
        "Floor",
        "Ceil",
        "Abs",
        "Sqrt",
        "Exp",
        "Reciprocal",
        "Pow",
        "Erf",
        "Neg",
    ];
    folded_only.contains(&operator) || math::SUPPORTED.split(", ").any(|known| known == operator)
}
