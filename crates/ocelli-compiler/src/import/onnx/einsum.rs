//! `Einsum` of two tensors as a matrix product.

use super::super::builder::Value;
use super::super::constant::element_count;
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::super::tokens::Product;
use super::node::NodeView;

/// The product that an equation like `bhid,bhjd->bhij` says.
pub(super) fn product(node: &NodeView<'_>, left: Value, right: Value) -> Result<Product, Refusal> {
    let equation = node.text("equation").unwrap_or_default().replace(' ', "");
    let refused = || {
        Refusal::new(
            format!("equation '{equation}'"),
            "write it as a product of two tensors over their common axes (matmul), with named result axes",
        )
    };
    let (operands, result) = equation.split_once("->").ok_or_else(refused)?;
    let (first, second) = operands.split_once(',').ok_or_else(refused)?;
    let labels = |text: &str, rank: usize| {
        let labels: Vec<char> = text.chars().collect();
        let plain = labels.iter().all(char::is_ascii_alphabetic) && labels.len() == rank;
        let once = labels.iter().all(|label| labels.iter().filter(|other| other == &label).count() == 1);
        (plain && once).then_some(labels).ok_or_else(refused)
    };
    let first = labels(first, left.layout.rank())?;
    let second = labels(second, right.layout.rank())?;
    let result = labels(result, result.chars().count())?;
    let chosen = |from: &[char], in_first: bool, in_second: bool, in_result: bool| -> Vec<char> {
        let fits = |label: &&char| {
            first.contains(label) == in_first
                && second.contains(label) == in_second
                && result.contains(label) == in_result
        };
        from.iter().filter(fits).copied().collect()
    };
    let batch = chosen(&first, true, true, true);
    let inner = chosen(&first, true, true, false);
    let rows = chosen(&first, true, false, true);
    let columns = chosen(&second, false, true, true);
    let all = |groups: [&[char]; 3]| groups.concat();
    let count = batch.len() + inner.len() + rows.len();
    if count != first.len()
        || batch.len() + inner.len() + columns.len() != second.len()
        || batch.len() + rows.len() + columns.len() != result.len()
    {
        return Err(refused());
    }
    let size = |group: &[char]| -> usize {
        let of = |label: &char| match first.iter().position(|other| other == label) {
            Some(axis) => left.layout.size(&[axis]),
            None => {
                second.iter().position(|other| other == label).map_or(1, |axis| right.layout.size(&[axis]))
            }
        };
        group.iter().map(of).product()
    };
    let seen = |value: &Value, own: &[char], groups: [&[char]; 3]| {
        let order: Vec<usize> =
            all(groups).iter().filter_map(|label| own.iter().position(|other| other == label)).collect();
        let layout = value.layout.transposed(&order);
        let dims: Vec<usize> = all(groups).iter().map(|label| size(&[*label])).collect();
        if layout.dims() != dims {
            return Err(Refusal::malformed(format!(
                "equation '{equation}' with shapes {:?} and {:?}",
                left.layout.dims(),
                right.layout.dims()
            )));
        }
        let layout = layout.reshaped(&groups.map(size)).ok_or_else(refused)?;
        Ok(Value { tensor: value.tensor, layout })
    };
    let together = all([&batch, &rows, &columns]);
    let dims: Vec<usize> = together.iter().map(|label| size(&[*label])).collect();
    element_count(&dims)?;
    let order: Vec<usize> =
        result.iter().filter_map(|label| together.iter().position(|other| other == label)).collect();
    let layout = Layout::in_file_order(&[size(&batch), size(&rows), size(&columns)]).reshaped(&dims);
    Ok(Product {
        left: seen(&left, &first, [&batch, &rows, &inner])?,
        right: seen(&right, &second, [&batch, &inner, &columns])?,
        layout: layout.ok_or_else(refused)?.transposed(&order),
    })
}
