//! The inputs and outputs of an ONNX graph.

use rten_onnx::onnx::{DataType, GraphProto, NodeProto, ValueInfoProto};

use super::super::ImportOptions;
use super::super::constant::element_count;
use super::super::error::Refusal;

/// The dimensions of a graph input, with a free batch axis taken as 1.
/// `is_map` tells that some operator takes it as its first operand.
pub(super) fn input_dims(
    info: &ValueInfoProto,
    is_map: bool,
    options: &ImportOptions,
) -> Result<Vec<usize>, Refusal> {
    let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| Refusal::unsupported("an input that is not a tensor"))?;
    match tensor.elem_type {
        Some(DataType::FLOAT | DataType::FLOAT16 | DataType::BFLOAT16 | DataType::DOUBLE) => {}
        other => {
            let name = other.map_or("none".to_owned(), |other| other.to_string());
            return Err(Refusal::new(
                format!("an input of type {name}"),
                "export with a float input (with quantization inside, where there is any)",
            ));
        }
    }
    let shape = tensor.shape.as_ref().ok_or_else(|| {
        Refusal::new(
            "an input without a shape",
            "export with a fixed input shape, or name it with --input-shape",
        )
    });
    let stated: Vec<Option<i64>> = match (shape, &options.input_shape) {
        (Ok(shape), _) => shape.dim.iter().map(|dim| dim.dim_value.filter(|&size| size > 0)).collect(),
        (Err(_), Some(given)) => vec![None; given.len()],
        (Err(refusal), None) => return Err(refusal),
    };
    if let Some(given) = &options.input_shape {
        let fits = given.len() == stated.len()
            && given
                .iter()
                .zip(&stated)
                .all(|(&given, stated)| stated.is_none_or(|size| size == given as i64));
        if !fits {
            return Err(Refusal::new(
                format!("the input shape {given:?} does not fit the file's {}", show(&stated)),
                "give as many sizes as the file has axes, and those that it fixes as they are",
            ));
        }
        element_count(given)?;
    }
    let mut dims = Vec::with_capacity(stated.len());
    for (axis, size) in stated.iter().enumerate() {
        let given = options.input_shape.as_ref().and_then(|given| given.get(axis)).copied();
        dims.push(match (size, given) {
            (Some(size), _) => {
                usize::try_from(*size).map_err(|_| Refusal::malformed(format!("a size of {size}")))?
            }
            (None, Some(given)) => given,
            (None, None) if axis == 0 => 1,
            (None, None) => {
                return Err(Refusal::new(
                    format!("the input shape {} is not fixed", show(&stated)),
                    "export with a fixed shape, or name it with --input-shape",
                ));
            }
        });
    }
    // With fewer axes the first may be rows (tokens) as well as a batch, and either is computed.
    if dims.len() == 4 && dims[0] != 1 && is_map {
        return Err(Refusal::new(
            format!("a batch of {} ({dims:?})", dims[0]),
            "export with a batch of 1: a microcontroller sees one image at a time",
        ));
    }
    element_count(&dims)?;
    Ok(dims)
}

fn show(dims: &[Option<i64>]) -> String {
    let sizes: Vec<String> =
        dims.iter().map(|dim| dim.map_or("?".to_owned(), |size| size.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

/// The order in which an input's axes are stored (channels last): as the first operator that knows which axis is which sees it, through
/// transposes and element-wise operators.
pub(super) fn storage_order(graph: &GraphProto, input: &str, dims: &[usize]) -> Vec<usize> {
    let rank = dims.len();
    let mut queue = vec![(input, (0..rank).collect::<Vec<_>>())];
    let mut seen = vec![input];
    while let Some((name, axes)) = queue.pop() {
        for node in graph.node.iter().filter(|node| node.input.first().is_some_and(|first| first == name)) {
            match node.op_type.as_deref().unwrap_or_default() {
                "Conv" | "AveragePool" | "MaxPool" | "GlobalAveragePool" | "GlobalMaxPool"
                | "BatchNormalization"
                    if rank >= 3 =>
                {
                    let mut order = vec![axes[0]];
                    order.extend(&axes[2..]);
                    order.push(axes[1]);
                    return order;
                }
                kind => {
                    let next = match kind {
                        "Transpose" => transposed(node, &axes),
                        "Add" | "Sub" | "Mul" | "Div" | "Cast" | "Identity" | "Pad" | "Clip" | "Relu"
                        | "QuantizeLinear" | "DequantizeLinear" => Some(axes.clone()),
                        _ => None,
                    };
                    let output = node.output.first().map(String::as_str);
                    if let (Some(next), Some(output)) = (next, output)
                        && !seen.contains(&output)
                    {
                        seen.push(output);
                        queue.push((output, next));
                    }
                }
            }
        }
    }
    match *dims {
        // Pictures have few channels; without a convolution to tell, the last axis serves where it is small.
        [_, first, _, last] if last > 4 || first <= 4 => vec![0, 2, 3, 1],
        _ => (0..rank).collect(),
    }
}

fn transposed(node: &NodeProto, axes: &[usize]) -> Option<Vec<usize>> {
    let order = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("perm"))?;
    let next: Option<Vec<usize>> =
        order.ints.iter().map(|&axis| axes.get(usize::try_from(axis).ok()?).copied()).collect();
    next.filter(|next| next.len() == axes.len() && axes.iter().all(|axis| next.contains(axis)))
}
