//! MobileViTv2's separable attention by its structure: a softmax over tokens of one channel, a product with the keys, a sum over the
//! tokens, a product with the values.

use super::super::builder::Value;
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::Importer;
use super::deferred::{Meaning, Stop};
use super::node::{Entry, NodeView};

/// How far the pattern has come.
#[derive(Clone)]
pub(super) struct Separable {
    /// The tensor under the softmax.
    scores: Value,
    /// The axes of the tokens.
    tokens: Vec<usize>,
    step: Step,
}

#[derive(Clone)]
enum Step {
    /// The softmax.
    Weights,
    /// Its product with keys; the axis of their channels.
    Product { key: Value, channels: usize },
    /// The sum of that over the tokens.
    Sum { key: Value, channels: usize },
}

impl<'a> Importer<'a> {
    /// The meaning of a value that is seen with as many elements as it was made.
    fn separable(&self, value: &Value) -> Option<Separable> {
        match self.meaning(value.tensor)? {
            Meaning::Separable(separable) => Some(separable.clone()),
            _ => None,
        }
    }

    /// A softmax that is not over the scores of an attention.
    pub(super) fn token_weights_step(&mut self, node: &NodeView<'a>, axes: &[usize]) -> Result<Value, Stop> {
        let scores = self.plain(node.value(0)?)?;
        let dims = scores.layout.dims();
        let separable = Separable { scores, tokens: axes.to_vec(), step: Step::Weights };
        Ok(self.defer(node, Meaning::Separable(separable), &dims))
    }

    /// The product of weights and keys, or of values and the sum.
    pub(super) fn token_product_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let ("Mul", [Some(Entry::Value(first)), Some(Entry::Value(second))]) =
            (node.operator, node.inputs.as_slice())
        else {
            return Ok(None);
        };
        let (separable, seen, other) = match (self.separable(first), self.separable(second)) {
            (Some(separable), None) => (separable, first, second),
            (None, Some(separable)) => (separable, second, first),
            _ => return Ok(None),
        };
        let (dims, seen_dims) = (other.layout.dims(), seen.layout.dims());
        match separable.step.clone() {
            Step::Weights => {
                let own = separable.scores.layout.dims();
                let broadcast: Vec<usize> = if own.len() == dims.len() {
                    (0..own.len()).filter(|&axis| own[axis] != dims[axis]).collect()
                } else {
                    Vec::new()
                };
                let ([channels], true) = (broadcast.as_slice(), seen_dims == own) else { return Ok(None) };
                if own[*channels] != 1 || separable.tokens.contains(channels) {
                    return Ok(None);
                }
                let key = self.plain(other)?;
                let step = Step::Product { key, channels: *channels };
                Ok(Some(self.defer(node, Meaning::Separable(Separable { step, ..separable }), &dims)))
            }
            Step::Sum { key, channels } => {
                let mut summed = dims.clone();
                separable.tokens.iter().for_each(|&axis| summed[axis] = 1);
                if key.layout.dims() != dims || (seen_dims != summed && seen_dims != dims) {
                    return Ok(None);
                }
                let value = self.plain(other)?;
                let value = self.separable_attention(node, &separable, [&key, &value], channels)?;
                Ok(Some(value))
            }
            Step::Product { .. } => Ok(None),
        }
    }

    /// The sum of the weighted keys.
    pub(super) fn token_sum_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let Some(Some(Entry::Value(value))) = node.inputs.first() else { return Ok(None) };
        let Some(separable) = self.separable(value) else { return Ok(None) };
        let Step::Product { key, channels } = separable.step.clone() else { return Ok(None) };
        let mut dims = value.layout.dims();
        let axes = node.axes("axes", 1, dims.len())?;
        if node.operator != "ReduceSum"
            || dims != key.layout.dims()
            || axes.as_ref() != Some(&separable.tokens)
        {
            return Ok(None);
        }
        separable.tokens.iter().for_each(|&axis| dims[axis] = 1);
        if node.int("keepdims", 1) == 0 {
            let kept = (0..dims.len()).filter(|axis| !separable.tokens.contains(axis));
            dims = kept.map(|axis| dims[axis]).collect();
        }
        let step = Step::Sum { key, channels };
        Ok(Some(self.defer(node, Meaning::Separable(Separable { step, ..separable }), &dims)))
    }

    /// The sum repeated for each token.
    pub(super) fn expanded_sum_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Refusal> {
        let Some(Some(Entry::Value(value))) = node.inputs.first() else { return Ok(None) };
        let Some(separable) = self.separable(value) else { return Ok(None) };
        let Step::Sum { key, .. } = &separable.step else { return Ok(None) };
        let target = node.required_constant(1)?.ints()?;
        let dims = key.layout.dims();
        let same = target.len() == dims.len()
            && target.iter().zip(&dims).all(|(&size, &dim)| size == 1 || size == dim as i64);
        if !same || value.layout.rank() != dims.len() {
            return Ok(None);
        }
        Ok(Some(self.defer(node, Meaning::Separable(separable), &dims)))
    }

    fn separable_attention(
        &mut self,
        node: &NodeView<'a>,
        separable: &Separable,
        [key, value]: [&Value; 2],
        channels: usize,
    ) -> Result<Value, Refusal> {
        let rank = value.layout.rank();
        let is_token = |axis: &usize| separable.tokens.contains(axis);
        let mut order: Vec<usize> = (0..rank).filter(|axis| *axis != channels && !is_token(axis)).collect();
        order.extend((0..rank).filter(is_token));
        order.push(channels);
        let dims = value.layout.transposed(&order).dims();
        let first_token = rank - 1 - separable.tokens.len();
        let (sequences, tokens) =
            (dims[..first_token].iter().product(), dims[first_token..rank - 1].iter().product());
        let regrouped = || Refusal::unsupported("this grouping of axes");
        let grouped = |value: &Value, depth: usize| {
            let layout = value.layout.transposed(&order).reshaped(&[sequences, tokens, depth]);
            Ok::<_, Refusal>(Value { tensor: value.tensor, layout: layout.ok_or_else(regrouped)? })
        };
        let (key, value) = (grouped(key, dims[rank - 1])?, grouped(value, dims[rank - 1])?);
        let scores = grouped(&separable.scores, 1)?;
        let result = self.builder.separable_attention(&node.name, [&scores, &key, &value]);
        let back: Vec<usize> =
            (0..rank).map(|axis| order.iter().position(|&other| other == axis).unwrap_or(axis)).collect();
        let layout = Layout::in_file_order(&[sequences, tokens, dims[rank - 1]])
            .reshaped(&dims)
            .and_then(|view| result.layout.through(&view.transposed(&back)))
            .ok_or_else(regrouped)?;
        Ok(Value { tensor: result.tensor, layout })
    }
}
