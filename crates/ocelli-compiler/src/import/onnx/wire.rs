//! Checks the protobuf structure of an ONNX file before it is decoded.
//!
//! `rten-onnx` allocates what a length field says and seeks by it; a damaged length must not reach it. So every length, varint and
//! nesting depth is checked here against the bytes that are there, by the schema that it decodes with.

use super::super::error::Refusal;

/// The messages of the ONNX schema that are decoded.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    SequenceType,
    TensorType,
    Shape,
    /// A message without messages or packed lists inside.
    Leaf,
}

/// What a length-delimited field holds.
enum Content {
    Message(Message),
    PackedVarint,
    Packed32,
    Packed64,
    Bytes,
}

impl Message {
    /// By field number, as in onnx.proto.
    fn field(self, number: u64) -> Content {
        use Content::{Packed32, Packed64, PackedVarint};
        Content::Message(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Leaf,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) | (Self::SequenceType, 1) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::Type, 4) => Self::SequenceType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Tensor, 1 | 5 | 7) | (Self::Attribute, 8) => return PackedVarint,
            (Self::Tensor, 4) | (Self::Attribute, 7) => return Packed32,
            (Self::Tensor, 10) => return Packed64,
            _ => return Content::Bytes,
        })
    }
}

/// Deeper than any file without hostile nesting (control flow inside control flow).
const MAX_DEPTH: usize = 32;

/// Checks that `bytes` are a whole `ModelProto`.
pub(in crate::import) fn check(bytes: &[u8]) -> Result<(), Refusal> {
    message(bytes, 0, Message::Model, 0)
}

fn damaged(offset: usize, what: &str) -> Refusal {
    Refusal::new(
        format!("the file is cut short or damaged: {what} at byte {offset}"),
        "copy or export the file again",
    )
}

fn message(bytes: &[u8], offset: usize, kind: Message, depth: usize) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(damaged(offset, "messages nested too deeply"));
    }
    let mut rest = bytes;
    let at = |rest: &[u8]| offset + bytes.len() - rest.len();
    while !rest.is_empty() {
        let start = at(rest);
        let tag = varint(&mut rest).ok_or_else(|| damaged(start, "a bad field tag"))?;
        let length = match tag & 7 {
            0 => {
                varint(&mut rest).ok_or_else(|| damaged(start, "a bad integer"))?;
                continue;
            }
            1 => 8,
            2 => varint(&mut rest).ok_or_else(|| damaged(start, "a bad length"))?,
            5 => 4,
            _ => return Err(damaged(start, "an unknown kind of field")),
        };
        let data_offset = at(rest);
        let data =
            usize::try_from(length).ok().and_then(|length| rest.split_off(..length)).ok_or_else(|| {
                damaged(start, &format!("a field of {length} bytes where {} are left", rest.len()))
            })?;
        if tag & 7 != 2 {
            continue;
        }
        let whole = match kind.field(tag >> 3) {
            Content::Message(inner) => {
                message(data, data_offset, inner, depth + 1)?;
                true
            }
            Content::PackedVarint => {
                let mut rest = data;
                while !rest.is_empty() && varint(&mut rest).is_some() {}
                rest.is_empty()
            }
            Content::Packed32 => data.len() % 4 == 0,
            Content::Packed64 => data.len() % 8 == 0,
            Content::Bytes => true,
        };
        if !whole {
            return Err(damaged(data_offset, "a list of numbers that ends within a number"));
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
