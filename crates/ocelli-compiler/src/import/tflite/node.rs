//! An operator of a TFLite file with its operands.

use super::super::builder::Value;
use super::super::error::Refusal;
use super::reader::Table;
use super::tensors::TensorInfo;
use crate::graph::Quantization;

/// What an operand is.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    Constant(&'a TensorInfo<'a>),
    Value(&'a TensorInfo<'a>, &'a Value),
}

/// One operator.
pub(super) struct NodeView<'a> {
    /// The name of its output: operators have none of their own.
    pub name: String,
    pub operator: &'static str,
    pub operands: Vec<Option<Operand<'a>>>,
    pub output: &'a TensorInfo<'a>,
    pub options: Option<Table<'a>>,
}

impl<'a> NodeView<'a> {
    pub fn operand(&self, index: usize) -> Result<Operand<'a>, Refusal> {
        let operand = self.operands.get(index).copied().flatten();
        operand.ok_or_else(|| Refusal::malformed(format!("operand {index} is missing")))
    }

    /// A run-time operand.
    pub fn value(&self, index: usize) -> Result<&'a Value, Refusal> {
        match self.operand(index)? {
            Operand::Value(_, value) => Ok(value),
            Operand::Constant(info) => Err(Refusal::unsupported(format!(
                "operand '{}' is a constant where a tensor is expected",
                info.name
            ))),
        }
    }

    /// A constant operand, `None` where it is left out.
    pub fn constant(&self, index: usize) -> Result<Option<&'a TensorInfo<'a>>, Refusal> {
        match self.operands.get(index).copied().flatten() {
            None => Ok(None),
            Some(Operand::Constant(info)) => Ok(Some(info)),
            Some(Operand::Value(info, _)) => Err(Refusal::unsupported(format!(
                "operand '{}' is computed at run time where a constant is expected",
                info.name
            ))),
        }
    }

    pub fn required_constant(&self, index: usize) -> Result<&'a TensorInfo<'a>, Refusal> {
        self.constant(index)?.ok_or_else(|| Refusal::malformed(format!("operand {index} is missing")))
    }

    /// Integers of a constant operand (axes, borders, a permutation).
    pub fn integers(&self, index: usize) -> Result<Vec<i64>, Refusal> {
        Ok(self.required_constant(index)?.constant()?.ints()?.to_vec())
    }

    /// The output's quantization; `None` in float networks.
    pub fn quantization(&self) -> Result<Option<Quantization>, Refusal> {
        self.output.activation_quantization()
    }

    pub fn option_byte(&self, field: usize) -> Result<u8, Refusal> {
        self.options.map_or(Ok(0), |options| options.byte(field))
    }

    pub fn option_int(&self, field: usize, default: i32) -> Result<i32, Refusal> {
        self.options.map_or(Ok(default), |options| options.int(field, default))
    }

    pub fn option_float(&self, field: usize) -> Result<f32, Refusal> {
        self.options.map_or(Ok(0.0), |options| options.float(field))
    }
}
