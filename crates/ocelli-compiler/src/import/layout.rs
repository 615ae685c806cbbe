//! Where the elements of a file's tensor lie in the stored `height x width x channels` tensor.
//!
//! A stored tensor is a row-major array of *factors* (sizes above 1, outermost first). Each axis of the file's tensor is a list of
//! such factors. So a transpose only reorders axes, and a flatten or reshape only regroups (and sometimes splits) factors: nothing
//! moves until an operator needs another order of storage.

/// The storage of a tensor with a file's axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Sizes of the storage factors, outermost first, each above 1.
    factors: Vec<usize>,
    /// For each file axis its factors, outermost first; empty for an axis of size 1.
    axes: Vec<Vec<usize>>,
}

impl Layout {
    /// A tensor of these dimensions whose file axes are stored in `order`, outermost first. Axes of size 1 may be missing in `order`.
    pub fn stored(dims: &[usize], order: &[usize]) -> Self {
        let mut layout = Self { factors: Vec::new(), axes: vec![Vec::new(); dims.len()] };
        for &axis in order.iter().filter(|&&axis| dims[axis] != 1) {
            layout.axes[axis].push(layout.factors.len());
            layout.factors.push(dims[axis]);
        }
        layout
    }

    /// A tensor stored in its file order.
    pub fn in_file_order(dims: &[usize]) -> Self {
        Self::stored(dims, &(0..dims.len()).collect::<Vec<_>>())
    }

    /// The file's dimensions.
    pub fn dims(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| self.product(axis)).collect()
    }

    pub fn rank(&self) -> usize {
        self.axes.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.factors.iter().product()
    }

    fn product(&self, factors: &[usize]) -> usize {
        factors.iter().map(|&factor| self.factors[factor]).product()
    }

    /// Size of a group of axes.
    pub fn size(&self, axes: &[usize]) -> usize {
        axes.iter().map(|&axis| self.product(&self.axes[axis])).product()
    }

    /// The factors of some axes, in that order.
    pub fn factors_of(&self, axes: &[usize]) -> Vec<usize> {
        axes.iter().flat_map(|&axis| self.axes[axis].iter().copied()).collect()
    }

    pub fn factor_sizes(&self) -> &[usize] {
        &self.factors
    }

    /// The same storage under permuted file axes: new axis `i` is old axis `order[i]`.
    pub fn transposed(&self, order: &[usize]) -> Self {
        Self {
            factors: self.factors.clone(),
            axes: order.iter().map(|&axis| self.axes[axis].clone()).collect(),
        }
    }

    /// The same storage with factors in another order; `order` lists all factors, outermost first.
    pub fn restored(&self, order: &[usize]) -> Self {
        let place = |factor: &usize| order.iter().position(|other| other == factor).unwrap_or(*factor);
        Self {
            factors: order.iter().map(|&factor| self.factors[factor]).collect(),
            axes: self.axes.iter().map(|axis| axis.iter().map(place).collect()).collect(),
        }
    }

    /// The same elements in the same file order under other dimensions; `None` where a new axis would cut across factors so that
    /// the storage cannot be kept.
    pub fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        let mut factors = self.factors.clone();
        let mut pending: Vec<usize> =
            (0..self.axes.len()).flat_map(|axis| self.axes[axis].clone()).rev().collect();
        let mut axes = Vec::with_capacity(dims.len());
        for &dim in dims {
            let (mut axis, mut rest) = (Vec::new(), dim);
            while rest > 1 {
                let factor = pending.pop()?;
                let size = factors[factor];
                if rest.is_multiple_of(size) {
                    rest /= size;
                    axis.push(factor);
                } else if size.is_multiple_of(rest) {
                    // The factor splits in two neighbours; later factors move up by one.
                    factors[factor] = rest;
                    factors.insert(factor + 1, size / rest);
                    let shift = |other: &mut usize| *other += usize::from(*other > factor);
                    pending.iter_mut().for_each(shift);
                    axes.iter_mut().flat_map(|axis: &mut Vec<usize>| axis.iter_mut()).for_each(shift);
                    axis.iter_mut().for_each(shift);
                    axis.push(factor);
                    pending.push(factor + 1);
                    rest = 1;
                } else {
                    return None;
                }
            }
            axes.push(axis);
        }
        pending.is_empty().then(|| Self { factors, axes }.merged())
    }

    /// With factors joined that lie side by side in storage and in an axis, so that equal layouts compare equal.
    fn merged(mut self) -> Self {
        let mut factor = 0;
        while factor + 1 < self.factors.len() {
            let next = factor + 1;
            let joined = self.axes.iter_mut().find_map(|axis| {
                let place = axis.windows(2).position(|pair| pair == [factor, next])?;
                axis.remove(place + 1);
                Some(())
            });
            if joined.is_none() {
                factor = next;
                continue;
            }
            self.factors[factor] *= self.factors.remove(next);
            self.axes.iter_mut().flatten().for_each(|other| *other -= usize::from(*other > factor));
        }
        self
    }

    /// This layout under further reshapes and transposes: `view` is what they make of a tensor that is stored in the file order of this
    /// layout's dimensions. `None` where they cut across this storage.
    pub fn through(&self, view: &Self) -> Option<Self> {
        let parts = self.reshaped(view.factor_sizes())?;
        let axes =
            view.axes.iter().map(|axis| axis.iter().flat_map(|&part| parts.axes[part].clone()).collect());
        Some(Self { axes: axes.collect(), factors: parts.factors }.merged())
    }

    /// The layout after one factor lost all but `size` of its elements.
    pub fn cut(&self, factor: usize, size: usize) -> Self {
        let mut layout = self.clone();
        layout.factors[factor] = size;
        if size == 1 {
            layout.factors.remove(factor);
            for axis in &mut layout.axes {
                axis.retain(|&other| other != factor);
                axis.iter_mut().for_each(|other| *other -= usize::from(*other > factor));
            }
        }
        layout.merged()
    }

    /// The layout of one value for all elements along some axes, which become size 1. Their factors stay in the storage that the others
    /// are places in.
    pub fn without(&self, gone: &[usize]) -> Self {
        let mut layout = self.clone();
        for &axis in gone {
            layout.axes[axis].clear();
        }
        layout
    }

    /// The layout after axes whose factors are innermost became one axis `axis` of size `size` (a linear layer's outputs); the other
    /// axes in `gone` become size 1.
    pub fn with_tail(&self, gone: &[usize], axis: usize, size: usize) -> Self {
        let kept = self.factors.len() - self.factors_of(gone).len();
        let mut layout = Self { factors: self.factors[..kept].to_vec(), axes: self.axes.clone() };
        for &axis in gone {
            layout.axes[axis].clear();
        }
        if size != 1 {
            layout.axes[axis].push(kept);
            layout.factors.push(size);
        }
        layout
    }

    /// The layout after axes whose factors are outermost were reduced to size 1.
    pub fn without_front(&self, gone: &[usize]) -> Self {
        let removed = self.factors_of(gone).len();
        let mut layout = Self { factors: self.factors[removed..].to_vec(), axes: self.axes.clone() };
        for &axis in gone {
            layout.axes[axis].clear();
        }
        layout.axes.iter_mut().flatten().for_each(|factor| *factor -= removed);
        layout
    }

    /// For each stored element, in storage order, its index in an array of the file's dimensions; where `strides` of an axis is zero,
    /// that axis is broadcast.
    pub fn gather(&self, strides: &[usize]) -> Vec<usize> {
        let mut steps = vec![0; self.factors.len()];
        for (axis, &stride) in self.axes.iter().zip(strides) {
            let mut step = stride;
            for &factor in axis.iter().rev() {
                steps[factor] = step;
                step *= self.factors[factor];
            }
        }
        let mut indices = vec![0];
        for (&size, &step) in self.factors.iter().zip(&steps) {
            indices =
                indices.iter().flat_map(|&base| (0..size).map(move |index| base + index * step)).collect();
        }
        indices
    }
}

/// Row-major strides of an array of these dimensions.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_nchw_stored_as_hwc_permutes() {
        let map = Layout::stored(&[1, 2, 1, 3], &[0, 2, 3, 1]);
        let flat = map.reshaped(&[1, 6]).unwrap();
        assert_eq!(flat.dims(), [1, 6]);
        // Stored: w0c0 w0c1 w1c0 ...; in the file c is outermost.
        assert_eq!(flat.gather(&strides(&[1, 6])), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn a_view_of_a_view_is_a_layout() {
        let map = Layout::stored(&[1, 8, 4, 6], &[0, 2, 3, 1]);
        let unfolded = map.reshaped(&[16, 2, 3, 2]).unwrap().transposed(&[0, 2, 1, 3]);
        let view =
            Layout::in_file_order(&[16, 3, 2, 2]).transposed(&[2, 3, 0, 1]).reshaped(&[4, 48]).unwrap();
        let both = unfolded.through(&view).unwrap();
        let expected = unfolded.transposed(&[2, 3, 0, 1]).reshaped(&[4, 48]).unwrap();
        assert_eq!(both, expected);
        assert!(map.through(&Layout::in_file_order(&[3, 64])).is_none());
    }

    #[test]
    fn a_reshape_splits_and_regroups_factors() {
        let map = Layout::stored(&[1, 8, 4, 5], &[0, 2, 3, 1]);
        let split = map.reshaped(&[1, 2, 4, 4, 5]).unwrap();
        assert_eq!(split.factor_sizes(), [4, 5, 2, 4]);
        let shuffled = split.transposed(&[0, 2, 1, 3, 4]).reshaped(&[1, 8, 4, 5]).unwrap();
        assert_eq!(shuffled.dims(), [1, 8, 4, 5]);
        assert_eq!(shuffled.factors_of(&[1]), [3, 2]);
        assert_eq!(map.reshaped(&[1, 160]).unwrap().reshaped(&[1, 8, 4, 5]).unwrap(), map);
        assert!(Layout::in_file_order(&[2, 3]).reshaped(&[3, 2]).is_none());
        assert!(Layout::in_file_order(&[2, 3]).reshaped(&[2]).is_none());
    }
}
