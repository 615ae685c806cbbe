//! Random small networks.

use ocelli_format::{Numerics, Target};

use crate::graph::{Attention, Axis, Padding, Quantization, Shape, TensorId, Window};
use crate::quantized::{
    Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode, QuantizedTensor, UNBOUNDED,
};

/// Numbers from a seed.
pub struct Random(pub u32);

impl Random {
    pub fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as usize % count
    }

    pub fn byte(&mut self) -> i8 {
        self.below(256) as u8 as i8
    }
}

const QUANTIZATION: Quantization = Quantization { scale: 1.0, zero_point: -3 };

pub struct Maker {
    pub graph: QuantizedGraph,
    pub random: Random,
}

impl Maker {
    pub fn tensor(&mut self, shape: Shape) -> TensorId {
        let name = format!("tensor {}", self.graph.tensors.len());
        self.graph.tensors.push(QuantizedTensor { name, shape, quantization: QUANTIZATION, constant: None });
        TensorId(self.graph.tensors.len() - 1)
    }

    pub fn node(&mut self, operation: Operation, inputs: &[TensorId], shape: Shape) -> TensorId {
        let output = self.tensor(shape);
        let name = format!("node {}", self.graph.nodes.len());
        self.graph.nodes.push(QuantizedNode { name, operation, inputs: inputs.to_vec(), output });
        self.graph.output = output;
        output
    }

    pub fn shape(&self, id: TensorId) -> Shape {
        self.graph.tensor(id).shape
    }

    fn window(&mut self, shape: Shape, largest: usize) -> Option<(Window, [usize; 2])> {
        let kernel = [1 + self.random.below(largest), 1 + self.random.below(largest)];
        let stride = [1 + self.random.below(2), 1 + self.random.below(2)];
        let dilation = if self.random.below(4) == 0 { [2, 1] } else { [1, 1] };
        let mut side = |axis: usize| self.random.below(kernel[axis]);
        let padding = Padding { top: side(0), left: side(1), bottom: side(0), right: side(1) };
        let window = Window { kernel, stride, dilation, padding };
        let size = window.output(shape.height, shape.width)?;
        size.iter().all(|&size| size > 0).then_some((window, size))
    }

    fn conv(&mut self, input: TensorId, depthwise: bool) -> Option<TensorId> {
        let (window, _) = self.window(self.shape(input), 4)?;
        let channels = 1 + self.random.below(9);
        self.conv_of(input, depthwise, window, channels)
    }

    /// A depthwise convolution and a 1x1 convolution, as MobileNets have them, which targets make one layer of.
    fn separable(&mut self, input: TensorId) -> Option<TensorId> {
        let stride = 1 + self.random.below(2);
        let top = self.random.below(2);
        let padding = Padding { top, left: top, bottom: 1, right: 1 };
        let window = Window { kernel: [3; 2], stride: [stride; 2], dilation: [1; 2], padding };
        let middle = self.conv_of(input, true, window, 0)?;
        let window = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], padding: Padding::default() };
        let channels = 1 + self.random.below(9);
        self.conv_of(middle, false, window, channels)
    }

    /// A convolution of so many output channels, or a depthwise one.
    pub fn conv_of(
        &mut self,
        input: TensorId,
        depthwise: bool,
        window: Window,
        channels: usize,
    ) -> Option<TensorId> {
        let shape = self.shape(input);
        let size = window.output(shape.height, shape.width)?;
        let [height, width] = size;
        if height == 0 || width == 0 {
            return None;
        }
        let channels = if depthwise { shape.channels } else { channels };
        let groups = if depthwise { shape.channels } else { 1 };
        Some(self.convolution(input, window, groups, Shape { height, width, channels }))
    }

    pub fn table(&mut self, input: TensorId) -> TensorId {
        let table = std::array::from_fn(|_| self.random.byte());
        self.node(Operation::Table(Box::new(table)), &[input], self.shape(input))
    }

    pub fn pointwise(&mut self, input: TensorId, channels: usize) -> TensorId {
        self.convolution(input, Window::pointwise(), 1, Shape { channels, ..self.shape(input) })
    }

    /// A residual branch with an attention in patches; what makes query, key and value may differ.
    fn bridge(&mut self, map: TensorId) -> Option<TensorId> {
        let shape = self.shape(map);
        let patch = [[2, 2], [1, 2], [2, 1], [1, 3], [4, 1]][self.random.below(5)];
        let divides = shape.height.is_multiple_of(patch[0]) && shape.width.is_multiple_of(patch[1]);
        if !divides {
            return None;
        }
        let heads = 1 + self.random.below(2);
        let [dimension, value_dimension] = [(); 2].map(|()| heads * (1 + self.random.below(3)));
        let norm = self.table(map);
        let other = if self.random.below(3) == 0 { self.table(norm) } else { norm };
        let query = self.pointwise(norm, dimension);
        let key = self.pointwise(other, dimension);
        let from = if self.random.below(3) == 0 { map } else { other };
        let value = self.pointwise(from, value_dimension);
        let attention = Attention { patch, key_patch: patch, ..Attention::of_heads(heads, 0.001) };
        let size = Shape { channels: value_dimension, ..shape };
        let attended = self.node(Operation::Attention(attention), &[query, key, value], size);
        let projected = self.pointwise(attended, shape.channels);
        let operands = if self.random.below(2) == 0 { [map, projected] } else { [projected, map] };
        Some(self.node(Operation::Add(UNBOUNDED), &operands, shape))
    }

    pub fn convolution(&mut self, input: TensorId, window: Window, groups: usize, output: Shape) -> TensorId {
        let (shape, channels) = (self.shape(input), output.channels);
        let taps = window.kernel[0] * window.kernel[1] * shape.channels / groups;
        let conv = QuantizedConv2d {
            window,
            groups,
            weights: (0..channels * taps).map(|_| self.random.byte()).collect(),
            weight_scales: vec![0.002; channels],
            bias: (0..channels).map(|_| self.random.below(2000) as i32 - 1000).collect(),
            bounds: UNBOUNDED,
            fully_connected: false,
        };
        self.node(Operation::Conv2d(conv), &[input], output)
    }

    /// One more node, on one of the last tensors; `None` where what was drawn does not fit.
    fn grow(&mut self, tensors: &[TensorId]) -> Option<TensorId> {
        let recent = tensors.len().min(3);
        let input = tensors[tensors.len() - 1 - self.random.below(recent)];
        let shape = self.shape(input);
        let like = |maker: &mut Self, fits: &dyn Fn(Shape) -> bool| {
            let others: Vec<TensorId> =
                tensors.iter().copied().filter(|&id| id != input && fits(maker.shape(id))).collect();
            (!others.is_empty()).then(|| others[maker.random.below(others.len())])
        };
        match self.random.below(17) {
            0..3 => self.conv(input, false),
            3 | 4 => self.conv(input, true),
            5 => Some(self.table(input)),
            10 | 11 => self.bridge(input),
            6 => {
                let other = like(self, &|of| of == shape)?;
                Some(self.node(Operation::Add(UNBOUNDED), &[input, other], shape))
            }
            7 => {
                let other = like(self, &|of| [of.height, of.width] == [shape.height, shape.width])?;
                let channels = shape.channels + self.shape(other).channels;
                Some(self.node(
                    Operation::Concat(Axis::Channels),
                    &[input, other],
                    Shape { channels, ..shape },
                ))
            }
            8 => {
                let padding =
                    Padding { top: self.random.below(3), left: 1, bottom: self.random.below(2), right: 0 };
                let output = Shape {
                    height: shape.height + padding.top + padding.bottom,
                    width: shape.width + 1,
                    channels: shape.channels,
                };
                Some(self.node(Operation::Pad { padding, value: 5 }, &[input], output))
            }
            9 => self.separable(input),
            13 => {
                // Squeeze and excite: the whole map gates itself.
                let mean = self.node(Operation::Mean, &[input], Shape::new(1, 1, shape.channels));
                let gate = self.table(mean);
                self.graph.tensors[gate.0].quantization.scale = 0.01;
                Some(self.node(Operation::Mul(UNBOUNDED), &[input, gate], shape))
            }
            14 => {
                // A fully connected layer sees all rows of the map in one.
                let flat = self.node(Operation::Reshape, &[input], Shape::new(1, 1, shape.len()));
                Some(self.pointwise(flat, 3))
            }
            12 => {
                let (window, [height, width]) = self.window(Shape { channels: 1, ..shape }, 3)?;
                let window = Window { dilation: [1, 1], ..window };
                let pool = Operation::AveragePool { window, count_include_pad: true, bounds: UNBOUNDED };
                let seen = window.output(shape.height, shape.width) == Some([height, width]);
                seen.then(|| self.node(pool, &[input], Shape { height, width, ..shape }))
            }
            _ => {
                let (window, [height, width]) = self.window(Shape { channels: 1, ..shape }, 3)?;
                let window = Window { dilation: [1, 1], ..window };
                let size = window.output(shape.height, shape.width);
                let seen = size == Some([height, width]);
                seen.then(|| {
                    self.node(
                        Operation::MaxPool(window, UNBOUNDED),
                        &[input],
                        Shape { height, width, ..shape },
                    )
                })
            }
        }
    }
}

/// A network without nodes.
pub fn empty() -> QuantizedGraph {
    QuantizedGraph {
        name: "random".into(),
        numerics: Numerics::Q32,
        target: Target::Portable,
        tensors: Vec::new(),
        nodes: Vec::new(),
        input: TensorId(0),
        output: TensorId(0),
    }
}

/// A network of a few nodes, the last of which is the output.
pub fn network(seed: u32) -> QuantizedGraph {
    let mut maker = Maker { graph: empty(), random: Random(seed | 1) };
    let mut shape =
        Shape::new(3 + maker.random.below(12), 2 + maker.random.below(11), 1 + maker.random.below(8));
    if maker.random.below(2) == 0 {
        // Patches divide it.
        (shape.height, shape.width) = (4 * shape.height.div_ceil(4), 2 * shape.width.div_ceil(2));
    }
    let mut tensors = vec![maker.tensor(shape)];
    for _ in 0..2 + maker.random.below(9) {
        if let Some(made) = maker.grow(&tensors) {
            tensors.push(made);
        }
    }
    if maker.graph.nodes.is_empty() {
        maker.table(TensorId(0));
    }
    maker.graph
}
