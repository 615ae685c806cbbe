//! Convolution, pooling and padding: ONNX's maps are `[batch, channels, height, width]` or `[batch, channels, width]`.

use super::super::builder::{Arrangement, Value};
use super::super::constant::Constant;
use super::super::error::Refusal;
use super::super::maps::window_number;
use super::Importer;
use super::node::NodeView;
use crate::graph::{Bias, Conv2d, Operator, Padding, Shape, Weights, Window};

/// Height, width and channels of a map whose axis 1 is channels.
pub(super) fn map_axes(rank: usize) -> Result<Arrangement<'static>, Refusal> {
    match rank {
        4 => Ok([&[2], &[3], &[1]]),
        3 => Ok([&[], &[2], &[1]]),
        2 => Ok([&[], &[], &[1]]),
        _ => Err(Refusal::unsupported(format!("a map of {rank} axes"))),
    }
}

/// `[vertical, horizontal]` from a list of one (1-D) or two numbers.
fn pair(list: Option<&[i64]>, spatial: usize, what: &str) -> Result<[usize; 2], Refusal> {
    let list = match list {
        None => return Ok([1, 1]),
        Some(list) if list.len() == spatial => list,
        Some(list) => return Err(Refusal::malformed(format!("{what} {list:?} for {spatial} axes"))),
    };
    let number = |value: i64| match window_number(value, what)? {
        0 => Err(Refusal::malformed(format!("{what} 0"))),
        number => Ok(number),
    };
    match list {
        [horizontal] => Ok([1, number(*horizontal)?]),
        [vertical, horizontal] => Ok([number(*vertical)?, number(*horizontal)?]),
        _ => Err(Refusal::unsupported(format!("{spatial}-dimensional windows"))),
    }
}

impl Importer<'_> {
    /// Kernel, stride, dilation and padding of a node over a map of a stored shape.
    fn window(
        &self,
        node: &NodeView<'_>,
        kernel: [usize; 2],
        input: Shape,
        spatial: usize,
    ) -> Result<Window, Refusal> {
        let mut window = Window {
            kernel,
            stride: pair(node.ints("strides"), spatial, "strides")?,
            dilation: pair(node.ints("dilations"), spatial, "dilations")?,
            padding: Padding::default(),
        };
        window.padding = match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "" => explicit_padding(node.ints("pads"), spatial)?,
            "VALID" => Padding::default(),
            _ if kernel.contains(&0) => return Err(Refusal::malformed("a kernel size of 0")),
            "SAME_UPPER" => window.same_padding(input.height, input.width),
            "SAME_LOWER" => {
                let upper = window.same_padding(input.height, input.width);
                Padding { top: upper.bottom, left: upper.right, bottom: upper.top, right: upper.left }
            }
            other => return Err(Refusal::malformed(format!("auto_pad '{other}'"))),
        };
        Ok(window)
    }

    fn stored_shape(&self, value: &Value, axes: Arrangement<'_>) -> Shape {
        let size = |group: usize| value.layout.size(axes[group]);
        Shape::new(size(0), size(1), size(2))
    }

    pub(super) fn conv(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let axes = map_axes(rank)?;
        if rank < 3 {
            return Err(Refusal::malformed(format!("a convolution over {rank} axes")));
        }
        let weights = node.weights(1)?.ok_or_else(|| Refusal::malformed("no weights"))?;
        let input = self.stored_shape(value, axes);
        let (outputs, per_group, kernel) = match weights.dims.as_slice() {
            &[outputs, per_group, width] if rank == 3 => (outputs, per_group, [1, width]),
            &[outputs, per_group, height, width] if rank == 4 => (outputs, per_group, [height, width]),
            other => {
                return Err(Refusal::malformed(format!(
                    "weights of shape {other:?} for a map of {rank} axes"
                )));
            }
        };
        let groups = window_number(node.int("group", 1), "group")?;
        if groups == 0 || outputs % groups != 0 || per_group.checked_mul(groups) != Some(input.channels) {
            return Err(Refusal::malformed(format!(
                "weights of shape {:?} in {groups} groups do not fit {} input channels",
                weights.dims, input.channels
            )));
        }
        if let Some(stated) = node.ints("kernel_shape")
            && stated.iter().map(|&size| size as usize).ne(weights.dims[2..].iter().copied())
        {
            return Err(Refusal::malformed(format!(
                "kernel_shape {stated:?} with weights of {:?}",
                weights.dims
            )));
        }
        let window = self.window(node, kernel, input, rank - 2)?;
        let bias = match node.weights(2)? {
            Some(bias) if bias.len() == outputs => bias.floats(),
            Some(bias) => {
                return Err(Refusal::malformed(format!("{} biases for {outputs} outputs", bias.len())));
            }
            None => vec![0.0; outputs],
        };
        // A pixel at a time: the map may stay stored in any order of pixels (patches, tokens).
        let factors = value.layout.factor_sizes().len();
        let moves = |axes: &[usize]| !value.layout.factors_of(axes).into_iter().eq(0..factors);
        let last = value
            .layout
            .factors_of(&[1])
            .into_iter()
            .eq(factors - value.layout.factors_of(&[1]).len()..factors);
        if window == Window::pointwise() && groups == 1 && last && moves(&axes.concat()) {
            let (weights, bias) = (Weights::Float(weights.floats()), Bias::Float(bias));
            return self.builder.channel_product(&node.name, value, 1, weights, bias, false, None);
        }
        // [outputs][inputs][height][width] to [outputs][height][width][inputs].
        let weights = Constant::float(vec![outputs, per_group, kernel[0], kernel[1]], weights.floats());
        let operator = Operator::Conv2d(Conv2d {
            window,
            groups,
            weights: Weights::Float(weights.transposed(&[0, 2, 3, 1]).floats()),
            bias: Bias::Float(bias),
            fully_connected: false,
        });
        self.builder.windowed(&node.name, value, axes, operator, None)
    }

    pub(super) fn pool(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        let axes = map_axes(rank)?;
        let input = self.stored_shape(value, axes);
        let global = node.operator.starts_with("Global");
        let mut window = if global {
            Window { kernel: [input.height, input.width], ..Window::pointwise() }
        } else {
            let spatial = rank - 2;
            if node.ints("kernel_shape").is_none() {
                return Err(Refusal::malformed("no kernel_shape"));
            }
            self.window(node, pair(node.ints("kernel_shape"), spatial, "kernel_shape")?, input, spatial)?
        };
        if window.dilation != [1, 1] {
            return Err(Refusal::unsupported("a pooling window with dilation"));
        }
        let is_max = node.operator.ends_with("MaxPool");
        if is_max && node.proto.output.get(1).is_some_and(|name| !name.is_empty()) {
            return Err(Refusal::unsupported("the indices of a maximum"));
        }
        // Whether padding counts makes no difference without any.
        let mut counts_padding =
            node.int("count_include_pad", 0) != 0 && window.padding != Padding::default();
        let mut value = value.clone();
        if node.int("ceil_mode", 0) != 0 && !global {
            let padding = ceil_padding(&window, input)?;
            if padding != window.padding && counts_padding && !is_max {
                // The stated padding counts, what `ceil_mode` adds does not: the first becomes part of the map.
                let stated = window.padding;
                let mut borders = vec![(0, 0); rank];
                borders[rank - 1] = (stated.left, stated.right);
                if rank == 4 {
                    borders[2] = (stated.top, stated.bottom);
                }
                value = self.builder.pad(&format!("{}/pad", node.name), &value, axes, &borders, 0.0, None)?;
                let added = (padding.bottom - stated.bottom, padding.right - stated.right);
                window.padding = Padding { bottom: added.0, right: added.1, ..Padding::default() };
                counts_padding = false;
            } else {
                window.padding = padding;
            }
        }
        let padding = window.padding;
        if padding.top.max(padding.bottom) >= window.kernel[0]
            || padding.left.max(padding.right) >= window.kernel[1]
        {
            return Err(Refusal::malformed("a pooling border as large as its window"));
        }
        let operator = if is_max {
            Operator::MaxPool(window)
        } else {
            Operator::AveragePool { window, count_include_pad: counts_padding }
        };
        self.builder.windowed(&node.name, &value, axes, operator, None)
    }

    pub(super) fn pad_node(&mut self, node: &NodeView<'_>) -> Result<Value, Refusal> {
        let value = node.value(0)?;
        let rank = value.layout.rank();
        match node.text("mode").unwrap_or("constant") {
            "constant" | "" => {}
            mode => {
                return Err(Refusal::new(
                    format!("padding of mode '{mode}'"),
                    "pad with a constant, or let the convolution pad with zeros",
                ));
            }
        }
        let pads = match (node.ints("pads"), node.constant(1)?) {
            (Some(pads), _) => pads,
            (None, Some(constant)) => constant.ints()?,
            (None, None) => return Err(Refusal::malformed("no pads")),
        };
        let fill = match node.constant(2)? {
            Some(constant) => {
                constant.scalar().ok_or_else(|| Refusal::malformed("a fill of several values"))?
            }
            None => node.float("value", 0.0),
        };
        let axes = match node.constant(3)? {
            Some(axes) => {
                axes.ints()?.iter().map(|&axis| node.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?
            }
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(Refusal::malformed(format!("{} pads for {} axes", pads.len(), axes.len())));
        }
        let mut borders = vec![(0, 0); rank];
        for (index, &axis) in axes.iter().enumerate() {
            borders[axis] =
                (window_number(pads[index], "pads")?, window_number(pads[axes.len() + index], "pads")?);
        }
        if borders.iter().all(|&border| border == (0, 0)) {
            return Ok(value.clone());
        }
        let axes = super::arrangements(rank)
            .into_iter()
            .find(|axes| axes.iter().flat_map(|group| value.layout.factors_of(group)).is_sorted())
            .map_or_else(|| map_axes(rank), Ok)?;
        self.builder.pad(&node.name, value, axes, &borders, fill, None)
    }
}

fn explicit_padding(pads: Option<&[i64]>, spatial: usize) -> Result<Padding, Refusal> {
    let number = |value: i64| window_number(value, "pads");
    match (pads, spatial) {
        (None, _) => Ok(Padding::default()),
        (Some(&[left, right]), 1) => {
            Ok(Padding { left: number(left)?, right: number(right)?, ..Padding::default() })
        }
        (Some(&[top, left, bottom, right]), 2) => Ok(Padding {
            top: number(top)?,
            left: number(left)?,
            bottom: number(bottom)?,
            right: number(right)?,
        }),
        (Some(other), _) => Err(Refusal::malformed(format!("pads {other:?} for {spatial} axes"))),
    }
}

/// The padding with which the window makes as many outputs as `ceil_mode` asks for.
fn ceil_padding(window: &Window, input: Shape) -> Result<Padding, Refusal> {
    super::super::maps::output_size(window, input)?;
    let extra = |size: usize, axis: usize, before: usize, after: usize| {
        let (kernel, stride) = (window.kernel[axis], window.stride[axis]);
        let mut outputs = (size + before + after - kernel).div_ceil(stride) + 1;
        // A window must begin inside the map or the border before it.
        if (outputs - 1) * stride >= size + before {
            outputs -= 1;
        }
        after.max(((outputs - 1) * stride + kernel).saturating_sub(size + before))
    };
    let padding = window.padding;
    Ok(Padding {
        bottom: extra(input.height, 0, padding.top, padding.bottom),
        right: extra(input.width, 1, padding.left, padding.right),
        ..padding
    })
}
