//! Networks made by hand, of random weights.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;

use ocelli_compiler::calibrate::data::{DataOptions, Dataset};
use ocelli_compiler::evaluate::evaluate;
use ocelli_compiler::float::FloatModel;
use ocelli_compiler::graph::{
    Activation, Bias, Conv2d, Graph, Node, Operator, Padding, Shape, TensorId, Weights, Window,
};
use ocelli_compiler::pack::pack;
use ocelli_compiler::plan::plan;
use ocelli_compiler::quantize::{Options, QuantizeError, Quantized, quantize};
use ocelli_format::Metadata;

/// Numbers in -1..1.
pub struct Noise(pub u32);

impl Noise {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }

    pub fn many(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// A graph that is being made, its last tensor the output.
pub struct Maker {
    pub graph: Graph,
    pub noise: Noise,
}

impl Maker {
    pub fn new(shape: Shape) -> (Self, TensorId) {
        let mut graph = Graph { name: "made".into(), ..Graph::default() };
        let input = graph.add_tensor("input", shape);
        graph.inputs = vec![input];
        (Self { graph, noise: Noise(7) }, input)
    }

    pub fn node(&mut self, operator: Operator, inputs: &[TensorId], shape: Shape) -> TensorId {
        let name = format!("node {}", self.graph.nodes.len());
        let output = self.graph.add_tensor(name.clone(), shape);
        self.graph.nodes.push(Node { name, operator, inputs: inputs.to_vec(), output });
        self.graph.outputs = vec![output];
        output
    }

    pub fn same(&mut self, operator: Operator, input: TensorId) -> TensorId {
        let shape = self.graph.tensor(input).shape;
        self.node(operator, &[input], shape)
    }

    /// A convolution with random weights of a size; depthwise if the groups are the channels.
    pub fn conv(
        &mut self,
        input: TensorId,
        kernel: usize,
        groups: usize,
        outputs: usize,
        size: f32,
    ) -> TensorId {
        let shape = self.graph.tensor(input).shape;
        let before = (kernel - 1) / 2;
        let padding = Padding { top: before, left: before, bottom: before, right: before };
        let window = Window { kernel: [kernel; 2], padding, ..Window::pointwise() };
        let weights = self.noise.many(outputs * kernel * kernel * shape.channels / groups);
        let conv = Conv2d {
            window,
            groups,
            weights: Weights::Float(weights.into_iter().map(|weight| weight * size).collect()),
            bias: Bias::Float(self.noise.many(outputs).into_iter().map(|bias| bias * size).collect()),
            fully_connected: false,
        };
        self.node(Operator::Conv2d(conv), &[input], Shape { channels: outputs, ..shape })
    }

    pub fn clip(&mut self, input: TensorId, min: f32, max: f32) -> TensorId {
        self.same(Operator::Activation(Activation::Clip { min, max }), input)
    }

    pub fn conv_of(&mut self, id: TensorId) -> &mut Conv2d {
        let node = self.graph.nodes.iter_mut().find(|node| node.output == id).unwrap();
        match &mut node.operator {
            Operator::Conv2d(conv) => conv,
            other => panic!("{other:?}"),
        }
    }
}

pub fn noise_data(folder: &Path, shape: Shape) -> Dataset {
    let mut noise = Noise(3);
    let bytes: Vec<u8> = (0..shape.len() * 40).flat_map(|_| noise.next().to_le_bytes()).collect();
    let path = folder.join("noise.f32");
    std::fs::write(&path, bytes).unwrap();
    Dataset::open(&[path], shape, &DataOptions::default()).unwrap()
}

pub fn try_quantize(graph: &Graph) -> Result<(Quantized, f64), QuantizeError> {
    let folder = tempfile::tempdir().unwrap();
    let data = noise_data(folder.path(), graph.tensor(graph.inputs[0]).shape);
    let quantized = quantize(graph, &data, &Options::default(), &|_, _, _| {})?;
    let file = pack(&quantized.graph, &plan(&quantized.graph), Metadata::default())?;
    let found = evaluate(&file, &FloatModel::new(graph)?, &data, &|_, _| {}).unwrap();
    Ok((quantized, found.sqnr_db))
}

/// Quantizes, and wants at least as many decibels.
pub fn expect(graph: &Graph, decibels: f64) -> Quantized {
    let (quantized, sqnr) = try_quantize(graph).unwrap();
    assert!(sqnr > decibels, "{sqnr} dB");
    quantized
}
