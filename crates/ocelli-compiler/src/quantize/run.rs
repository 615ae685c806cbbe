//! Single nodes of an int8 network run by the engine itself, so that what is measured is what will run.

use ocelli::{Engine, Model, operator};
use ocelli_format::{Metadata, Target};

use super::QuantizeError;
use crate::graph::TensorId;
use crate::pack::{AlignedBytes, PackError, assemble};
use crate::plan::plan;
use crate::quantized::{Operation, QuantizedGraph, QuantizedNode};

/// The values of the tensors of a network for one input, by id, as far as they are made and still needed.
pub(super) type Values = Vec<Option<Vec<i8>>>;

/// A node as a network of its own.
pub(super) enum NodeRunner<'g> {
    /// Its output is its input.
    Copy(TensorId),
    /// Of one input: packed once.
    Packed { packed: AlignedBytes, input: TensorId },
    /// Of several inputs: all but the first become constants, anew for each run.
    Several { graph: &'g QuantizedGraph, node: &'g QuantizedNode },
}

impl<'g> NodeRunner<'g> {
    pub fn new(graph: &'g QuantizedGraph, node: &'g QuantizedNode) -> Result<Self, QuantizeError> {
        Ok(match node.inputs.as_slice() {
            [input] if matches!(node.operation, Operation::Reshape) => Self::Copy(*input),
            [input] => Self::Packed { packed: packed(graph, node, &Values::new())?, input: *input },
            _ => Self::Several { graph, node },
        })
    }

    /// The node's output.
    pub fn run(&self, graph: &QuantizedGraph, values: &Values) -> Result<Vec<i8>, QuantizeError> {
        match self {
            Self::Copy(input) => Ok(value(graph, values, *input).to_vec()),
            Self::Packed { packed, input } => engine(packed, value(graph, values, *input)),
            Self::Several { graph, node } => {
                let packed = packed(graph, node, values)?;
                engine(&packed, value(graph, values, node.inputs[0]))
            }
        }
    }
}

/// The value of a tensor, computed or constant.
pub(super) fn value<'v>(graph: &'v QuantizedGraph, values: &'v Values, id: TensorId) -> &'v [i8] {
    let computed = values.get(id.0).and_then(Option::as_deref);
    computed.or(graph.tensor(id).constant.as_deref()).unwrap_or_default()
}

/// A node as a packed model whose input is the node's first.
fn packed(
    graph: &QuantizedGraph,
    node: &QuantizedNode,
    values: &Values,
) -> Result<AlignedBytes, QuantizeError> {
    let mut ids = node.inputs.clone();
    ids.push(node.output);
    let mut distinct: Vec<TensorId> = Vec::new();
    for &id in &ids {
        if !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    let place = |id: TensorId| TensorId(distinct.iter().position(|&other| other == id).unwrap_or(0));
    let tensors = distinct
        .iter()
        .map(|&id| {
            let mut tensor = graph.tensor(id).clone();
            let fed = id == node.inputs[0] || id == node.output;
            tensor.constant = (!fed).then(|| value(graph, values, id).to_vec());
            tensor
        })
        .collect();
    let single = QuantizedGraph {
        name: node.name.clone(),
        numerics: graph.numerics,
        target: Target::Portable,
        tensors,
        nodes: vec![QuantizedNode {
            inputs: node.inputs.iter().map(|&id| place(id)).collect(),
            output: place(node.output),
            ..node.clone()
        }],
        input: TensorId(0),
        output: place(node.output),
    };
    let bytes = assemble(&single, &plan(&single), &Metadata::default())?;
    Ok(AlignedBytes::new(&bytes))
}

fn engine(packed: &AlignedBytes, input: &[i8]) -> Result<Vec<i8>, QuantizeError> {
    let model = Model::open(packed.bytes()).map_err(PackError::from)?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::<{ operator::ALL }>::new(model, &mut arena).map_err(PackError::from)?;
    Ok(engine.run(input)?.values().to_vec())
}
