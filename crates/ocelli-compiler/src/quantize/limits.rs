//! How large the operators on sequences may be in int8.

use crate::graph::{Graph, Node, NormExtent, Operator, Sequences, Shape};
use crate::pack::attention::{LONGEST_SEQUENCE, LONGEST_SUM};
use ocelli_kernels::norm::LARGEST_COUNT;

/// What makes a node too large, whose shapes fit together.
pub(super) fn check(graph: &Graph, node: &Node) -> Result<(), String> {
    let shapes: Vec<Shape> = node.inputs.iter().map(|&id| graph.tensor(id).shape).collect();
    match (&node.operator, shapes.as_slice()) {
        (Operator::Attention(attention), [query, key, ..]) => {
            products(query.channels / attention.heads.max(1), "channels of a head")?;
            tokens(*key, attention.key_patch)
        }
        (Operator::SeparableAttention { patch }, [scores, ..]) => tokens(*scores, *patch),
        (Operator::MatMul { .. }, [first, _]) => products(first.channels, "columns of the first matrix"),
        (Operator::Norm(norm), [shape]) => {
            let count = if norm.over == NormExtent::Map { shape.len() } else { shape.channels };
            if count > LARGEST_COUNT {
                return Err(format!(
                    "it normalizes {count} values together, at most {LARGEST_COUNT} fit its sums: use a smaller input"
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn tokens(shape: Shape, patch: [usize; 2]) -> Result<(), String> {
    let tokens = Sequences::of(shape, patch).map_or(0, |sequences| sequences.tokens);
    if tokens > LONGEST_SEQUENCE {
        return Err(format!(
            "its sequences of {tokens} tokens are longer than {LONGEST_SEQUENCE}, the most whose weights add up within 24 bits: use a \
             smaller input, larger patches, or attention over windows"
        ));
    }
    Ok(())
}

fn products(count: usize, what: &str) -> Result<(), String> {
    if count > LONGEST_SUM {
        return Err(format!("{count} {what}, at most {LONGEST_SUM} have sums within 32 bits: use fewer"));
    }
    Ok(())
}
