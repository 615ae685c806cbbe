//! Attention by its structure: a product, a scale, a mask, a softmax over the keys, a product.
//!
//! Which operand is the query is told by the softmax, and how tokens, heads and sequences lie by the layouts, so that every order of
//! operands and axes is the same pattern.

use std::rc::Rc;

use super::super::builder::Value;
use super::super::constant::{Constant, element_count};
use super::super::elementwise::{broadcast_layout, in_storage_order};
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::super::tokens::{AttentionOperands, Product};
use super::Importer;
use super::deferred::{Meaning, Stop};
use super::node::{Entry, NodeView};
use crate::graph::{Constant as GraphConstant, Operator, Shape};

/// A summand of a score from which on a key counts as hidden: `exp` of it is nothing beside any other score.
const HIDDEN: f32 = -1e4;

/// The operand of a product whose tokens are the keys.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Keys {
    Left,
    Right,
}

/// `scale * product + bias`, or its softmax over the keys.
#[derive(Clone)]
pub(super) struct Scores {
    product: Product,
    scale: f64,
    /// `[batch][rows][columns]` of the product.
    bias: Option<Rc<Vec<f32>>>,
    /// The layout over a tensor `[batch, rows, columns]` in that order.
    layout: Layout,
    /// Set by the softmax.
    keys: Option<Keys>,
}

impl Scores {
    /// The bias with another added, which is given in the order of this one.
    fn biased(mut self, layout: Layout, values: impl Iterator<Item = f32>) -> Option<Self> {
        let hide = |value: f32| if value <= HIDDEN { f32::NEG_INFINITY } else { value };
        let sum: Vec<f32> = match &self.bias {
            Some(bias) => bias.iter().zip(values).map(|(a, b)| hide(a + b)).collect(),
            None => values.map(hide).collect(),
        };
        let valid = sum.iter().all(|value| value.is_finite() || *value == f32::NEG_INFINITY);
        self.bias = Some(Rc::new(sum));
        self.layout = layout;
        valid.then_some(self)
    }

    /// Which operand's tokens these axes are.
    fn side(&self, axes: &[usize]) -> Option<Keys> {
        let [_, rows, _, columns] = self.product.sizes();
        let sizes = self.layout.factor_sizes();
        // The place of the first factor that, with all after it, makes this many elements.
        let start = |elements: usize| {
            (0..=sizes.len()).find(|&place| sizes[place..].iter().product::<usize>() == elements)
        };
        let (right, left) = (start(columns)?, start(rows * columns)?);
        let mut factors = self.layout.factors_of(axes);
        factors.sort_unstable();
        if factors.iter().copied().eq(right..sizes.len()) {
            return Some(Keys::Right);
        }
        factors.iter().copied().eq(left..right).then_some(Keys::Left)
    }

    fn operands(&self, value: Value) -> AttentionOperands {
        let flip =
            |value: &Value| Value { tensor: value.tensor, layout: value.layout.transposed(&[0, 2, 1]) };
        let [_, rows, _, columns] = self.product.sizes();
        let bias = self.bias.as_deref();
        let (query, key, bias) = match self.keys {
            Some(Keys::Left) => {
                let flipped = |map: &[f32]| -> Vec<f32> {
                    (0..map.len()).map(|index| map[index % rows * columns + index / rows]).collect()
                };
                let bias = bias.map(|bias| bias.chunks_exact(rows * columns).flat_map(flipped).collect());
                (flip(&self.product.right), self.product.left.clone(), bias)
            }
            _ => (self.product.left.clone(), flip(&self.product.right), bias.cloned()),
        };
        AttentionOperands { query, key, value, scale: self.scale, bias }
    }
}

impl<'a> Importer<'a> {
    fn scores(&self, value: &Value) -> Option<Scores> {
        match self.meaning(value.tensor)? {
            Meaning::Scores(scores) => {
                Some(Scores { layout: scores.layout.through(&value.layout)?, ..scores.clone() })
            }
            _ => None,
        }
    }

    /// The operand that is scores before their softmax, and the other, which is constant; and whether the constant comes first.
    fn scores_and_constant(&self, entries: [&Option<Entry>; 2]) -> Option<(Scores, Rc<Constant>, bool)> {
        let (value, constant, reversed) = match entries {
            [Some(Entry::Value(value)), Some(Entry::Constant(constant))] => (value, constant, false),
            [Some(Entry::Constant(constant)), Some(Entry::Value(value))] => (value, constant, true),
            _ => return None,
        };
        let scores = self.scores(value).filter(|scores| scores.keys.is_none())?;
        Some((scores, constant.clone(), reversed))
    }

    fn defer_scores(&mut self, node: &NodeView<'a>, scores: Scores) -> Value {
        let dims = scores.layout.dims();
        self.defer(node, Meaning::Scores(scores), &dims)
    }

    /// A scale, a bias or a mask.
    pub(super) fn score_step(&mut self, node: &NodeView<'a>) -> Option<Value> {
        let [first, second] = node.inputs.as_slice() else { return None };
        let (mut scores, constant, reversed) = self.scores_and_constant([first, second])?;
        let layout = broadcast_layout(&scores.layout, &constant.dims).ok()?;
        let scores = match (node.operator, reversed) {
            ("Mul", _) | ("Div", false) => {
                let factor = f64::from(constant.scalar()?);
                let factor = if node.operator == "Div" { 1.0 / factor } else { factor };
                let usable = factor.is_finite() && factor != 0.0;
                scores.scale *= factor;
                let bias = scores.bias.take();
                scores.bias = bias.map(|bias| {
                    Rc::new(bias.iter().map(|&value| (f64::from(value) * factor) as f32).collect())
                });
                scores.layout = layout;
                Some(scores).filter(|_| usable)
            }
            ("Add", _) | ("Sub", false) => {
                let values = in_storage_order(&layout, &constant).ok()?;
                let sign = if node.operator == "Sub" { -1.0 } else { 1.0 };
                scores.biased(layout, values.into_iter().map(|value| sign * value))
            }
            _ => None,
        }?;
        Some(self.defer_scores(node, scores))
    }

    /// `Where` with a constant condition hides keys; with the test of the weights for "not a number" it replaces what never occurs.
    pub(super) fn mask_step(&mut self, node: &NodeView<'a>) -> Option<Value> {
        let [condition, yes, no] = node.inputs.as_slice() else { return None };
        if let [Some(Entry::Value(test)), Some(Entry::Constant(_)), Some(Entry::Value(weights))] =
            [condition, yes, no]
            && let Some(Meaning::NotANumber(tested)) = self.meaning(test.tensor)
        {
            let same =
                tested.tensor == weights.tensor && tested.layout.through(&test.layout)? == weights.layout;
            return same.then(|| weights.clone());
        }
        let Some(Entry::Constant(condition)) = condition else { return None };
        let (scores, other, replaced_if) = self.scores_and_constant([yes, no])?;
        let layout = broadcast_layout(&scores.layout, &condition.dims).ok()?;
        let layout = broadcast_layout(&layout, &other.dims).ok()?;
        let condition = in_storage_order(&layout, condition).ok()?;
        let other = in_storage_order(&layout, &other).ok()?;
        let replaced = |index: usize| (condition[index] != 0.0) == replaced_if;
        if (0..other.len()).any(|index| replaced(index) && other[index] > HIDDEN) {
            return None;
        }
        let values = (0..other.len()).map(|index| if replaced(index) { f32::NEG_INFINITY } else { 0.0 });
        let scores = scores.biased(layout, values)?;
        Some(self.defer_scores(node, scores))
    }

    pub(super) fn not_a_number_step(&mut self, node: &NodeView<'a>) -> Option<Value> {
        let value = node.value(0).ok()?.clone();
        self.scores(&value)?.keys?;
        let dims = value.layout.dims();
        // The test is seen as its own tensor, of which this layout is the start.
        Some(self.defer(node, Meaning::NotANumber(value), &dims))
    }

    pub(super) fn softmax_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let Some(Some(Entry::Value(value))) = node.inputs.first() else { return Ok(None) };
        let axes = super::math::softmax_axes(node, value.layout.rank())?;
        let Some(scores) = self.scores(value).filter(|scores| scores.keys.is_none()) else {
            return self.token_weights_step(node, &axes).map(Some);
        };
        let Some(keys) = scores.side(&axes) else {
            self.missed.insert(node.name.clone(), "its softmax is not over the keys".to_owned());
            return Ok(None);
        };
        Ok(Some(self.defer_scores(node, Scores { keys: Some(keys), ..scores })))
    }

    /// A product of two tensors: of weights and values it is an attention, else it may be the scores of one.
    pub(super) fn product_step(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        let Some(mut product) = self.product_of(node)? else { return Ok(None) };
        if let Some(value) = self.attend(node, &product)? {
            return Ok(Some(value));
        }
        product.left = self.plain(&product.left)?;
        product.right = self.plain(&product.right)?;
        let [batch, rows, _, columns] = product.sizes();
        let layout = product.layout.clone();
        debug_assert_eq!(layout.len(), batch * rows * columns);
        let scores = Scores { product, scale: 1.0, bias: None, layout, keys: None };
        Ok(Some(self.defer_scores(node, scores)))
    }

    /// The operands of a `MatMul` or `Einsum` of two tensors; `None` where one is a matrix of weights.
    pub(super) fn product_of(&mut self, node: &NodeView<'a>) -> Result<Option<Product>, Refusal> {
        let [Some(left), Some(right)] = node.inputs.as_slice() else {
            return Err(Refusal::unsupported("a product that is not of two operands"));
        };
        let is_matrix = |entry: &Entry| match entry {
            Entry::Constant(constant) => {
                constant.dims.len() < 3
                    || constant.dims[..constant.dims.len() - 2].iter().all(|&size| size == 1)
            }
            Entry::Value(_) => false,
        };
        if node.operator == "MatMul" && (is_matrix(left) || is_matrix(right)) {
            return Ok(None);
        }
        let left = self.as_value(node, left);
        let right = self.as_value(node, right);
        if node.operator == "Einsum" {
            return super::einsum::product(node, left, right).map(Some);
        }
        let (left_dims, right_dims) = (left.layout.dims(), right.layout.dims());
        let ([left_batch @ .., rows, inner], [right_batch @ .., own_inner, columns]) =
            (left_dims.as_slice(), right_dims.as_slice())
        else {
            return Err(Refusal::unsupported("a product of tensors with less than two axes"));
        };
        let sizes =
            |batch: &[usize]| -> Vec<usize> { batch.iter().copied().skip_while(|&size| size == 1).collect() };
        if sizes(left_batch) != sizes(right_batch) || inner != own_inner {
            return Err(Refusal::unsupported(format!(
                "a product of shapes {left_dims:?} and {right_dims:?} (all axes but the last two must be alike)"
            )));
        }
        let longer = if left_batch.len() > right_batch.len() { left_batch } else { right_batch };
        let batch: usize = longer.iter().product();
        let dims: Vec<usize> = longer.iter().chain([rows, columns]).copied().collect();
        element_count(&dims)?;
        let grouped = |value: Value, dims: [usize; 3]| {
            let layout = value.layout.reshaped(&dims);
            let layout = layout.ok_or_else(|| Refusal::unsupported("this grouping of axes"))?;
            Ok::<_, Refusal>(Value { tensor: value.tensor, layout })
        };
        let layout = Layout::in_file_order(&[batch, *rows, *columns]).reshaped(&dims);
        Ok(Some(Product {
            left: grouped(left, [batch, *rows, *inner])?,
            right: grouped(right, [batch, *inner, *columns])?,
            layout: layout.ok_or_else(|| Refusal::unsupported("this grouping of axes"))?,
        }))
    }

    /// A constant operand as a tensor.
    pub(super) fn as_value(&mut self, node: &NodeView<'_>, entry: &Entry) -> Value {
        match entry {
            Entry::Value(value) => value.clone(),
            Entry::Constant(constant) => {
                let layout = Layout::in_file_order(&constant.dims);
                let operator = Operator::Constant(GraphConstant::Float(constant.floats()));
                let name = format!("{}/constant", node.name);
                let shape = Shape::new(1, 1, layout.len());
                let tensor = self.builder.emit(&name, operator, vec![], shape, None);
                Value { tensor, layout }
            }
        }
    }

    /// The attention of which this is the last product.
    fn attend(&mut self, node: &NodeView<'a>, product: &Product) -> Result<Option<Value>, Stop> {
        let weights = |value: &Value| self.scores(value).filter(|scores| scores.keys.is_some());
        let (scores, weights, value, first) = match (weights(&product.left), weights(&product.right)) {
            (Some(scores), _) => (scores, &product.left, product.right.clone(), true),
            (None, Some(scores)) => {
                let layout = product.left.layout.transposed(&[0, 2, 1]);
                (scores, &product.right, Value { tensor: product.left.tensor, layout }, false)
            }
            (None, None) => return Ok(None),
        };
        let [batch, rows, _, columns] = scores.product.sizes();
        let stored = Layout::in_file_order(&[batch, rows, columns]);
        // The weights as [batch, queries, keys].
        let turned = if first { scores.layout.clone() } else { scores.layout.transposed(&[0, 2, 1]) };
        let (expected, keys) = match scores.keys {
            Some(Keys::Left) => (stored.transposed(&[0, 2, 1]), rows),
            _ => (stored, columns),
        };
        let softmax = self.deferred.get(&weights.tensor).map(|deferred| deferred.node.clone());
        let name = softmax.as_ref().and_then(|softmax| softmax.proto.output.first());
        let reason = if turned != expected || value.layout.dims()[1] != keys {
            Some("its product with the values is not over the keys")
        } else if name.is_some_and(|name| self.readers(name) > 1) {
            Some("its weights are also an output, or read by another node")
        } else {
            None
        };
        if let (Some(reason), Some(softmax)) = (reason, &softmax) {
            self.missed.insert(softmax.name.clone(), reason.to_owned());
            return Ok(None);
        }
        let value = self.plain(&value)?;
        let mut operands = scores.operands(value);
        for operand in [&mut operands.query, &mut operands.key] {
            let (unscaled, scale) = self.builder.unscaled(operand);
            *operand = unscaled;
            operands.scale *= scale;
        }
        let result = match self.builder.attention(&node.name, &operands) {
            Ok(result) => result,
            // Without keys that are hidden the plain operators do it.
            Err(reason) if scores.bias.as_ref().is_some_and(|bias| bias.contains(&f32::NEG_INFINITY)) => {
                let remedy =
                    "export it with a mask that is alike for all sequences and lets each query see a key";
                return Err(Refusal::new(reason, remedy).into());
            }
            Err(reason) => {
                if let Some(softmax) = softmax {
                    self.missed.insert(softmax.name, reason);
                }
                return Ok(None);
            }
        };
        let layout = if first { result.layout } else { result.layout.transposed(&[0, 2, 1]) };
        let layout = layout.through(&product.layout);
        let layout = layout.ok_or_else(|| Refusal::unsupported("this grouping of axes"))?;
        Ok(Some(Value { tensor: result.tensor, layout }))
    }

    /// How many nodes read a tensor, other than for its shape or to test for "not a number", and whether it is an output. What only changes
    /// how it is seen is looked through.
    fn readers(&self, name: &str) -> usize {
        let mut names = vec![name];
        let mut next = 0;
        let mut count = 0;
        while let Some(&name) = names.get(next) {
            next += 1;
            count += usize::from(self.graph.output.iter().any(|output| output.name.as_deref() == Some(name)));
            for node in self.graph.node.iter().filter(|node| node.input.iter().any(|input| input == name)) {
                match node.op_type.as_deref().unwrap_or_default() {
                    "Shape" | "Size" | "IsNaN" => {}
                    "Identity" | "Dropout" | "Cast" | "Transpose" | "Reshape" | "Flatten" | "Squeeze"
                    | "Unsqueeze" | "Where" => {
                        let output = node.output.first().map(String::as_str);
                        names.extend(output.filter(|output| !names.contains(output)));
                    }
                    _ => count += 1,
                }
            }
        }
        count
    }
}
