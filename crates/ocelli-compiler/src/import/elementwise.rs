//! Element-wise operators: activations, and arithmetic of a tensor with a constant or with another tensor.

use super::builder::{Builder, Value};
use super::constant::{Constant, broadcast_dims};
use super::error::Refusal;
use super::formula::Formula;
use super::layout::Layout;
use crate::graph::{
    Activation, Bias, Constant as GraphConstant, Conv2d, Operator, Quantization, Weights, Window,
};

/// The four operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Arithmetic {
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
        }
    }
}

impl Builder {
    /// The value as a function of the tensor that its chain of element-wise steps starts at.
    pub fn formula(&self, value: &Value) -> Formula {
        self.formulas.get(&value.tensor).cloned().unwrap_or_else(|| Formula::identity(value.tensor))
    }

    /// A function of each element.
    pub fn activation(
        &mut self,
        name: &str,
        value: &Value,
        activation: Activation,
        quantization: Option<Quantization>,
    ) -> Value {
        if matches!(activation, Activation::Affine { scale, offset } if scale == 1.0 && offset == 0.0)
            && self.graph.tensor(value.tensor).quantization == quantization
        {
            return value.clone();
        }
        let formula = self.formula(value).then(|x| activation.apply(x));
        self.unary(name, value, Operator::Activation(activation), formula, quantization)
    }

    /// A step that has no operator of its own and must turn out to be part of an activation.
    pub fn partial(
        &mut self,
        name: &str,
        operator: &str,
        value: &Value,
        function: impl Fn(f64) -> f64,
    ) -> Value {
        let formula = self.formula(value).then(function);
        self.partial_step(name, operator, value, formula)
    }

    fn partial_step(&mut self, name: &str, operator: &str, value: &Value, formula: Formula) -> Value {
        if let Some(known) = formula.recognise() {
            return self.recognised(name, value, known, &formula);
        }
        let shape = self.shape(value.tensor);
        let tensor = self.graph.add_tensor(name, shape);
        self.formulas.insert(tensor, formula);
        self.partial.insert(tensor, (name.to_owned(), operator.to_owned()));
        Value { tensor, layout: value.layout.clone() }
    }

    fn recognised(&mut self, name: &str, value: &Value, known: Activation, formula: &Formula) -> Value {
        let shape = self.shape(value.tensor);
        let tensor = self.emit(name, Operator::Activation(known), vec![formula.root], shape, None);
        Value { tensor, layout: value.layout.clone() }
    }

    fn unary(
        &mut self,
        name: &str,
        value: &Value,
        operator: Operator,
        formula: Formula,
        quantization: Option<Quantization>,
    ) -> Value {
        let several = self.formulas.contains_key(&value.tensor);
        if let Some(known) = formula.recognise().filter(|_| several && quantization.is_none()) {
            return self.recognised(name, value, known, &formula);
        }
        let shape = self.shape(value.tensor);
        let tensor = self.emit(name, operator, vec![value.tensor], shape, quantization);
        if quantization.is_none() {
            self.formulas.insert(tensor, formula);
        }
        Value { tensor, layout: value.layout.clone() }
    }

    /// `value (op) constant`, or the reverse: one affine function, one per channel (a 1x1 depthwise convolution), or a constant map.
    pub fn with_constant(
        &mut self,
        name: &str,
        arithmetic: Arithmetic,
        value: &Value,
        constant: &Constant,
        reversed: bool,
    ) -> Result<Value, Refusal> {
        let layout = broadcast_layout(&value.layout, &constant.dims)?;
        let value = Value { tensor: value.tensor, layout };
        if reversed && arithmetic == Arithmetic::Div {
            return Err(Refusal::unsupported("division of a constant by a tensor"));
        }
        // y = scale * x + offset, element by element.
        let affine = |&c: &f32| match (arithmetic, reversed) {
            (Arithmetic::Add, _) => (1.0, c),
            (Arithmetic::Sub, false) => (1.0, -c),
            (Arithmetic::Sub, true) => (-1.0, c),
            (Arithmetic::Mul, _) => (c, 0.0),
            (Arithmetic::Div, _) => (1.0 / c, 0.0),
        };
        let operand = match constant.scalar() {
            Some(scalar) => vec![scalar],
            None => in_storage_order(&value.layout, constant)?,
        };
        let (scales, offsets): (Vec<f32>, Vec<f32>) = operand.iter().map(affine).unzip();
        self.affine(name, &value, scales, offsets)
    }

    /// `scale * x + offset` with one scale and offset, or one for each element in storage order: as one function where all are equal, a 1x1
    /// depthwise convolution where each channel has its own, else arithmetic with constant maps.
    pub fn affine(
        &mut self,
        name: &str,
        value: &Value,
        scales: Vec<f32>,
        offsets: Vec<f32>,
    ) -> Result<Value, Refusal> {
        if scales.iter().chain(&offsets).any(|factor| !factor.is_finite()) {
            return Err(Refusal::new(
                "its constant operand is infinite, not a number, or a divisor of zero",
                "export the trained weights again",
            ));
        }
        let shape = self.shape(value.tensor);
        let repeats =
            |values: &[f32], period: usize| values.iter().zip(&values[period..]).all(|(a, b)| a == b);
        let both_repeat = |period: usize| repeats(&scales, period) && repeats(&offsets, period);
        if both_repeat(1.min(scales.len() - 1)) {
            let activation = Activation::Affine { scale: scales[0], offset: offsets[0] };
            return Ok(self.activation(name, value, activation, None));
        }
        if both_repeat(shape.channels) {
            let operator =
                per_channel_affine(scales[..shape.channels].to_vec(), offsets[..shape.channels].to_vec());
            let tensor = self.emit(name, operator, vec![value.tensor], shape, None);
            return Ok(Value { tensor, layout: value.layout.clone() });
        }
        let mut tensor = value.tensor;
        for (operator, values, neutral) in [(Operator::Mul, scales, 1.0), (Operator::Add, offsets, 0.0)] {
            if values.iter().any(|&factor| factor != neutral) {
                let map = Operator::Constant(GraphConstant::Float(values));
                let map = self.emit(&format!("{name}/constant"), map, Vec::new(), shape, None);
                tensor = self.emit(name, operator, vec![tensor, map], shape, None);
            }
        }
        Ok(Value { tensor, layout: value.layout.clone() })
    }

    /// `left (op) right` of two tensors.
    pub fn of_two(
        &mut self,
        name: &str,
        arithmetic: Arithmetic,
        left: &Value,
        right: &Value,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        if quantization.is_none()
            && let Some(formula) =
                self.formula(left).with(&self.formula(right), |a, b| arithmetic.apply(a, b))
            && left.layout == right.layout
        {
            if let Some(known) = formula.recognise() {
                return Ok(self.recognised(name, left, known, &formula));
            }
            let partial = [left, right].iter().any(|value| self.partial.contains_key(&value.tensor));
            if partial {
                return Ok(self.partial_step(name, &format!("{arithmetic:?}"), left, formula));
            }
            let value = self.of_two_maps(name, arithmetic, left, right, quantization)?;
            self.formulas.insert(value.tensor, formula);
            return Ok(value);
        }
        self.of_two_maps(name, arithmetic, left, right, quantization)
    }

    fn of_two_maps(
        &mut self,
        name: &str,
        arithmetic: Arithmetic,
        left: &Value,
        right: &Value,
        quantization: Option<Quantization>,
    ) -> Result<Value, Refusal> {
        let operator = match arithmetic {
            Arithmetic::Add | Arithmetic::Sub => Operator::Add,
            Arithmetic::Mul => Operator::Mul,
            Arithmetic::Div => return Err(Refusal::unsupported("division of two tensors")),
        };
        let dims = broadcast_dims(&left.layout.dims(), &right.layout.dims()).ok_or_else(|| {
            Refusal::malformed(format!(
                "shapes {:?} and {:?} do not match",
                left.layout.dims(),
                right.layout.dims()
            ))
        })?;
        let negated;
        let right = if arithmetic == Arithmetic::Sub {
            if quantization.is_some() {
                return Err(Refusal::unsupported("int8 subtraction of two tensors"));
            }
            let negative = Activation::Affine { scale: -1.0, offset: 0.0 };
            negated = self.activation(&format!("{name}/negative"), right, negative, None);
            &negated
        } else {
            right
        };
        let (large, small) =
            if left.layout.len() >= right.layout.len() { (left, right) } else { (right, left) };
        if large.layout.len() != dims.iter().product::<usize>() {
            return Err(Refusal::unsupported(format!(
                "both operands are broadcast ({:?} with {:?})",
                left.layout.dims(),
                right.layout.dims()
            )));
        }
        let large = Value { tensor: large.tensor, layout: expanded(&large.layout, dims.len())? };
        let small = Value { tensor: small.tensor, layout: expanded(&small.layout, dims.len())? };
        let (large, small) = self.align(&large, &small, name)?;
        let shape = self.shape(large.tensor);
        let tensor = self.emit(name, operator, vec![large.tensor, small.tensor], shape, quantization);
        Ok(Value { tensor, layout: large.layout })
    }

    /// Both operands stored alike, the second of the first's shape or `1 x 1 x channels` or `1 x 1 x 1`.
    fn align(&mut self, large: &Value, small: &Value, name: &str) -> Result<(Value, Value), Refusal> {
        let shape = self.shape(large.tensor);
        if small.layout.dims() == large.layout.dims() {
            if small.layout == large.layout {
                let tensor = self.reshape(small.tensor, shape, name);
                return Ok((large.clone(), Value { tensor, layout: small.layout.clone() }));
            }
            let small = self.in_order_of(small, &large.layout, name)?;
            let tensor = self.reshape(small.tensor, shape, name);
            if small.layout == large.layout {
                return Ok((large.clone(), Value { tensor, layout: small.layout }));
            }
            // Factors are split differently: fall back to the file's own order for both.
            let all: Vec<usize> = (0..large.layout.rank()).collect();
            let flat_large = self.arrange(large, [&[], &[], &all], name)?;
            let flat_small = self.arrange(&small, [&[], &[], &all], name)?;
            let layout = Layout::in_file_order(&large.layout.dims());
            return Ok((
                Value { tensor: flat_large.tensor, layout: layout.clone() },
                Value { tensor: flat_small.tensor, layout },
            ));
        }
        // The axes that the small operand has must be the large one's channels, innermost.
        let small_dims = small.layout.dims();
        let (inner, outer): (Vec<usize>, Vec<usize>) =
            (0..small_dims.len()).partition(|&axis| small_dims[axis] != 1);
        if small_dims.iter().zip(large.layout.dims()).any(|(&small, large)| small != 1 && small != large) {
            return Err(Refusal::unsupported("a partly broadcast axis"));
        }
        let factors = large.layout.factor_sizes().len();
        let tail = large.layout.factors_of(&inner);
        let is_tail = tail.iter().enumerate().all(|(index, &factor)| factor == factors - tail.len() + index);
        let channels = large.layout.size(&inner);
        let large = if is_tail && (shape.channels == channels || inner.is_empty()) {
            large.clone()
        } else {
            self.arrange(large, [&[], &outer, &inner], name)?
        };
        let small = self.arrange(small, [&[], &[], &inner], name)?;
        Ok((large, small))
    }

    /// A value stored in the order of another of the same dimensions.
    fn in_order_of(&mut self, value: &Value, model: &Layout, name: &str) -> Result<Value, Refusal> {
        // Only whole axes can be put in another's order; composite axes go through the file's order.
        let mut axes: Vec<usize> = (0..model.rank()).filter(|&axis| model.size(&[axis]) != 1).collect();
        axes.sort_by_key(|&axis| model.factors_of(&[axis]).first().copied());
        let shape = self.shape(value.tensor);
        match axes.as_slice() {
            [] => Ok(value.clone()),
            [c] if shape.channels == model.len() => self.arrange(value, [&[], &[], &[*c]], name),
            [h, w, c] => self.arrange(value, [&[*h], &[*w], &[*c]], name),
            [rest @ .., c] => self.arrange(value, [&[], rest, &[*c]], name),
        }
    }
}

/// A 1x1 depthwise convolution that scales and shifts each channel.
pub(super) fn per_channel_affine(scales: Vec<f32>, offsets: Vec<f32>) -> Operator {
    Operator::Conv2d(Conv2d {
        window: Window::pointwise(),
        groups: scales.len(),
        weights: Weights::Float(scales),
        bias: Bias::Float(offsets),
        fully_connected: false,
    })
}

/// A constant's elements in the storage order of a tensor that it broadcasts to.
pub(super) fn in_storage_order(layout: &Layout, constant: &Constant) -> Result<Vec<f32>, Refusal> {
    let steps = constant.broadcast_strides(&layout.dims()).ok_or_else(|| {
        Refusal::malformed(format!(
            "a constant of shape {:?} does not match {:?}",
            constant.dims,
            layout.dims()
        ))
    })?;
    let values = constant.floats();
    Ok(layout.gather(&steps).into_iter().map(|index| values[index]).collect())
}

/// A layout with axes of size 1 added in front, to `rank`.
pub(super) fn expanded(layout: &Layout, rank: usize) -> Result<Layout, Refusal> {
    let mut dims = vec![1; rank.saturating_sub(layout.rank())];
    dims.extend(layout.dims());
    layout.reshaped(&dims).ok_or_else(|| Refusal::unsupported("this broadcast"))
}

/// The layout of a tensor after arithmetic with a constant of `dims`, which must not enlarge it.
pub(super) fn broadcast_layout(layout: &Layout, dims: &[usize]) -> Result<Layout, Refusal> {
    let own = layout.dims();
    match broadcast_dims(&own, dims) {
        Some(result) if result.iter().product::<usize>() == layout.len() => expanded(layout, result.len()),
        Some(_) => Err(Refusal::unsupported(format!(
            "a constant of shape {dims:?} enlarges a tensor of shape {own:?}"
        ))),
        None => Err(Refusal::malformed(format!("shapes {own:?} and {dims:?} do not match"))),
    }
}
