//! A node of an ONNX file with its operands resolved, and access to its attributes.

use std::rc::Rc;

use rten_onnx::onnx::{AttributeProto, NodeProto};

use super::super::builder::Value;
use super::super::constant::Constant;
use super::super::error::Refusal;

/// What a name in the file stands for.
#[derive(Clone)]
pub(super) enum Entry {
    /// Known at conversion.
    Constant(Rc<Constant>),
    /// Computed at run time.
    Value(Value),
}

/// One node.
#[derive(Clone)]
pub(super) struct NodeView<'a> {
    pub proto: &'a NodeProto,
    pub name: String,
    pub operator: &'a str,
    /// Operands; `None` where an optional one is left out.
    pub inputs: Vec<Option<Entry>>,
    /// Version of the default operator set.
    pub opset: i64,
}

/// The name of a node in messages: its own, or that of its first output.
pub(super) fn display_name(proto: &NodeProto) -> String {
    let own = proto.name.as_deref().filter(|name| !name.is_empty());
    let output = proto.output.first().map(String::as_str);
    own.or(output).unwrap_or("unnamed").to_owned()
}

impl<'a> NodeView<'a> {
    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.attribute(name).and_then(|attribute| attribute.s.as_deref())
    }

    pub fn raw_attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.attribute(name)
    }

    /// A run-time operand.
    pub fn value(&self, index: usize) -> Result<&Value, Refusal> {
        match self.inputs.get(index) {
            Some(Some(Entry::Value(value))) => Ok(value),
            Some(Some(Entry::Constant(_))) => {
                Err(Refusal::unsupported(format!("operand {index} is a constant where a tensor is expected")))
            }
            _ => Err(Refusal::malformed(format!("operand {index} is missing"))),
        }
    }

    /// A constant operand, `None` where it is left out.
    pub fn constant(&self, index: usize) -> Result<Option<&Constant>, Refusal> {
        match self.inputs.get(index) {
            Some(Some(Entry::Constant(constant))) => Ok(Some(constant)),
            Some(Some(Entry::Value(_))) => Err(Refusal::unsupported(format!(
                "operand {index} ('{}') is computed at run time where a constant is expected",
                self.proto.input[index]
            ))),
            _ => Ok(None),
        }
    }

    pub fn required_constant(&self, index: usize) -> Result<&Constant, Refusal> {
        self.constant(index)?.ok_or_else(|| Refusal::malformed(format!("operand {index} is missing")))
    }

    /// A constant operand of weights: refused where a value is not finite.
    pub fn weights(&self, index: usize) -> Result<Option<&Constant>, Refusal> {
        let Some(constant) = self.constant(index)? else { return Ok(None) };
        match constant.floats().iter().find(|value| !value.is_finite()) {
            Some(value) => Err(Refusal::new(
                format!("tensor '{}' holds a value that is {value}", self.proto.input[index]),
                "training has diverged or the file is damaged: train or export again",
            )),
            None => Ok(Some(constant)),
        }
    }

    /// An axis, counted from the end where negative.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Refusal> {
        let counted = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(axis) } else { axis };
        usize::try_from(counted)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| Refusal::malformed(format!("axis {axis} of a tensor of {rank} axes")))
    }

    /// Axes from an attribute, or from a constant operand as in later operator sets; `None` where neither is there.
    pub fn axes(&self, attribute: &str, operand: usize, rank: usize) -> Result<Option<Vec<usize>>, Refusal> {
        let list = match (self.ints(attribute), self.constant(operand)?) {
            (Some(list), _) => list,
            (None, Some(constant)) => constant.ints()?,
            (None, None) => return Ok(None),
        };
        let mut axes = list.iter().map(|&axis| self.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(Some(axes))
    }
}
