//! Which values each channel of each tensor can take.

use crate::graph::TensorId;
use crate::pack::channels::ConvChannels;
use crate::quantize::run::{NodeRunner, Values};
use crate::quantized::{Operation, QuantizedConv2d, QuantizedGraph, QuantizedNode};

/// All values from `low` to `high` and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quantize) struct Interval {
    pub low: i8,
    pub high: i8,
}

const ANY: Interval = Interval { low: i8::MIN, high: i8::MAX };

impl Interval {
    pub fn is_constant(self) -> bool {
        self.low == self.high
    }

    fn with(self, value: i8) -> Self {
        Self { low: self.low.min(value), high: self.high.max(value) }
    }

    /// The values that a table gives.
    fn through(self, table: &[i8; 256]) -> Self {
        Self::around((self.low..=self.high).map(|value| table[usize::from(value.cast_unsigned() ^ 0x80)]))
    }

    /// The smallest interval that holds all values; any, where there is none.
    fn around(values: impl IntoIterator<Item = i8>) -> Self {
        let hull = values.into_iter().fold(None, |hull: Option<Self>, value| {
            Some(hull.map_or(Self { low: value, high: value }, |hull| hull.with(value)))
        });
        hull.unwrap_or(ANY)
    }
}

/// An interval for each channel of each tensor.
pub(in crate::quantize) struct Intervals(Vec<Vec<Interval>>);

impl Intervals {
    /// Follows the network from its input, which may take any value.
    pub fn of(graph: &QuantizedGraph) -> Self {
        let mut intervals = Self::before(graph);
        graph.nodes.iter().for_each(|node| intervals.follow(graph, node));
        intervals
    }

    /// Of constants; any of other tensors.
    pub fn before(graph: &QuantizedGraph) -> Self {
        let any = graph.tensors.iter().map(|tensor| vec![ANY; tensor.shape.channels]).collect();
        let mut intervals = Self(any);
        for (index, tensor) in graph.tensors.iter().enumerate() {
            if let Some(values) = &tensor.constant {
                intervals.0[index] = by_channel(values, tensor.shape.channels);
            }
        }
        intervals
    }

    /// Takes a node's output from its inputs.
    pub fn follow(&mut self, graph: &QuantizedGraph, node: &QuantizedNode) {
        if let Some(found) = self.output(graph, node) {
            self.0[node.output.0] = found;
        }
    }

    /// The intervals of a tensor's channels.
    pub fn channels(&self, id: TensorId) -> &[Interval] {
        &self.0[id.0]
    }

    /// The intervals of a node's output; `None` where nothing is known.
    fn output(&self, graph: &QuantizedGraph, node: &QuantizedNode) -> Option<Vec<Interval>> {
        let input = self.channels(*node.inputs.first()?);
        match &node.operation {
            Operation::Conv2d(conv) => self.convolution(graph, node, conv),
            Operation::Table(table) => Some(input.iter().map(|interval| interval.through(table)).collect()),
            Operation::ChannelTables { tables, channels } => {
                let own =
                    |(interval, &channel): (&Interval, &u8)| interval.through(&tables[usize::from(channel)]);
                Some(input.iter().zip(channels).map(own).collect())
            }
            // Monotone in each value, or a product: the extremes are at the corners.
            Operation::Add(_)
            | Operation::Mul(_)
            | Operation::MaxPool(..)
            | Operation::AveragePool { .. }
            | Operation::Mean
            | Operation::Pad { .. } => self.corners(graph, node),
            Operation::Reshape if graph.tensor(node.inputs[0]).shape == graph.tensor(node.output).shape => {
                Some(input.to_vec())
            }
            Operation::Reshape
            | Operation::PackedConv2d(_)
            | Operation::PRelu { .. }
            | Operation::Concat(_)
            | Operation::Transpose { .. }
            | Operation::Softmax { .. }
            | Operation::Attention(_)
            | Operation::UnfoldedAttention(_)
            | Operation::Unfold { .. }
            | Operation::Fold { .. }
            | Operation::SeparableAttention { .. }
            | Operation::Norm(_)
            | Operation::MatMul { .. }
            | Operation::Slice { .. } => None,
        }
    }

    fn convolution(
        &self,
        graph: &QuantizedGraph,
        node: &QuantizedNode,
        conv: &QuantizedConv2d,
    ) -> Option<Vec<Interval>> {
        let parameters = ConvChannels::of(graph, node, conv).ok()?;
        let input = graph.tensor(node.inputs[0]);
        let outputs = graph.tensor(node.output).shape.channels;
        let padded = super::reaches_padding(graph, node, conv);
        let inputs: Vec<Interval> = self
            .channels(node.inputs[0])
            .iter()
            .map(|interval| if padded { interval.with(input.quantization.zero_point) } else { *interval })
            .collect();
        let (group_inputs, group_outputs) = (inputs.len() / conv.groups, outputs / conv.groups);
        let taps = conv.weights.len() / outputs;
        let of_channel = |channel: usize| {
            let group = channel / group_outputs * group_inputs;
            let (mut least, mut most) = (0i64, 0i64);
            for (tap, &weight) in conv.weights[channel * taps..(channel + 1) * taps].iter().enumerate() {
                let Interval { low, high } = inputs[group + tap % group_inputs];
                let ends = [low, high].map(|value| i64::from(weight) * i64::from(value));
                least += ends[0].min(ends[1]);
                most += ends[0].max(ends[1]);
            }
            let value = |sum| parameters.finish(graph, node, conv, channel, sum);
            match (value(least), value(most)) {
                (Some(low), Some(high)) => Interval { low, high },
                _ => ANY,
            }
        };
        Some((0..outputs).map(of_channel).collect())
    }

    /// Runs the node with every input at its least and at its greatest, in all combinations.
    fn corners(&self, graph: &QuantizedGraph, node: &QuantizedNode) -> Option<Vec<Interval>> {
        let runner = NodeRunner::new(graph, node).ok()?;
        let mut outputs = Vec::new();
        for corner in 0..1usize << node.inputs.len() {
            let mut values: Values = vec![None; graph.tensors.len()];
            for (index, &id) in node.inputs.iter().enumerate() {
                let tensor = graph.tensor(id);
                let high = corner >> index & 1 == 1;
                let pixel: Vec<i8> = self
                    .channels(id)
                    .iter()
                    .map(|interval| if high { interval.high } else { interval.low })
                    .collect();
                values[id.0] = Some(match &tensor.constant {
                    Some(constant) => constant.clone(),
                    None => pixel.repeat(tensor.shape.pixels()),
                });
            }
            outputs.extend(runner.run(graph, &values).ok()?);
        }
        Some(by_channel(&outputs, graph.tensor(node.output).shape.channels))
    }
}

/// The interval of each channel of a map.
fn by_channel(values: &[i8], channels: usize) -> Vec<Interval> {
    (0..channels)
        .map(|channel| Interval::around(values.iter().skip(channel).step_by(channels).copied()))
        .collect()
}
