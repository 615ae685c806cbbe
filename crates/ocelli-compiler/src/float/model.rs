//! A graph in the float engine.

use std::sync::{Arc, Mutex, PoisonError};

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use super::FloatError;
use super::operators::{chw_to_hwc, hwc_to_chw, nchw, tensor_name, to_onnx};
use crate::graph::{Graph, Operator, Shape, TensorId};

/// Runs a graph in single precision. May be used from several threads at once: each call runs on one thread of its own.
pub struct FloatModel {
    engine: Engine,
    inputs: Vec<(NodeId, Shape)>,
    output: usize,
    /// What a softmax at the end makes the output of, or the output.
    scores: usize,
    /// For each graph tensor its shape and, where something computes it, its place in the engine.
    tensors: Vec<(Shape, Option<NodeId>)>,
    constants: Vec<(TensorId, Vec<f32>)>,
}

impl FloatModel {
    /// Loads a graph.
    ///
    /// # Errors
    /// If a node's inputs do not fit its operator, or the engine refuses the graph.
    pub fn new(graph: &Graph) -> Result<Self, FloatError> {
        let name = if graph.name.is_empty() { "the network" } else { &graph.name }.to_owned();
        let load = |reason: String| FloatError::Load { name: name.clone(), reason };
        let output = *graph.outputs.first().ok_or_else(|| load("it has no output".to_owned()))?;
        graph.nodes.iter().try_for_each(|node| graph.check(node))?;
        let proto = to_onnx(graph);
        let constants: Vec<(TensorId, Vec<f32>)> = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.operator, Operator::Constant(_)))
            .filter_map(|node| {
                let initializers = &proto.graph.as_ref()?.initializer;
                let own = tensor_name(node.output);
                let tensor = initializers.iter().find(|tensor| tensor.name.as_deref() == Some(&own))?;
                let raw = tensor.raw_data.as_ref()?.borrow();
                let values: Vec<f32> =
                    raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                Some((node.output, chw_to_hwc(&values, graph.tensor(node.output).shape)))
            })
            .collect();
        let bytes = proto.write_buf().map_err(|error| load(error.to_string()))?;
        let engine = Engine::load(bytes, name.clone())?;
        let node_id = |id: TensorId| engine.model.find_node(&tensor_name(id));
        let computed = |id: TensorId| !constants.iter().any(|(constant, _)| *constant == id);
        let tensors = (0..graph.tensors.len())
            .map(|index| {
                (graph.tensors[index].shape, node_id(TensorId(index)).filter(|_| computed(TensorId(index))))
            })
            .collect();
        let input = |&id: &TensorId| {
            let node = node_id(id)
                .ok_or_else(|| load(format!("its input '{}' is not used", graph.tensor(id).name)))?;
            Ok((node, graph.tensor(id).shape))
        };
        let inputs = graph.inputs.iter().map(input).collect::<Result<Vec<_>, FloatError>>()?;
        Ok(Self { inputs, engine, output: output.0, scores: scores(graph, output).0, tensors, constants })
    }

    /// Every tensor of a graph of one input, in HWC order, by [`TensorId`]; `None` for a tensor that nothing computes.
    ///
    /// # Errors
    /// If the input has the wrong size, or the graph has several.
    pub fn run_all(&self, input: &[f32]) -> Result<Vec<Option<Vec<f32>>>, FloatError> {
        let wanted: Vec<usize> =
            (0..self.tensors.len()).filter(|&index| self.tensors[index].1.is_some()).collect();
        let mut all = vec![None; self.tensors.len()];
        for (index, values) in wanted.iter().zip(self.outputs(&[input], &wanted)?) {
            all[*index] = Some(values);
        }
        for (id, values) in &self.constants {
            all[id.0] = Some(values.clone());
        }
        Ok(all)
    }

    /// The first output of a graph of one input, both in HWC order.
    ///
    /// # Errors
    /// If the input has the wrong size, or the graph has several.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, FloatError> {
        self.run_inputs(&[input])
    }

    /// As [`FloatModel::run`], and what a softmax at the end makes the output of; without one, the output again.
    ///
    /// # Errors
    /// If the input has the wrong size, or the graph has several.
    pub fn run_with_scores(&self, input: &[f32]) -> Result<[Vec<f32>; 2], FloatError> {
        if self.scores == self.output {
            let output = self.run(input)?;
            return Ok([output.clone(), output]);
        }
        let mut found = self.outputs(&[input], &[self.output, self.scores])?.into_iter();
        Ok([(); 2].map(|()| found.next().unwrap_or_default()))
    }

    /// The first output for all inputs of the graph, in HWC order.
    ///
    /// # Errors
    /// If an input has the wrong size, or their number is wrong.
    pub fn run_inputs(&self, inputs: &[&[f32]]) -> Result<Vec<f32>, FloatError> {
        let mut outputs = self.outputs(inputs, &[self.output])?;
        Ok(outputs.pop().unwrap_or_default())
    }

    fn outputs(&self, inputs: &[&[f32]], wanted: &[usize]) -> Result<Vec<Vec<f32>>, FloatError> {
        let name = || self.engine.name.clone();
        if inputs.len() != self.inputs.len() {
            return Err(FloatError::InputCount {
                name: name(),
                expected: self.inputs.len(),
                found: inputs.len(),
            });
        }
        let mut planes = Vec::with_capacity(inputs.len());
        for (&input, &(node, shape)) in inputs.iter().zip(&self.inputs) {
            if input.len() != shape.len() {
                return Err(FloatError::InputSize {
                    name: name(),
                    expected: shape.len(),
                    found: input.len(),
                });
            }
            planes.push((node, nchw(shape).to_vec(), hwc_to_chw(input, shape)));
        }
        let ids: Vec<NodeId> = wanted.iter().filter_map(|&index| self.tensors[index].1).collect();
        let maps = self.engine.run(&planes, &ids)?;
        Ok(maps.iter().zip(wanted).map(|(map, &index)| chw_to_hwc(map, self.tensors[index].0)).collect())
    }
}

/// What a softmax at the end of a graph makes the output of, or the output.
fn scores(graph: &Graph, output: TensorId) -> TensorId {
    let mut id = output;
    while let Some(node) = graph.nodes.iter().find(|node| node.output == id) {
        match (&node.operator, node.inputs.as_slice()) {
            (Operator::Softmax { .. }, &[input]) => return input,
            (Operator::Reshape, &[input]) => id = input,
            _ => break,
        }
    }
    output
}

/// A loaded model and threads to run it on.
pub(super) struct Engine {
    pub model: Model,
    pub name: String,
    /// Single-threaded pools that no call is using.
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Engine {
    pub fn load(bytes: Vec<u8>, name: String) -> Result<Self, FloatError> {
        let mut options = ModelOptions::with_all_ops();
        // Every intermediate value must stay, under its own name.
        let model = options.enable_optimization(false).prepack_weights(true).load(bytes);
        let model =
            model.map_err(|error| FloatError::Load { name: name.clone(), reason: error.to_string() })?;
        Ok(Self::of(model, name))
    }

    pub fn of(model: Model, name: String) -> Self {
        Self { model, name, idle: Mutex::default() }
    }

    /// Runs on one thread. The caller waits on a plain thread, not inside the engine's pool: a `rayon` worker that waits there would
    /// begin another image meanwhile, and so pile up all images at once.
    pub fn run(
        &self,
        inputs: &[(NodeId, Vec<usize>, Vec<f32>)],
        outputs: &[NodeId],
    ) -> Result<Vec<Vec<f32>>, FloatError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = idle().pop().unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        let failed = |reason: String| FloatError::Run { name: self.name.clone(), reason };
        let run = || {
            let views = inputs.iter().map(|(id, dims, values)| {
                (*id, TensorView::from_data(dims.as_slice(), values.as_slice()).into())
            });
            let results = self.model.run(views.collect(), outputs, Some(options));
            let results = results.map_err(|error| failed(error.to_string()))?;
            results
                .into_iter()
                .map(|value| {
                    let tensor: Tensor<f32> =
                        value.try_into().map_err(|_| failed("a result is not float".into()))?;
                    Ok(tensor.to_vec())
                })
                .collect()
        };
        let result = std::thread::scope(|scope| scope.spawn(run).join())
            .unwrap_or_else(|_| Err(failed("the engine panicked".to_owned())));
        idle().push(pool);
        result
    }
}
