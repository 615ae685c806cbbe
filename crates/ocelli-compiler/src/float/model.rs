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
    input: NodeId,
    input_shape: Shape,
    output: usize,
    /// For each graph tensor its shape and, where something computes it, its place in the engine.
    tensors: Vec<(Shape, Option<NodeId>)>,
    constants: Vec<(TensorId, Vec<f32>)>,
}

impl FloatModel {
    /// Loads a graph of one input.
    ///
    /// # Errors
    /// If the graph has another number of inputs, or the engine refuses it.
    pub fn new(graph: &Graph) -> Result<Self, FloatError> {
        let name = if graph.name.is_empty() { "the network" } else { &graph.name }.to_owned();
        let load = |reason: String| FloatError::Load { name: name.clone(), reason };
        let (&[input], Some(&output)) = (graph.inputs.as_slice(), graph.outputs.first()) else {
            return Err(FloatError::InputCount { name, found: graph.inputs.len() });
        };
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
        let input_id = node_id(input).ok_or_else(|| load("its input is not used".to_owned()))?;
        let input_shape = graph.tensor(input).shape;
        Ok(Self { input: input_id, engine, input_shape, output: output.0, tensors, constants })
    }

    /// Every tensor of the graph for one input, in HWC order, by [`TensorId`]; `None` for a tensor that nothing computes.
    ///
    /// # Errors
    /// If the input has the wrong size.
    pub fn run_all(&self, input: &[f32]) -> Result<Vec<Option<Vec<f32>>>, FloatError> {
        let wanted: Vec<usize> =
            (0..self.tensors.len()).filter(|&index| self.tensors[index].1.is_some()).collect();
        let mut all = vec![None; self.tensors.len()];
        for (index, values) in wanted.iter().zip(self.outputs(input, &wanted)?) {
            all[*index] = Some(values);
        }
        for (id, values) in &self.constants {
            all[id.0] = Some(values.clone());
        }
        Ok(all)
    }

    /// The first output for one input, both in HWC order.
    ///
    /// # Errors
    /// If the input has the wrong size.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, FloatError> {
        let mut outputs = self.outputs(input, &[self.output])?;
        Ok(outputs.pop().unwrap_or_default())
    }

    fn outputs(&self, input: &[f32], wanted: &[usize]) -> Result<Vec<Vec<f32>>, FloatError> {
        let shape = self.input_shape;
        if input.len() != shape.len() {
            return Err(FloatError::InputSize {
                name: self.engine.name.clone(),
                expected: shape.len(),
                found: input.len(),
            });
        }
        let planes = hwc_to_chw(input, shape);
        let ids: Vec<NodeId> = wanted.iter().filter_map(|&index| self.tensors[index].1).collect();
        let maps = self.engine.run(self.input, &nchw(shape), &planes, &ids)?;
        Ok(maps.iter().zip(wanted).map(|(map, &index)| chw_to_hwc(map, self.tensors[index].0)).collect())
    }
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
        input: NodeId,
        dims: &[usize],
        values: &[f32],
        outputs: &[NodeId],
    ) -> Result<Vec<Vec<f32>>, FloatError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = idle().pop().unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        let failed = |reason: String| FloatError::Run { name: self.name.clone(), reason };
        let run = || {
            let view = TensorView::from_data(dims, values);
            let results = self.model.run(vec![(input, view.into())], outputs, Some(options));
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
