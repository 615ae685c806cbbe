//! Parts of a tensor: `Slice`, `Split`, `Gather` with constant indices; and `Col2Im`, the reverse of taking patches.

use super::super::builder::Value;
use super::super::constant::Constant;
use super::super::error::Refusal;
use super::super::layout::Layout;
use super::Importer;
use super::node::{Entry, NodeView};

impl Importer<'_> {
    pub(super) fn split_node(&mut self, node: &NodeView<'_>) -> Result<Vec<Entry>, Refusal> {
        let value = node.value(0)?;
        let axis = node.axis(node.int("axis", 0), value.layout.rank())?;
        let (size, parts) = (value.layout.size(&[axis]), node.proto.output.len().max(1));
        let sizes: Vec<i64> = match (node.ints("split"), node.constant(1)?) {
            (Some(sizes), _) => sizes.to_vec(),
            (None, Some(constant)) => constant.ints()?.to_vec(),
            // The last part is smaller where they do not divide.
            (None, None) => (0..parts)
                .map(|part| {
                    let each = size.div_ceil(parts);
                    size.saturating_sub(part * each).min(each) as i64
                })
                .collect(),
        };
        if sizes.len() != parts
            || sizes.iter().any(|&size| size < 1)
            || sizes.iter().sum::<i64>() != size as i64
        {
            return Err(Refusal::malformed(format!("parts {sizes:?} of an axis of {size}, {parts} outputs")));
        }
        let mut start = 0;
        let mut entries = Vec::new();
        for (size, output) in sizes.iter().zip(&node.proto.output) {
            let size = *size as usize;
            entries.push(Entry::Value(self.builder.part(output, value, axis, start, size)?));
            start += size;
        }
        Ok(entries)
    }

    pub(super) fn slice_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let mut value = node.value(0)?.clone();
        let places = super::fold::slice_places(node, &value.layout.dims())?;
        for (axis, places) in places.iter().enumerate() {
            value = self.picked(node, &value, axis, places)?;
        }
        Ok(value)
    }

    pub(super) fn gather_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let axis = node.axis(node.int("axis", 0), rank)?;
        let size = value.layout.size(&[axis]);
        let indices = node.required_constant(1)?;
        let places =
            indices.ints()?.iter().map(|&index| node.axis(index, size)).collect::<Result<Vec<_>, _>>()?;
        let dims = value.layout.dims();
        let with = |middle: &[usize]| [&dims[..axis], middle, &dims[axis + 1..]].concat();
        if let &[rows, columns] = indices.dims.as_slice()
            && let Some(layout) = crossed(&value.layout, axis, &places, [rows, columns])
        {
            return Ok(Value { tensor: value.tensor, layout });
        }
        let picked = self.picked(node, value, axis, &places)?;
        Ok(self.builder.reshaped(&picked, &with(&indices.dims), &node.name))
    }

    /// Elements at some places along an axis.
    fn picked(
        &mut self,
        node: &NodeView<'_>,
        value: &Value,
        axis: usize,
        places: &[usize],
    ) -> Result<Value, Refusal> {
        let Some(&start) = places.first() else {
            return Err(Refusal::malformed("an empty result"));
        };
        if places.iter().enumerate().any(|(index, &place)| place != start + index) {
            return Err(Refusal::new(
                format!("elements {places:?} of an axis, which are not a range"),
                "take ranges with a step of 1, or let a strided convolution or pooling choose pixels",
            ));
        }
        self.builder.part(&node.name, value, axis, start, places.len())
    }

    /// `Col2Im` whose patches do not overlap: nothing moves.
    pub(super) fn fold_patches_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let sizes = |constant: &Constant| -> Result<[usize; 2], Refusal> {
            match constant.ints()? {
                &[height, width] if height > 0 && width > 0 => Ok([height as usize, width as usize]),
                other => Err(Refusal::unsupported(format!("a map or patch of {other:?}"))),
            }
        };
        let map = sizes(node.required_constant(1)?)?;
        let patch = sizes(node.required_constant(2)?)?;
        let all = |name: &str, wanted: [usize; 2], default: i64| {
            let given = node.ints(name).map_or(vec![default; 2], <[i64]>::to_vec);
            given.iter().zip(wanted.iter().cycle()).all(|(&given, &wanted)| given == wanted as i64)
        };
        let whole = (0..2).all(|axis| map[axis].is_multiple_of(patch[axis]));
        if !whole || !all("strides", patch, 1) || !all("dilations", [1, 1], 1) || !all("pads", [0, 0], 0) {
            return Err(Refusal::new(
                "patches that overlap or do not fill the map",
                "use patches whose stride is their size and that divide the map",
            ));
        }
        let counts = [map[0] / patch[0], map[1] / patch[1]];
        let dims = value.layout.dims();
        let channels = match dims.as_slice() {
            &[1, channels, count]
                if count == counts[0] * counts[1] && channels.is_multiple_of(patch[0] * patch[1]) =>
            {
                channels / (patch[0] * patch[1])
            }
            _ => return Err(Refusal::malformed(format!("patches of shape {dims:?}"))),
        };
        let parts = [channels, patch[0], patch[1], counts[0], counts[1]];
        let value = self.builder.reshaped(value, &parts, &node.name);
        let layout = value.layout.transposed(&[0, 3, 1, 4, 2]);
        let value = Value { tensor: value.tensor, layout };
        Ok(self.builder.reshaped(&value, &[1, channels, map[0], map[1]], &node.name))
    }
}

/// The layout where the places are all of an axis in an order of rows and columns: that only splits the axis.
fn crossed(layout: &Layout, axis: usize, places: &[usize], [rows, columns]: [usize; 2]) -> Option<Layout> {
    let dims = layout.dims();
    if rows * columns != dims[axis] || places.len() != dims[axis] {
        return None;
    }
    let split = |parts: [usize; 2]| layout.reshaped(&[&dims[..axis], &parts, &dims[axis + 1..]].concat());
    let all = |place: &dyn Fn(usize, usize) -> usize| {
        places.iter().enumerate().all(|(index, &own)| own == place(index / columns, index % columns))
    };
    if all(&|row, column| row * columns + column) {
        return split([rows, columns]);
    }
    if all(&|row, column| column * rows + row) {
        let mut order: Vec<usize> = (0..=dims.len()).collect();
        order.swap(axis, axis + 1);
        return Some(split([columns, rows])?.transposed(&order));
    }
    None
}
