//! Constant tensors of an ONNX file, from the model itself or from a data file beside it.

use std::path::{Component, Path};

use half::{bf16, f16};
use rten_onnx::onnx::{DataLocation, DataType, TensorProto};

use super::super::constant::{Constant, bounded_count};
use super::super::error::Refusal;

/// Decodes a tensor; `folder` is where external data lies.
pub(super) fn decode(tensor: &TensorProto, folder: &Path) -> Result<Constant, Refusal> {
    let dims = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).map_err(|_| Refusal::malformed(format!("a size of {dim}"))))
        .collect::<Result<Vec<_>, _>>()?;
    let count = bounded_count(&dims)?;
    let data_type = tensor.data_type.unwrap_or(DataType(0));
    let external = tensor.data_location == Some(DataLocation::EXTERNAL);
    let raw = match &tensor.raw_data {
        _ if external => Some(external_data(tensor, folder)?),
        Some(raw) => Some(raw.borrow().clone()),
        None => None,
    };
    let constant = match raw {
        Some(raw) => from_bytes(dims, data_type, &raw)?,
        None => from_numbers(dims, data_type, tensor)?,
    };
    if constant.len() != count {
        return Err(Refusal::malformed(format!(
            "shape {:?} needs {count} elements, the file holds {}",
            constant.dims,
            constant.len()
        )));
    }
    Ok(constant)
}

fn unsupported_type(data_type: DataType) -> Refusal {
    Refusal::new(
        format!("constants of type {data_type}"),
        "export the weights as float32, float16, bfloat16, int8 or uint8",
    )
}

fn from_bytes(dims: Vec<usize>, data_type: DataType, raw: &[u8]) -> Result<Constant, Refusal> {
    fn numbers<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Refusal> {
        let (chunks, rest) = raw.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(Refusal::malformed(format!("{} bytes do not make whole elements", raw.len())));
        }
        Ok(chunks.iter().map(|&chunk| read(chunk)).collect())
    }
    Ok(match data_type {
        DataType::FLOAT => Constant::float(dims, numbers(raw, f32::from_le_bytes)?),
        DataType::DOUBLE => Constant::float(dims, numbers(raw, |bytes| f64::from_le_bytes(bytes) as f32)?),
        DataType::FLOAT16 => Constant::float(dims, numbers(raw, |bytes| f16::from_le_bytes(bytes).to_f32())?),
        DataType::BFLOAT16 => {
            Constant::float(dims, numbers(raw, |bytes| bf16::from_le_bytes(bytes).to_f32())?)
        }
        DataType::INT64 => Constant::int(dims, numbers(raw, i64::from_le_bytes)?),
        DataType::INT32 => Constant::int(dims, numbers(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))?),
        DataType::INT16 => Constant::int(dims, numbers(raw, |bytes| i64::from(i16::from_le_bytes(bytes)))?),
        DataType::INT8 => Constant::int(dims, numbers(raw, |bytes| i64::from(i8::from_le_bytes(bytes)))?),
        DataType::BOOL => Constant::int(dims, numbers(raw, |[byte]| i64::from(byte))?),
        DataType::UINT8 => {
            Constant { is_uint8: true, ..Constant::int(dims, numbers(raw, |[byte]| i64::from(byte))?) }
        }
        other => return Err(unsupported_type(other)),
    })
}

fn from_numbers(dims: Vec<usize>, data_type: DataType, tensor: &TensorProto) -> Result<Constant, Refusal> {
    let small = || tensor.int32_data.iter();
    Ok(match data_type {
        DataType::FLOAT => Constant::float(dims, tensor.float_data.clone()),
        DataType::DOUBLE => {
            Constant::float(dims, tensor.double_data.iter().map(|&value| value as f32).collect())
        }
        // Half precision is kept as bits in the low half of an integer.
        DataType::FLOAT16 => {
            Constant::float(dims, small().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect())
        }
        DataType::BFLOAT16 => {
            Constant::float(dims, small().map(|&bits| bf16::from_bits(bits as u16).to_f32()).collect())
        }
        DataType::INT64 => Constant::int(dims, tensor.int64_data.clone()),
        DataType::INT32 | DataType::INT16 | DataType::INT8 | DataType::BOOL => {
            Constant::int(dims, small().map(|&value| i64::from(value)).collect())
        }
        DataType::UINT8 => Constant {
            is_uint8: true,
            ..Constant::int(dims, small().map(|&value| i64::from(value)).collect())
        },
        other => return Err(unsupported_type(other)),
    })
}

/// The bytes of a tensor that PyTorch's exporter put into a file of its own.
fn external_data(tensor: &TensorProto, folder: &Path) -> Result<Vec<u8>, Refusal> {
    let entry = |key: &str| {
        let entry = tensor.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
        entry.and_then(|entry| entry.value.as_deref())
    };
    let number = |key: &str| {
        entry(key)
            .map(str::parse::<u64>)
            .transpose()
            .map_err(|_| Refusal::malformed(format!("external data with a bad {key}")))
    };
    let location =
        entry("location").ok_or_else(|| Refusal::malformed("external data without a file name"))?;
    if Path::new(location).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(Refusal::new(
            format!("external data at '{location}', outside the model's folder"),
            "put the data file beside the model",
        ));
    }
    let path = folder.join(location);
    let unreadable = |error: std::io::Error| {
        Refusal::new(
            format!("cannot read its data file {}: {error}", path.display()),
            "put the data file beside the model",
        )
    };
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or_else(|| size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(Refusal::malformed(format!(
            "its data file {} has {size} bytes, where {length} from {offset} on are named",
            path.display()
        )));
    }
    let mut bytes =
        vec![0; usize::try_from(length).map_err(|_| Refusal::malformed("oversized external data"))?];
    let mut file = file;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).map_err(unreadable)?;
    std::io::Read::read_exact(&mut file, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
