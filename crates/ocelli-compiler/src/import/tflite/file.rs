//! The parts of a TFLite file.

use super::super::error::Refusal;
use super::reader::Table;
use super::schema::{self, model, operator, operator_code, subgraph};
use super::tensors::TensorInfo;

/// Tensor indices as the file holds them.
#[derive(Clone, Copy)]
pub(super) struct Indices<'a>(&'a [[u8; 4]]);

impl<'a> Indices<'a> {
    pub fn iter(self) -> impl Iterator<Item = i32> + use<'a> {
        self.0.iter().map(|&index| i32::from_le_bytes(index))
    }

    pub fn len(self) -> usize {
        self.0.len()
    }

    pub fn get(self, place: usize) -> Option<i32> {
        self.0.get(place).map(|&index| i32::from_le_bytes(index))
    }
}

/// The parts of a file.
pub(super) struct File<'a> {
    pub name: String,
    pub tensors: Vec<TensorInfo<'a>>,
    pub operators: Vec<FileOperator<'a>>,
    pub inputs: Indices<'a>,
    pub outputs: Indices<'a>,
}

/// One operator of the file.
pub(super) struct FileOperator<'a> {
    /// The built-in name, or why there is none.
    pub kind: Result<&'static str, String>,
    pub inputs: Indices<'a>,
    pub outputs: Indices<'a>,
    pub options: Option<Table<'a>>,
}

impl<'a> File<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let root = Table::root(bytes)?;
        let subgraphs = root.tables(model::SUBGRAPHS)?;
        let &[graph] = subgraphs.as_slice() else {
            return Err(Refusal::unsupported(format!(
                "the file holds {} subgraphs, not one",
                subgraphs.len()
            )));
        };
        let buffers = root.tables(model::BUFFERS)?;
        let tensors = graph.tables(subgraph::TENSORS)?;
        let tensors = tensors.into_iter().map(|table| TensorInfo::read(table, &buffers, bytes));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        let mut kinds = Vec::new();
        for code in root.tables(model::OPERATOR_CODES)? {
            // Old files have only the 8-bit code; new files keep 127 there where the code does not fit.
            let old = i32::from(code.byte(operator_code::DEPRECATED_BUILTIN_CODE)?);
            let number = old.max(code.int(operator_code::BUILTIN_CODE, 0)?);
            let name = usize::try_from(number).ok().and_then(|number| schema::BUILTIN_NAMES.get(number));
            kinds.push(match name {
                Some(&"CUSTOM") => Err(code.text(operator_code::CUSTOM_CODE)?),
                Some(&name) => Ok(name),
                None => Err(format!("operator code {number}")),
            });
        }
        let mut operators = Vec::new();
        for table in graph.tables(subgraph::OPERATORS)? {
            let index = table.int(operator::OPCODE_INDEX, 0)? as u32 as usize;
            let kind = kinds.get(index).cloned();
            operators.push(FileOperator {
                kind: kind
                    .ok_or_else(|| Refusal::malformed(format!("operator code {index} is not in the file")))?,
                inputs: Indices(table.numbers(operator::INPUTS)?),
                outputs: Indices(table.numbers(operator::OUTPUTS)?),
                options: table.table(operator::BUILTIN_OPTIONS)?,
            });
        }
        let inputs = Indices(graph.numbers(subgraph::INPUTS)?);
        let outputs = Indices(graph.numbers(subgraph::OUTPUTS)?);
        if inputs.0.is_empty() || outputs.0.is_empty() {
            return Err(Refusal::malformed("the network has no input or no output"));
        }
        Ok(Self { name: graph.text(subgraph::NAME)?, tensors, operators, inputs, outputs })
    }
}
