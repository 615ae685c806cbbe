//! Nodes that change nothing, and chains of moves that one move replaces.

use super::{only_reader, replace};
use crate::graph::{Activation, Constant, Graph, Node, Operator, Shape, TensorId};

/// Applies the first rule that fits anywhere.
pub(super) fn remove(graph: &mut Graph) -> Option<String> {
    (0..graph.nodes.len()).find_map(|index| {
        drop_identity(graph, index)
            .or_else(|| merge_reshapes(graph, index))
            .or_else(|| merge_transposes(graph, index))
            .or_else(|| merge_slices(graph, index))
            .or_else(|| merge_clips(graph, index))
            .or_else(|| move_constant(graph, index))
            .or_else(|| transpose_as_reshape(graph, index))
    })
}

fn shape(graph: &Graph, id: TensorId) -> Shape {
    graph.tensor(id).shape
}

fn drop_identity(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let &[input] = node.inputs.as_slice() else { return None };
    let same = shape(graph, input) == shape(graph, node.output)
        && graph.tensor(input).quantization == graph.tensor(node.output).quantization;
    let neutral = match &node.operator {
        Operator::Activation(Activation::Affine { scale, offset }) => *scale == 1.0 && *offset == 0.0,
        Operator::Activation(Activation::Clip { min, max }) => {
            *min == f32::NEG_INFINITY && *max == f32::INFINITY
        }
        Operator::Reshape | Operator::Requantize | Operator::Concat(_) | Operator::Slice { .. } => true,
        Operator::Transpose { order } => *order == [0, 1, 2],
        _ => false,
    };
    // A network whose output is its input keeps the node between them.
    let passes_through = graph.inputs.contains(&input) && graph.outputs.contains(&node.output);
    if !(same && neutral) || passes_through {
        return None;
    }
    let (name, output) = (node.name.clone(), node.output);
    graph.nodes.remove(index);
    replace(graph, output, input);
    Some(format!("removed '{name}', which changes nothing"))
}

fn producer(graph: &Graph, id: TensorId) -> Option<&Node> {
    graph.producer(id).map(|index| &graph.nodes[index])
}

/// A reshape of a reshape reads the first one's input.
fn merge_reshapes(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let first = node.inputs.first().and_then(|&input| producer(graph, input))?;
    if !matches!((&first.operator, &node.operator), (Operator::Reshape, Operator::Reshape)) {
        return None;
    }
    let (source, what) = (first.inputs[0], format!("joined '{}' with '{}'", first.name, node.name));
    graph.nodes[index].inputs[0] = source;
    Some(what)
}

/// Two transposes are one.
fn merge_transposes(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let first = node.inputs.first().and_then(|&input| producer(graph, input))?;
    let (Operator::Transpose { order: inner }, Operator::Transpose { order: outer }) =
        (&first.operator, &node.operator)
    else {
        return None;
    };
    let order = outer.map(|axis| inner[axis]);
    let (source, what) = (first.inputs[0], format!("joined '{}' with '{}'", first.name, node.name));
    graph.nodes[index].inputs[0] = source;
    graph.nodes[index].operator = Operator::Transpose { order };
    Some(what)
}

/// A part of a part along the same axis is one.
fn merge_slices(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let first = node.inputs.first().and_then(|&input| producer(graph, input))?;
    let (&Operator::Slice { axis: inner, start: before }, &Operator::Slice { axis, start }) =
        (&first.operator, &node.operator)
    else {
        return None;
    };
    if inner != axis {
        return None;
    }
    let (source, what) = (first.inputs[0], format!("joined '{}' with '{}'", first.name, node.name));
    graph.nodes[index].inputs[0] = source;
    graph.nodes[index].operator = Operator::Slice { axis, start: before + start };
    Some(what)
}

/// A clip of a clip is one with both bounds, where they overlap.
fn merge_clips(graph: &mut Graph, index: usize) -> Option<String> {
    let reader = only_reader(graph, index)?;
    let (
        Operator::Activation(Activation::Clip { min, max }),
        Operator::Activation(Activation::Clip { min: low, max: high }),
    ) = (&graph.nodes[index].operator, &graph.nodes[reader].operator)
    else {
        return None;
    };
    let (min, max) = (min.max(*low), max.min(*high));
    let quantization = |id: TensorId| graph.tensor(id).quantization;
    let same = quantization(graph.nodes[index].output) == quantization(graph.nodes[reader].output);
    if min > max || !same {
        return None;
    }
    let what = format!("joined '{}' with '{}'", graph.nodes[index].name, graph.nodes[reader].name);
    graph.nodes[reader].inputs = graph.nodes[index].inputs.clone();
    graph.nodes[reader].operator = Operator::Activation(Activation::Clip { min, max });
    graph.nodes.remove(index);
    Some(what)
}

/// A constant is reshaped and transposed now.
fn move_constant(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let first = node.inputs.first().and_then(|&input| producer(graph, input))?;
    let Operator::Constant(constant) = &first.operator else { return None };
    let moved = match &node.operator {
        Operator::Reshape => constant.clone(),
        Operator::Transpose { order } => {
            let from = shape(graph, node.inputs[0]);
            match constant {
                Constant::Float(values) => Constant::Float(transposed(values, from, *order)),
                Constant::Int8(values) => Constant::Int8(transposed(values, from, *order)),
            }
        }
        _ => return None,
    };
    let what = format!("moved the constant '{}' now", first.name);
    graph.nodes[index].operator = Operator::Constant(moved);
    graph.nodes[index].inputs.clear();
    Some(what)
}

fn transposed<T: Copy>(values: &[T], from: Shape, order: [usize; 3]) -> Vec<T> {
    let sizes = [from.height, from.width, from.channels];
    let strides = [from.width * from.channels, from.channels, 1];
    let [a, b, c] = order;
    let mut result = Vec::with_capacity(values.len());
    for i in 0..sizes[a] {
        for j in 0..sizes[b] {
            result.extend((0..sizes[c]).map(|k| values[i * strides[a] + j * strides[b] + k * strides[c]]));
        }
    }
    result
}

/// A transpose that only moves axes of size 1 keeps the order of elements.
fn transpose_as_reshape(graph: &mut Graph, index: usize) -> Option<String> {
    let node = &graph.nodes[index];
    let Operator::Transpose { order } = &node.operator else { return None };
    let from = shape(graph, node.inputs[0]);
    let sizes = [from.height, from.width, from.channels];
    if !order.iter().filter(|&&axis| sizes[axis] != 1).is_sorted() {
        return None;
    }
    let what = format!("'{}' moves nothing: a reshape", node.name);
    graph.nodes[index].operator = Operator::Reshape;
    Some(what)
}
