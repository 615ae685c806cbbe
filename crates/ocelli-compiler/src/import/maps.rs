//! Operators on maps, common to both file formats: windows, linear layers, means, concatenation, padding, softmax.

use super::builder::{Arrangement, Builder, Value};
use super::constant::element_count;
use super::elementwise::in_storage_order;
use super::error::Refusal;
use super::layout::Layout;
use crate::graph::{
    Axis, Bias, Constant as GraphConstant, Conv2d, Operator, Padding, Quantization, Shape, TensorId, Weights,
    Window,
};

/// More than any kernel, stride, dilation or border of a vision network; a larger one is a damaged file.
const MAX_WINDOW: usize = 1 << 14;

/// A kernel size, stride, dilation or border read from a file.
pub(super) fn window_number(value: i64, what: &str) -> Result<usize, Refusal> {
    usize::try_from(value)
        .ok()
        .filter(|&number| number <= MAX_WINDOW)
        .ok_or_else(|| Refusal::unsupported(format!("{what} {value} is negative or above {MAX_WINDOW}")))
}

impl Builder {
    /// A convolution or pooling over a map whose axes are given.
    pub fn windowed(
        &mut self,
        name: &str,
        value: &Value,
        axes: Arrangement<'_>,
        operator: Operator,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let input = self.arrange(value, axes, name)?;
        let shape = self.shape(input.tensor);
        let (window, channels) = match &operator {
            Operator::Conv2d(conv) => (&conv.window, conv.bias.len()),
            Operator::MaxPool(window) | Operator::AveragePool { window, .. } => (window, shape.channels),
            _ => return Err(Refusal::unsupported("a window of this operator")),
        };
        let [height, width] = output_size(window, shape)?;
        let shape = Shape::new(height, width, channels);
        element_count(&[shape.height, shape.width, shape.channels])?;
        let mut dims = value.layout.dims();
        for (group, size) in axes.iter().zip([shape.height, shape.width, shape.channels]) {
            if let Some(&axis) = group.first() {
                dims[axis] = size;
            }
        }
        let tensor = self.emit(name, operator, vec![input.tensor], shape, quantization);
        Ok(Value { tensor, layout: Layout::stored(&dims, &axes.concat()) })
    }

    /// A linear layer over one axis of the file's tensor: `weights` are `[outputs][inputs]` in the file's order of inputs, which are
    /// permuted here where storage differs, so that no data moves.
    pub fn linear(
        &mut self,
        name: &str,
        value: &Value,
        axis: usize,
        weights: Weights,
        bias: Bias,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        self.channel_product(name, value, axis, weights, bias, true, quantization)
    }

    /// [`Self::linear`], or a convolution of one pixel.
    #[expect(clippy::too_many_arguments, reason = "the operands of one layer")]
    pub fn channel_product(
        &mut self,
        name: &str,
        value: &Value,
        axis: usize,
        weights: Weights,
        bias: Bias,
        fully_connected: bool,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let input = self.with_innermost(value, &[axis], name);
        let inputs = input.layout.size(&[axis]);
        let outputs = weights.len() / inputs.max(1);
        let columns = stored_columns(&input.layout, axis);
        let weights = match weights {
            Weights::Float(values) => Weights::Float(permute_columns(&values, &columns)),
            Weights::Int8 { values, scales } => {
                Weights::Int8 { values: permute_columns(&values, &columns), scales }
            }
        };
        let shape = self.shape(input.tensor);
        let shape = Shape::new(shape.height, shape.width, outputs);
        element_count(&[shape.height, shape.width, shape.channels])?;
        let operator = Operator::Conv2d(Conv2d {
            window: Window::pointwise(),
            groups: 1,
            weights,
            bias,
            fully_connected,
        });
        let tensor = self.emit(name, operator, vec![input.tensor], shape, quantization);
        Ok(Value { tensor, layout: input.layout.with_tail(&[axis], axis, outputs) })
    }

    /// The mean over some axes, which become size 1.
    pub fn mean(
        &mut self,
        name: &str,
        value: &Value,
        reduced: &[usize],
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let layout = &value.layout;
        let gone = layout.factors_of(reduced);
        if gone.is_empty() && self.graph.tensor(value.tensor).quantization == quantization {
            return Ok(value.clone());
        }
        let (mut order, mut kept): (Vec<usize>, Vec<usize>) =
            (0..layout.factor_sizes().len()).partition(|factor| gone.contains(factor));
        let unmoved = order.iter().chain(&kept).copied().eq(0..layout.factor_sizes().len());
        order.append(&mut kept);
        let (pixels, channels) = (layout.size(reduced), layout.len() / layout.size(reduced));
        let shape = self.shape(value.tensor);
        let shape =
            if unmoved && shape.channels == channels { shape } else { Shape::new(pixels, 1, channels) };
        let input = self.store(value, &order, shape, name);
        let shape = Shape::new(1, 1, channels);
        let tensor = self.emit(name, Operator::Mean, vec![input.tensor], shape, quantization);
        Ok(Value { tensor, layout: input.layout.without_front(reduced) })
    }

    /// Softmax over some axes together.
    pub fn softmax(
        &mut self,
        name: &str,
        value: &Value,
        axes: &[usize],
        beta: f32,
        quantization: Option<Quantization>,
    ) -> Value {
        let input = self.with_innermost(value, axes, name);
        let shape = self.shape(input.tensor);
        let tensor = self.emit(name, Operator::Softmax { beta }, vec![input.tensor], shape, quantization);
        Value { tensor, layout: input.layout }
    }

    /// Values side by side along one axis. Among `candidates` the arrangement that moves the least is taken.
    pub fn concat(
        &mut self,
        name: &str,
        values: &[Value],
        axis: usize,
        candidates: &[Arrangement<'_>],
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let fits = |axes: &Arrangement<'_>| {
            axes.iter().any(|group| group.contains(&axis))
                && values.iter().all(|value| {
                    let factors = axes.iter().flat_map(|group| value.layout.factors_of(group));
                    factors.eq(0..value.layout.factor_sizes().len())
                })
        };
        let axes = candidates
            .iter()
            .find(|axes| fits(axes))
            .or_else(|| candidates.iter().find(|axes| axes.iter().any(|group| group.contains(&axis))))
            .ok_or_else(|| Refusal::unsupported(format!("concatenation along axis {axis} (the batch)")))?;
        let group = axes.iter().position(|group| group.contains(&axis)).unwrap_or(2);
        let mut inputs = Vec::with_capacity(values.len());
        for value in values {
            inputs.push(self.arrange(value, *axes, name)?.tensor);
        }
        let extents = |tensor: TensorId| {
            let shape = self.shape(tensor);
            [shape.height, shape.width, shape.channels]
        };
        let first = extents(*inputs.first().ok_or_else(|| Refusal::malformed("no inputs"))?);
        let mut total = first;
        total[group] = 0;
        for &input in &inputs {
            let own = extents(input);
            if (0..3).any(|index| index != group && own[index] != first[index]) {
                return Err(Refusal::malformed(format!(
                    "inputs of shapes {first:?} and {own:?} do not fit together"
                )));
            }
            total[group] += own[group];
        }
        element_count(&total)?;
        let operator = Operator::Concat([Axis::Height, Axis::Width, Axis::Channels][group]);
        let shape = Shape::new(total[0], total[1], total[2]);
        let tensor = self.emit(name, operator, inputs, shape, quantization);
        let mut dims = values[0].layout.dims();
        dims[axis] = total[group];
        Ok(Value { tensor, layout: Layout::stored(&dims, &axes.concat()) })
    }

    /// A constant border: `borders` are (before, after) for each file axis.
    pub fn pad(
        &mut self,
        name: &str,
        value: &Value,
        axes: Arrangement<'_>,
        borders: &[(usize, usize)],
        fill: f32,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let border = |group: usize| axes[group].first().map_or((0, 0), |&axis| borders[axis]);
        if borders
            .iter()
            .enumerate()
            .any(|(axis, &border)| border != (0, 0) && !axes.concat().contains(&axis))
        {
            return Err(Refusal::unsupported("padding of the batch axis"));
        }
        let ((top, bottom), (left, right), (front, back)) = (border(0), border(1), border(2));
        let mut current = self.arrange(value, axes, name)?;
        let mut dims = value.layout.dims();
        for (dim, (before, after)) in dims.iter_mut().zip(borders) {
            *dim += before + after;
        }
        element_count(&dims)?;
        let mut shape = self.shape(current.tensor);
        let layout = Layout::stored(&dims, &axes.concat());
        let padding = Padding { top, left, bottom, right };
        if padding != Padding::default() {
            shape = Shape::new(shape.height + top + bottom, shape.width + left + right, shape.channels);
            let operator = Operator::Pad { padding, value: fill };
            current.tensor = self.emit(name, operator, vec![current.tensor], shape, quantization);
        }
        if (front, back) != (0, 0) {
            let mut sides = vec![current.tensor];
            for (channels, first) in [(front, true), (back, false)] {
                if channels == 0 {
                    continue;
                }
                let map = Shape::new(shape.height, shape.width, channels);
                let constant = filled(map.len(), fill, quantization);
                let side = self.emit(&format!("{name}/border"), constant, Vec::new(), map, quantization);
                sides.insert(if first { 0 } else { sides.len() }, side);
            }
            let shape = Shape::new(shape.height, shape.width, shape.channels + front + back);
            current.tensor = self.emit(name, Operator::Concat(Axis::Channels), sides, shape, quantization);
        }
        Ok(Value { tensor: current.tensor, layout })
    }

    /// `x < 0 ? slope * x : x` with slopes that broadcast to the value.
    pub fn prelu(
        &mut self,
        name: &str,
        value: &Value,
        slopes: &super::constant::Constant,
    ) -> Result<Value, Refusal> {
        let slopes = in_storage_order(&value.layout, slopes)?;
        if let Some(slope) = slopes.iter().find(|slope| !slope.is_finite()) {
            return Err(Refusal::new(format!("a slope is {slope}"), "export the trained weights again"));
        }
        let shape = self.shape(value.tensor);
        if slopes.iter().zip(&slopes[shape.channels..]).all(|(a, b)| a == b) {
            let operator = Operator::PRelu { slopes: slopes[..shape.channels].to_vec(), quantized: None };
            let tensor = self.emit(name, operator, vec![value.tensor], shape, None);
            return Ok(Value { tensor, layout: value.layout.clone() });
        }
        // One slope an element: every element is a channel of its own.
        let flat = Shape::new(1, 1, shape.len());
        let input = self.reshape(value.tensor, flat, name);
        let flat = self.emit(name, Operator::PRelu { slopes, quantized: None }, vec![input], flat, None);
        Ok(Value { tensor: self.reshape(flat, shape, name), layout: value.layout.clone() })
    }
}

/// The output size of a window, refused where it does not fit once.
pub(super) fn output_size(window: &Window, input: Shape) -> Result<[usize; 2], Refusal> {
    if window.stride.contains(&0) || window.dilation.contains(&0) || window.kernel.contains(&0) {
        return Err(Refusal::malformed("a kernel size, stride or dilation of zero"));
    }
    window.output(input.height, input.width).ok_or_else(|| {
        Refusal::malformed(format!(
            "the window of {}x{} does not fit the map of {}x{}",
            window.kernel[0], window.kernel[1], input.height, input.width
        ))
    })
}

/// A constant map of one value.
fn filled(len: usize, value: f32, quantization: Option<Quantization>) -> Operator {
    Operator::Constant(match quantization {
        Some(Quantization { scale, zero_point }) => {
            let steps = (value / scale).round() + f32::from(zero_point);
            GraphConstant::Int8(vec![steps.clamp(-128.0, 127.0) as i8; len])
        }
        None => GraphConstant::Float(vec![value; len]),
    })
}

/// For each stored element along an innermost axis, its place along the axis in the file.
fn stored_columns(layout: &Layout, axis: usize) -> Vec<usize> {
    let mut steps = vec![0; layout.rank()];
    steps[axis] = 1;
    let mut columns = layout.gather(&steps);
    columns.truncate(layout.size(&[axis]));
    columns
}

fn permute_columns<T: Copy>(values: &[T], columns: &[usize]) -> Vec<T> {
    values.chunks_exact(columns.len()).flat_map(|row| columns.iter().map(|&column| row[column])).collect()
}
