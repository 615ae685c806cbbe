//! From an int8 network to the packed file.

pub(crate) mod attention;
pub(crate) mod channels;
mod lower;
pub(crate) mod norm;
pub mod requantize;

pub(crate) use lower::{kernel_window, taps_first};

use ocelli::{Engine, EngineError, Model, ModelError, RunError, TensorInfo, operator, test_bytes};
use ocelli_format::{Execution, Metadata, ModelWriter};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::graph::TensorId;
use crate::plan::{Place, Plan};
use crate::quantized::{Operation, QuantizedGraph};

/// Why a network cannot be packed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// A node's numbers do not fit the format.
    #[error("node `{node}`: {problem}")]
    Node {
        /// The node.
        node: String,
        /// What does not fit.
        problem: String,
    },
    /// The network needs more memory than the format can address.
    #[error(
        "the arena of {bytes} bytes is more than the 4 GiB that a packed model can address: use smaller inputs"
    )]
    Arena {
        /// Bytes of the arena.
        bytes: usize,
    },
    /// The file that was written does not open. This is a bug of the packer.
    #[error("the packed model does not open: {0}")]
    Model(#[from] ModelError),
    /// The file that was written does not start. This is a bug of the packer.
    #[error("the packed model does not start: {0}")]
    Engine(#[from] EngineError),
    /// The file that was written does not run. This is a bug of the packer.
    #[error("the packed model does not run: {0}")]
    Run(#[from] RunError),
    /// The file that was written fails its own self-test. This is a bug of the packer.
    #[error("the packed model fails its self-test")]
    SelfTest,
}

/// The seed of the self-test that every file gets.
const SELF_TEST_SEED: u32 = 0x0ce1;

/// Packs a network, self-test included.
///
/// # Errors
/// [`PackError`] names the node that does not fit, and why.
pub fn pack(graph: &QuantizedGraph, plan: &Plan, mut metadata: Metadata) -> Result<Vec<u8>, PackError> {
    metadata.self_test = None;
    let expected = with_engine(&assemble(graph, plan, &metadata)?, |engine| {
        let input: Vec<i8> = test_bytes(SELF_TEST_SEED).take(engine.model().input().len()).collect();
        Ok(engine.run(&input)?.values().to_vec())
    })?;
    metadata.self_test = Some((SELF_TEST_SEED, expected));
    let bytes = assemble(graph, plan, &metadata)?;
    match with_engine(&bytes, |engine| engine.self_test())? {
        Some(true) => Ok(bytes),
        _ => Err(PackError::SelfTest),
    }
}

/// Packs a network with the self-test that the metadata has.
pub(crate) fn assemble(
    graph: &QuantizedGraph,
    plan: &Plan,
    metadata: &Metadata,
) -> Result<Vec<u8>, PackError> {
    let mut metadata = metadata.clone();
    metadata.macs =
        graph.nodes.iter().map(|node| graph.macs(node)).sum::<u64>().try_into().unwrap_or(u32::MAX);
    let mut writer = ModelWriter::default();
    let tensors = tensors(graph, plan, &mut writer)?;
    let mut exponentials = attention::Exponentials::new();
    for ((node, scratch_place), &flags) in graph.nodes.iter().zip(&plan.scratch).zip(&plan.flags) {
        if matches!(node.operation, Operation::Reshape) {
            continue;
        }
        let refuse = |problem| PackError::Node { node: node.name.clone(), problem };
        let scratch = scratch_place
            .as_ref()
            .map(|place| scratch(place.len(), place.start))
            .transpose()
            .map_err(refuse)?
            .map(|tensor| writer.tensor(tensor));
        lower::step(graph, node, &tensors, scratch, &mut exponentials, &mut writer).map_err(refuse)?;
        writer.flags(flags);
    }
    let arena_bytes =
        u32::try_from(plan.arena_bytes).map_err(|_| PackError::Arena { bytes: plan.arena_bytes })?;
    let counters = lower::narrow(plan.counters).unwrap_or(u16::MAX);
    let execution = Execution { arena_bytes, counters, feed: plan.feed };
    let ends = [tensors[graph.input.0], tensors[graph.output.0]].map(|index| index.unwrap_or(u16::MAX));
    Ok(writer.finish(graph.target, graph.numerics, execution, ends, &metadata))
}

/// Writes tensors and constants; the index of each tensor that is in use.
fn tensors(
    graph: &QuantizedGraph,
    plan: &Plan,
    writer: &mut ModelWriter,
) -> Result<Vec<Option<u16>>, PackError> {
    let mut indices = vec![None; graph.tensors.len()];
    for (index, tensor) in graph.tensors.iter().enumerate() {
        let id = TensorId(index);
        let used = id == graph.input
            || graph.nodes.iter().any(|node| node.output == id || node.inputs.contains(&id));
        if !used {
            continue;
        }
        let size = |value: usize| {
            u16::try_from(value).map_err(|_| PackError::Node {
                node: tensor.name.clone(),
                problem: format!("its shape {} has an axis above 65535", tensor.shape),
            })
        };
        let whole = Place { offset: 0, slots: tensor.shape.height, counter: None };
        let place = plan.places[index].unwrap_or(whole);
        let offset = match &tensor.constant {
            Some(values) => writer.weights(values.as_slice()),
            None => u32::try_from(place.offset).map_err(|_| PackError::Arena { bytes: plan.arena_bytes })?,
        };
        let info = TensorInfo {
            offset,
            height: size(tensor.shape.height)?,
            width: size(tensor.shape.width)?,
            channels: size(tensor.shape.channels)?,
            slots: size(place.slots)?,
            counter: place.counter.map_or(Ok(TensorInfo::COMPLETE), size)?,
            constant: u8::from(tensor.constant.is_some()),
            zero_point: tensor.quantization.zero_point,
            scale: tensor.quantization.scale,
        };
        indices[index] = Some(writer.tensor(info));
    }
    Ok(indices)
}

/// The tensor that stands for a step's working memory.
fn scratch(bytes: usize, offset: usize) -> Result<TensorInfo, String> {
    let [width, channels] = scratch_shape(bytes);
    Ok(TensorInfo {
        offset: u32::try_from(offset).map_err(|_| "its working memory lies beyond 4 GiB")?,
        height: 1,
        width: lower::narrow(width)?,
        channels: lower::narrow(channels)?,
        slots: 1,
        counter: TensorInfo::COMPLETE,
        constant: 0,
        zero_point: 0,
        scale: 1.0,
    })
}

/// Width and channels of a tensor of so many bytes, or a few more where they do not fit 16 bits.
pub(crate) fn scratch_shape(bytes: usize) -> [usize; 2] {
    let width = bytes.div_ceil(usize::from(u16::MAX)).max(1);
    [width, bytes.div_ceil(width)]
}

/// Opens a file that was written, and runs it.
fn with_engine<T>(
    file: &[u8],
    run: impl for<'a> FnOnce(&mut Engine<'a, 'a, { operator::ALL }>) -> Result<T, RunError>,
) -> Result<T, PackError> {
    let aligned = AlignedBytes::new(file);
    let model = Model::open(aligned.bytes())?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut engine = Engine::new(model, &mut arena)?;
    Ok(run(&mut engine)?)
}

/// A copy of a packed model's bytes, aligned as [`Model::open`] wants them.
#[derive(Clone, Debug)]
pub struct AlignedBytes {
    blocks: Vec<u128>,
    length: usize,
}

const _: () = assert!(align_of::<u128>() >= ocelli::ALIGNMENT);

impl AlignedBytes {
    /// Copies `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut blocks = vec![0u128; bytes.len().div_ceil(size_of::<u128>())];
        blocks.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Self { blocks, length: bytes.len() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.blocks.as_bytes()[..self.length]
    }
}
