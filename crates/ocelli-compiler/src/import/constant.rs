//! Constant tensors of a file: weights, shapes, scalars.

use super::error::Refusal;
use super::layout::strides;

/// More elements than any tensor of a microcontroller's network has; a larger one is a damaged or hostile file.
pub(super) const MAX_ELEMENTS: usize = 1 << 25;

/// A constant in the file's row-major order. Its dimensions have passed [`bounded_count`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
    /// Whether the file's type is uint8, which says how a zero point is meant.
    pub is_uint8: bool,
}

/// The elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Any floating-point type, widened or narrowed to single precision.
    Float(Vec<f32>),
    /// Any integer type and booleans.
    Int(Vec<i64>),
}

/// Number of elements of these dimensions, refused where it is absurd. An empty tensor is legal (no axes to reduce, no region of
/// interest), but its other axes are bounded all the same: strides and products of some of the axes are computed without checks.
pub(super) fn bounded_count(dims: &[usize]) -> Result<usize, Refusal> {
    let bound = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)));
    match bound {
        Some(count) if count <= MAX_ELEMENTS => Ok(if dims.contains(&0) { 0 } else { count }),
        _ => Err(Refusal::new(
            format!("shape {dims:?} has more than {MAX_ELEMENTS} elements"),
            "use a smaller network, or export the file again if it is damaged",
        )),
    }
}

/// As [`bounded_count`], where an empty tensor is refused too.
pub(super) fn element_count(dims: &[usize]) -> Result<usize, Refusal> {
    match bounded_count(dims)? {
        0 => Err(Refusal::new(
            format!("shape {dims:?} has an axis of size 0"),
            "give every axis a size of at least 1",
        )),
        count => Ok(count),
    }
}

impl Constant {
    pub fn float(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self { dims, data: Data::Float(values), is_uint8: false }
    }

    pub fn int(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Self { dims, data: Data::Int(values), is_uint8: false }
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    /// The elements as single precision.
    pub fn floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float(values) => values.clone(),
            Data::Int(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    /// The elements as integers; refused for floating point.
    pub fn ints(&self) -> Result<&[i64], Refusal> {
        match &self.data {
            Data::Int(values) => Ok(values),
            Data::Float(_) => {
                Err(Refusal::malformed("expected a constant of integers, found floating point"))
            }
        }
    }

    /// The only element, where there is just one.
    pub fn scalar(&self) -> Option<f32> {
        (self.len() == 1).then(|| self.floats()[0])
    }

    /// The elements at these row-major indices.
    pub fn pick(&self, dims: Vec<usize>, indices: &[usize]) -> Self {
        let data = match &self.data {
            Data::Float(values) => Data::Float(indices.iter().map(|&index| values[index]).collect()),
            Data::Int(values) => Data::Int(indices.iter().map(|&index| values[index]).collect()),
        };
        Self { dims, data, is_uint8: self.is_uint8 }
    }

    /// Axes in another order: new axis `i` is old axis `order[i]`.
    pub fn transposed(&self, order: &[usize]) -> Self {
        let dims: Vec<usize> = order.iter().map(|&axis| self.dims[axis]).collect();
        let old = strides(&self.dims);
        let steps: Vec<usize> = order.iter().map(|&axis| old[axis]).collect();
        let indices = walk(&dims, &steps);
        self.pick(dims, &indices)
    }

    /// Strides with which this constant broadcasts to `dims`; `None` where it does not.
    pub fn broadcast_strides(&self, dims: &[usize]) -> Option<Vec<usize>> {
        let missing = dims.len().checked_sub(self.dims.len())?;
        let own = strides(&self.dims);
        let mut steps = vec![0; dims.len()];
        for (axis, &dim) in self.dims.iter().enumerate() {
            if dim == dims[missing + axis] {
                steps[missing + axis] = own[axis];
            } else if dim != 1 {
                return None;
            }
        }
        Some(steps)
    }

    /// Repeated along axes of size 1 to fill `dims`.
    pub fn broadcast(&self, dims: &[usize]) -> Option<Self> {
        let steps = self.broadcast_strides(dims)?;
        Some(self.pick(dims.to_vec(), &walk(dims, &steps)))
    }
}

/// Offsets of all elements of an array of `dims` whose axes have these steps, in row-major order.
pub(super) fn walk(dims: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut indices = vec![0];
    for (&size, &step) in dims.iter().zip(steps) {
        indices = indices.iter().flat_map(|&base| (0..size).map(move |index| base + index * step)).collect();
    }
    indices
}

/// The dimensions that two operands broadcast to.
pub(super) fn broadcast_dims(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |axis| dims[axis]);
    (0..rank)
        .map(|axis| match (at(left, axis), at(right, axis)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}
