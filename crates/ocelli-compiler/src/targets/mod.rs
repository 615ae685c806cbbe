//! From an int8 network to the same network for one target: convolutions get parameters in the layout of the target's kernels, and
//! depthwise convolutions become one layer with the 1x1 convolutions that follow. What it computes does not change, bit for bit.

mod convolution;
mod form;
mod fuse;

use std::collections::BTreeSet;

use ocelli_format::{Model, Step, Target};
use ocelli_kernels::arch::armv6m::Armv6m;
use ocelli_kernels::arch::armv7m::Armv7m;
use ocelli_kernels::arch::dsp::Dsp;
use ocelli_kernels::arch::helium::Helium;
use ocelli_kernels::arch::rv32::Rv32;
use ocelli_kernels::arch::{Arch, Portable};

use crate::quantized::{Operation, QuantizedGraph, QuantizedNode};
use convolution::Convolution;
use form::of_step;

/// Calls a function that is generic over [`Arch`] with the kernels of a target.
macro_rules! with_kernels {
    ($target:expr, $function:ident($($argument:expr),*)) => {
        match $target {
            Target::Portable => $function::<Portable>($($argument),*),
            Target::Dsp => $function::<Dsp>($($argument),*),
            Target::Helium => $function::<Helium>($($argument),*),
            Target::Armv7m => $function::<Armv7m>($($argument),*),
            Target::Armv6m => $function::<Armv6m>($($argument),*),
            Target::Rv32 => $function::<Rv32>($($argument),*),
        }
    };
}

/// A network for a target.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The network.
    pub graph: QuantizedGraph,
    /// Where each of its nodes comes from, and which kernels run it.
    pub layers: Vec<Layer>,
}

/// A node of a network for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Indices of the nodes of the original network that it computes.
    pub nodes: Vec<usize>,
    /// Which kernels run it.
    pub form: Form,
}

/// Which kernels run a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The target's, if it has its own for this operation: parameters have one form for all targets.
    Common,
    /// A convolution whose parameters are in the target's layout.
    Packed,
    /// A convolution on the portable kernels, and why.
    Portable(&'static str),
}

/// The network for a target.
pub fn lower(graph: &QuantizedGraph, target: Target) -> Lowered {
    lower_apart(graph, target, &BTreeSet::new())
}

/// The network for a target, in which some depthwise convolutions, by their nodes' indices, stay apart from the 1x1 convolutions after them.
pub fn lower_apart(graph: &QuantizedGraph, target: Target, apart: &BTreeSet<usize>) -> Lowered {
    with_kernels!(target, lowered(graph, target, apart))
}

/// Which kernels run a step of a packed model.
pub fn form(model: &Model<'_>, step: &Step<'_>) -> Form {
    with_kernels!(model.target(), of_step(model, step))
}

/// Bytes that a target's attention works in.
pub(crate) fn attention_scratch(target: Target, tokens: usize, [key, value]: [usize; 2]) -> usize {
    fn of<A: Arch>(tokens: usize, [key, value]: [usize; 2]) -> usize {
        A::attention_scratch(tokens, key, value)
    }
    with_kernels!(target, of(tokens, [key, value]))
}

fn lowered<A: Arch>(graph: &QuantizedGraph, target: Target, apart: &BTreeSet<usize>) -> Lowered {
    let convolutions: Vec<Option<Result<Convolution, &'static str>>> =
        graph.nodes.iter().map(|node| Convolution::of(graph, node)).collect();
    let mut lowered =
        Lowered { graph: QuantizedGraph { target, nodes: Vec::new(), ..graph.clone() }, layers: Vec::new() };
    let mut push = |node: QuantizedNode, nodes: Vec<usize>, form: Form| {
        lowered.graph.nodes.push(node);
        lowered.layers.push(Layer { nodes, form });
    };
    let fused = fuse::fused::<A>(graph, &convolutions, apart);
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some((nodes, packed)) = fused.get(&index) {
            let names: Vec<&str> = nodes.iter().map(|&node| graph.nodes[node].name.as_str()).collect();
            let node = QuantizedNode {
                name: names.join(" + "),
                operation: Operation::PackedConv2d(packed.clone()),
                inputs: graph.nodes[nodes[0]].inputs.clone(),
                output: node.output,
            };
            push(node, nodes.clone(), Form::Packed);
            continue;
        }
        if fused.values().any(|(nodes, _)| nodes.contains(&index)) {
            continue;
        }
        match &convolutions[index] {
            None => push(node.clone(), vec![index], Form::Common),
            Some(convolution) => {
                match convolution.as_ref().map_err(|reason| *reason).and_then(Convolution::pack::<A>) {
                    Ok(packed) => {
                        let operation = Operation::PackedConv2d(packed);
                        push(QuantizedNode { operation, ..node.clone() }, vec![index], Form::Packed);
                    }
                    Err(reason) => push(node.clone(), vec![index], Form::Portable(reason)),
                }
            }
        }
    }
    lowered
}
