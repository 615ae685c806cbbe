//! Arithmetic on constants: exporters compute shapes and fold scales in the graph; all of it is known at conversion.

use super::super::constant::{Constant, Data, bounded_count, broadcast_dims, element_count};
use super::super::error::Refusal;
use super::node::{Entry, NodeView};
use super::quantization;

/// The result where every operand is constant (or the operator only asks for a shape); `None` where it is not.
pub(super) fn fold(node: &NodeView<'_>) -> Result<Option<Constant>, Refusal> {
    if matches!(node.operator, "Shape" | "Size")
        && let Some(Some(entry)) = node.inputs.first()
    {
        let dims = match entry {
            Entry::Constant(constant) => constant.dims.clone(),
            Entry::Value(value) => value.layout.dims(),
        };
        return shape_of(node, &dims).map(Some);
    }
    let mut operands = Vec::new();
    for input in &node.inputs {
        match input {
            Some(Entry::Constant(constant)) => operands.push(Some(constant.as_ref())),
            Some(Entry::Value(_)) => return Ok(None),
            None => operands.push(None),
        }
    }
    let operand = |index: usize| {
        let found: Option<&Constant> = operands.get(index).copied().flatten();
        found.ok_or_else(|| Refusal::malformed(format!("operand {index} is missing")))
    };
    let folded = match node.operator {
        "Identity" | "Dropout" => operand(0)?.clone(),
        "Cast" => cast(operand(0)?, node.int("to", 1))?,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Equal" | "Mod" | "And" | "Or" | "Less"
        | "LessOrEqual" | "Greater" | "GreaterOrEqual" => binary(node.operator, operand(0)?, operand(1)?)?,
        "Neg" | "Sqrt" | "Exp" | "Reciprocal" | "Floor" | "Ceil" | "Abs" => unary(node.operator, operand(0)?),
        "Not" => {
            let values = operand(0)?.floats();
            let values = values.iter().map(|&value| i64::from(value == 0.0)).collect();
            Constant::int(operand(0)?.dims.clone(), values)
        }
        "Trilu" => {
            let diagonal = match operands.get(1) {
                Some(Some(constant)) => constant.ints()?.first().copied().unwrap_or(0),
                _ => 0,
            };
            triangle(operand(0)?, diagonal, node.int("upper", 1) != 0)?
        }
        "Where" => select(operand(0)?, operand(1)?, operand(2)?)?,
        "Gather" => gather(node, operand(0)?, operand(1)?)?,
        "Slice" => slice(node, operand(0)?)?,
        "Concat" => concat(node, &operands)?,
        "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => {
            let constant = operand(0)?;
            let dims = super::shapes::new_dims(node, &constant.dims)?;
            Constant { dims, ..constant.clone() }
        }
        "Transpose" => {
            let order = super::shapes::permutation(node, operand(0)?.dims.len())?;
            operand(0)?.transposed(&order)
        }
        "Expand" => {
            let target = sizes(operand(1)?)?;
            let dims = broadcast_dims(&operand(0)?.dims, &target)
                .ok_or_else(|| Refusal::malformed(format!("cannot expand to {target:?}")))?;
            element_count(&dims)?;
            operand(0)?.broadcast(&dims).ok_or_else(|| Refusal::malformed("a bad expansion"))?
        }
        "ConstantOfShape" => {
            let dims = sizes(operand(0)?)?;
            let count = element_count(&dims)?;
            let tensor = node.raw_attribute("value").and_then(|attribute| attribute.t.as_ref());
            let value = match tensor {
                Some(tensor) => super::tensor::decode(tensor, std::path::Path::new(""))?,
                None => Constant::float(vec![1], vec![0.0]),
            };
            if value.len() != 1 {
                return Err(Refusal::malformed("its value has more than one element"));
            }
            value.pick(dims, &vec![0; count])
        }
        "Range" => range(operand(0)?, operand(1)?, operand(2)?)?,
        "ReduceProd" => {
            if operand(0)?.dims.len() > 1 {
                return Err(Refusal::unsupported("a product over part of a constant"));
            }
            let dims =
                if node.int("keepdims", 1) == 1 { vec![1; operand(0)?.dims.len()] } else { Vec::new() };
            let product =
                operand(0)?.ints()?.iter().try_fold(1i64, |product, &size| product.checked_mul(size));
            Constant::int(dims, vec![product.ok_or_else(|| Refusal::malformed("an overflowing product"))?])
        }
        "QuantizeLinear" => quantization::quantize_constant(node)?,
        "DequantizeLinear" => quantization::dequantize_constant(node)?,
        _ => return Ok(None),
    };
    Ok(Some(folded))
}

fn shape_of(node: &NodeView<'_>, dims: &[usize]) -> Result<Constant, Refusal> {
    if node.operator == "Size" {
        return Ok(Constant::int(Vec::new(), vec![element_count(dims)? as i64]));
    }
    let rank = dims.len() as i64;
    let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (bound(node.int("start", 0)), bound(node.int("end", rank)));
    let part: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(|&dim| dim as i64).collect();
    Ok(Constant::int(vec![part.len()], part))
}

fn sizes(constant: &Constant) -> Result<Vec<usize>, Refusal> {
    let sizes = constant.ints()?.iter().map(|&size| usize::try_from(size));
    sizes.collect::<Result<_, _>>().map_err(|_| Refusal::malformed("a negative size"))
}

fn cast(constant: &Constant, to: i64) -> Result<Constant, Refusal> {
    let dims = constant.dims.clone();
    match (to, &constant.data) {
        // float, float16, double, bfloat16
        (1 | 10 | 11 | 16, _) => Ok(Constant::float(dims, constant.floats())),
        // uint8, int8, int16, int32, int64, bool
        (2 | 3 | 5 | 6 | 7, Data::Int(values)) => {
            Ok(Constant { is_uint8: to == 2, ..Constant::int(dims, values.clone()) })
        }
        (2 | 3 | 5 | 6 | 7, Data::Float(values)) => Ok(Constant {
            is_uint8: to == 2,
            ..Constant::int(dims, values.iter().map(|&value| value as i64).collect())
        }),
        (9, _) => {
            Ok(Constant::int(dims, constant.floats().iter().map(|&value| i64::from(value != 0.0)).collect()))
        }
        _ => Err(Refusal::unsupported(format!("a cast to type {to}"))),
    }
}

fn binary(operator: &str, left: &Constant, right: &Constant) -> Result<Constant, Refusal> {
    let dims = broadcast_dims(&left.dims, &right.dims).ok_or_else(|| {
        Refusal::malformed(format!("shapes {:?} and {:?} do not match", left.dims, right.dims))
    })?;
    bounded_count(&dims)?;
    let mismatch = || Refusal::malformed("shapes that do not match");
    let (left, right) =
        (left.broadcast(&dims).ok_or_else(mismatch)?, right.broadcast(&dims).ok_or_else(mismatch)?);
    if let (Data::Int(left), Data::Int(right)) = (&left.data, &right.data) {
        let values = left.iter().zip(right).map(|(&a, &b)| match operator {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" => a.checked_div(b),
            "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            "Min" => Some(a.min(b)),
            "Max" => Some(a.max(b)),
            "Mod" => a.checked_rem_euclid(b),
            "And" => Some(i64::from(a != 0 && b != 0)),
            "Or" => Some(i64::from(a != 0 || b != 0)),
            operator => Some(i64::from(compare(operator, &a, &b))),
        });
        let values: Option<Vec<i64>> = values.collect();
        return Ok(Constant::int(
            dims,
            values.ok_or_else(|| Refusal::malformed("arithmetic that overflows"))?,
        ));
    }
    let (left, right) = (left.floats(), right.floats());
    let values = left.iter().zip(&right).map(|(&a, &b)| match operator {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Pow" => a.powf(b),
        "Min" => a.min(b),
        "Max" => a.max(b),
        "Mod" => a % b,
        operator => f32::from(u8::from(compare(operator, &a, &b))),
    });
    Ok(Constant::float(dims, values.collect()))
}

fn compare<T: PartialOrd>(operator: &str, a: &T, b: &T) -> bool {
    match operator {
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        _ => a == b,
    }
}

/// The upper or lower triangle of matrices, the rest 0.
fn triangle(matrices: &Constant, diagonal: i64, upper: bool) -> Result<Constant, Refusal> {
    let &[.., rows, columns] = matrices.dims.as_slice() else {
        return Err(Refusal::malformed("a triangle of a tensor with less than two axes"));
    };
    let kept = |index: usize| {
        let (row, column) = (index / columns % rows, index % columns);
        let distance = (column as i64).saturating_sub(row as i64);
        if upper { distance >= diagonal } else { distance <= diagonal }
    };
    let mask = (0..matrices.len()).map(|index| i64::from(kept(index))).collect();
    let zeros = Constant::int(matrices.dims.clone(), vec![0; matrices.len()]);
    select(&Constant::int(matrices.dims.clone(), mask), matrices, &zeros)
}

fn unary(operator: &str, constant: &Constant) -> Constant {
    if let (Data::Int(values), "Neg") = (&constant.data, operator) {
        return Constant::int(
            constant.dims.clone(),
            values.iter().map(|value| value.wrapping_neg()).collect(),
        );
    }
    let values = constant.floats().into_iter().map(|value| match operator {
        "Neg" => -value,
        "Sqrt" => value.sqrt(),
        "Exp" => value.exp(),
        "Reciprocal" => 1.0 / value,
        "Floor" => value.floor(),
        "Ceil" => value.ceil(),
        _ => value.abs(),
    });
    Constant::float(constant.dims.clone(), values.collect())
}

fn select(condition: &Constant, yes: &Constant, no: &Constant) -> Result<Constant, Refusal> {
    let mismatch = || Refusal::malformed("shapes that do not match");
    let dims = broadcast_dims(&yes.dims, &no.dims).and_then(|dims| broadcast_dims(&dims, &condition.dims));
    let dims = dims.ok_or_else(mismatch)?;
    element_count(&dims)?;
    let all = [condition, yes, no].map(|constant| constant.broadcast(&dims));
    let [Some(condition), Some(yes), Some(no)] = all else { return Err(mismatch()) };
    let condition = condition.floats();
    let choose = |index: usize| condition[index] != 0.0;
    Ok(match (&yes.data, &no.data) {
        (Data::Int(yes), Data::Int(no)) => {
            let values = (0..yes.len()).map(|index| if choose(index) { yes[index] } else { no[index] });
            Constant::int(dims, values.collect())
        }
        _ => {
            let (yes, no) = (yes.floats(), no.floats());
            let values = (0..yes.len()).map(|index| if choose(index) { yes[index] } else { no[index] });
            Constant::float(dims, values.collect())
        }
    })
}

fn gather(node: &NodeView<'_>, data: &Constant, indices: &Constant) -> Result<Constant, Refusal> {
    let axis = node.axis(node.int("axis", 0), data.dims.len())?;
    let size = data.dims[axis];
    let picks = indices.ints()?.iter().map(|&index| node.axis(index, size)).collect::<Result<Vec<_>, _>>()?;
    let mut dims = data.dims.clone();
    dims.splice(axis..=axis, indices.dims.iter().copied());
    bounded_count(&dims)?;
    let inner: usize = data.dims[axis + 1..].iter().product();
    let outer: usize = data.dims[..axis].iter().product();
    let places: Vec<usize> = (0..outer)
        .flat_map(|outer| picks.iter().map(move |&pick| (outer * size + pick) * inner))
        .flat_map(|start| start..start + inner)
        .collect();
    Ok(data.pick(dims, &places))
}

/// The places that a `Slice` keeps, for each axis of a tensor of these dimensions.
pub(super) fn slice_places(node: &NodeView<'_>, dims: &[usize]) -> Result<Vec<Vec<usize>>, Refusal> {
    let rank = dims.len();
    let starts = node.required_constant(1)?.ints()?;
    let ends = node.required_constant(2)?.ints()?;
    let axes = match node.constant(3)? {
        Some(axes) => axes.ints()?.to_vec(),
        None => (0..starts.len() as i64).collect(),
    };
    let steps = match node.constant(4)? {
        Some(steps) => steps.ints()?.to_vec(),
        None => vec![1; starts.len()],
    };
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Refusal::malformed("starts, ends, axes and steps of different lengths"));
    }
    let mut picks: Vec<Vec<usize>> = dims.iter().map(|&dim| (0..dim).collect()).collect();
    for (index, &axis) in axes.iter().enumerate() {
        let axis = node.axis(axis, rank)?;
        let (size, step) = (dims[axis] as i64, steps[index]);
        let bound = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        picks[axis] = match step {
            0 => return Err(Refusal::malformed("a step of zero")),
            step if step > 0 => {
                let (from, to) = (bound(starts[index]).clamp(0, size), bound(ends[index]).clamp(0, size));
                (from..to).step_by(step as usize).map(|at| at as usize).collect()
            }
            step => {
                let (from, to) =
                    (bound(starts[index]).clamp(-1, size - 1), bound(ends[index]).clamp(-1, size - 1));
                (to + 1..=from).rev().step_by(step.unsigned_abs() as usize).map(|at| at as usize).collect()
            }
        };
    }
    Ok(picks)
}

fn slice(node: &NodeView<'_>, data: &Constant) -> Result<Constant, Refusal> {
    let picks = slice_places(node, &data.dims)?;
    let strides = super::super::layout::strides(&data.dims);
    let mut places = vec![0];
    for (picks, stride) in picks.iter().zip(&strides) {
        places =
            places.iter().flat_map(|&base| picks.iter().map(move |&pick| base + pick * stride)).collect();
    }
    Ok(data.pick(picks.iter().map(Vec::len).collect(), &places))
}

fn concat(node: &NodeView<'_>, operands: &[Option<&Constant>]) -> Result<Constant, Refusal> {
    let parts: Vec<&Constant> = operands.iter().flatten().copied().collect();
    let first = parts.first().ok_or_else(|| Refusal::malformed("no operands"))?;
    let axis = node.axis(node.int("axis", 0), first.dims.len())?;
    let alike = |part: &&Constant| {
        part.dims.len() == first.dims.len()
            && part.dims.iter().zip(&first.dims).enumerate().all(|(index, (a, b))| index == axis || a == b)
    };
    if !parts.iter().all(alike) {
        return Err(Refusal::malformed("operands whose shapes do not fit together"));
    }
    let mut dims = first.dims.clone();
    dims[axis] = parts.iter().map(|part| part.dims[axis]).sum();
    bounded_count(&dims)?;
    let outer: usize = dims[..axis].iter().product();
    let rows = |part: &Constant| part.dims[axis..].iter().product::<usize>();
    if let Some(all) = parts.iter().map(|part| part.ints().ok()).collect::<Option<Vec<_>>>() {
        let chunks = (0..outer).flat_map(|row| {
            parts
                .iter()
                .zip(&all)
                .flat_map(move |(part, values)| values[row * rows(part)..][..rows(part)].to_vec())
        });
        return Ok(Constant::int(dims, chunks.collect()));
    }
    let all: Vec<Vec<f32>> = parts.iter().map(|part| part.floats()).collect();
    let chunks = (0..outer).flat_map(|row| {
        parts
            .iter()
            .zip(&all)
            .flat_map(move |(part, values)| values[row * rows(part)..][..rows(part)].to_vec())
    });
    Ok(Constant::float(dims, chunks.collect()))
}

fn range(start: &Constant, limit: &Constant, delta: &Constant) -> Result<Constant, Refusal> {
    let [Ok([start]), Ok([limit]), Ok([delta])] = [start.ints(), limit.ints(), delta.ints()] else {
        return Err(Refusal::unsupported("a range that is not of integers"));
    };
    if *delta <= 0 || limit.checked_sub(*start).is_none_or(|count| count > 1 << 24) {
        return Err(Refusal::unsupported("a descending or endless range"));
    }
    let values: Vec<i64> = (*start..*limit).step_by(*delta as usize).collect();
    Ok(Constant::int(vec![values.len()], values))
}
