//! Nodes whose meaning only shows in what reads them: the product and softmax of an attention, the means of a norm.
//!
//! Such a node is put off: its result is a tensor that no node makes, stored in the file's order, so that transposes and reshapes of it stay
//! layouts. Readers that know the pattern look at its [`Meaning`]. For all others it is converted as it stands.

use super::super::builder::Value;
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::Importer;
use super::attention::Scores;
use super::node::{Entry, NodeView};
use super::rows::Row;
use super::separable::Separable;
use crate::graph::{Shape, TensorId};

/// What a node that was put off computes.
#[derive(Clone)]
pub(super) enum Meaning {
    /// Scores of an attention, or the weights that softmax makes of them.
    Scores(Scores),
    /// Where attention weights (of this tensor) are not a number.
    NotANumber(Value),
    /// A step of a separable attention.
    Separable(Separable),
    /// A function of the rows of a tensor.
    Row(Row),
}

/// A node that was put off.
pub(super) struct Deferred<'a> {
    pub node: NodeView<'a>,
    pub meaning: Meaning,
    /// Its result, once it had to be converted as it stands; `None` inside where that failed (which has been reported).
    plain: Option<Option<Value>>,
}

/// Why a conversion ended.
pub(super) enum Stop {
    /// The node cannot be imported.
    Refused(Refusal),
    /// An operand cannot be made, which has been reported.
    Reported,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<'a> Importer<'a> {
    /// Puts a node off whose result has these dimensions.
    pub(super) fn defer(&mut self, node: &NodeView<'a>, meaning: Meaning, dims: &[usize]) -> Value {
        let layout = Layout::in_file_order(dims);
        let tensor = self.builder.graph.add_tensor(&node.name, Shape::new(1, 1, layout.len()));
        self.deferred.insert(tensor, Deferred { node: node.clone(), meaning, plain: None });
        Value { tensor, layout }
    }

    pub(super) fn meaning(&self, tensor: TensorId) -> Option<&Meaning> {
        self.deferred.get(&tensor).map(|deferred| &deferred.meaning)
    }

    /// The value as a tensor that is computed: the node that makes it is converted as it stands if it was put off.
    pub(super) fn plain(&mut self, value: &Value) -> Result<Value, Stop> {
        let Some(deferred) = self.deferred.get(&value.tensor) else { return Ok(value.clone()) };
        let made = match &deferred.plain {
            Some(made) => made.clone(),
            None => {
                let node = deferred.node.clone();
                let made = self.convert_as_it_stands(&node);
                if let Some(deferred) = self.deferred.get_mut(&value.tensor) {
                    deferred.plain = Some(made.clone());
                }
                made
            }
        };
        let made = made.ok_or(Stop::Reported)?;
        if let Some(layout) = made.layout.through(&value.layout) {
            return Ok(Value { tensor: made.tensor, layout });
        }
        let name = self.builder.graph.tensor(value.tensor).name.clone();
        let moved = self.builder.reshaped(&made, value.layout.factor_sizes(), &name);
        let layout = moved.layout.through(&value.layout);
        let layout =
            layout.ok_or_else(|| Refusal::unsupported("this sequence of reshapes and transposes"))?;
        Ok(Value { tensor: moved.tensor, layout })
    }

    /// The first result of a node that was put off; reports a failure under its name.
    fn convert_as_it_stands(&mut self, node: &NodeView<'a>) -> Option<Value> {
        let made = self.with_plain_operands(node).and_then(|node| self.convert_plain(&node));
        match made.map(|entries| entries.into_iter().next()) {
            Ok(Some(Entry::Value(value))) => return Some(value),
            Ok(_) => {
                let refusal = Refusal::unsupported("a result that is no tensor");
                self.fail(Some(&node.name), Some(node.operator), refusal, &node.proto.output);
            }
            Err(Stop::Refused(refusal)) => {
                self.fail(Some(&node.name), Some(node.operator), refusal, &node.proto.output);
            }
            Err(Stop::Reported) => {}
        }
        None
    }

    /// The node with operands that are computed.
    pub(super) fn with_plain_operands(&mut self, node: &NodeView<'a>) -> Result<NodeView<'a>, Stop> {
        let mut node = node.clone();
        for entry in node.inputs.iter_mut().flatten() {
            if let Entry::Value(value) = entry {
                *value = self.plain(value)?;
            }
        }
        Ok(node)
    }

    /// A node that only changes how a tensor is seen, of one that was put off; `None` for all others.
    pub(super) fn view(&self, node: &NodeView<'_>) -> Result<Option<Value>, Refusal> {
        let Some(Some(Entry::Value(value))) = node.inputs.first() else { return Ok(None) };
        if !self.deferred.contains_key(&value.tensor) {
            return Ok(None);
        }
        let layout = match node.operator {
            "Identity" | "Dropout" | "Cast" => Some(value.layout.clone()),
            "Transpose" => {
                Some(value.layout.transposed(&super::shapes::permutation(node, value.layout.rank())?))
            }
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                value.layout.reshaped(&super::shapes::new_dims(node, &value.layout.dims())?)
            }
            _ => None,
        };
        Ok(layout.map(|layout| Value { tensor: value.tensor, layout }))
    }

    /// A node that is a step of a pattern of several; `None` where it stands for itself.
    pub(super) fn pattern(&mut self, node: &NodeView<'a>) -> Result<Option<Value>, Stop> {
        match node.operator {
            "MatMul" | "Einsum" => self.product_step(node),
            "Softmax" => self.softmax_step(node),
            "IsNaN" => Ok(self.not_a_number_step(node)),
            "Where" => Ok(self.mask_step(node)),
            "ReduceMean" | "ReduceSum" | "ReduceL2" | "ReduceSumSquare" => match self.token_sum_step(node)? {
                None => Ok(self.reduction_step(node)?),
                sum => Ok(sum),
            },
            "Expand" => Ok(self.expanded_sum_step(node)?),
            "Add" | "Sub" | "Mul" | "Div" => {
                if let Some(value) = self.score_step(node) {
                    return Ok(Some(value));
                }
                match self.token_product_step(node)? {
                    None => self.row_step(node),
                    product => Ok(product),
                }
            }
            "Pow" | "Sqrt" | "Reciprocal" | "Neg" | "Clip" | "Max" => self.row_step(node),
            _ => Ok(None),
        }
    }
}
