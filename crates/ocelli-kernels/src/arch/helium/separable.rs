//! Separable layers: rows of the depthwise convolution in working memory, a table over them, and sums along their pixels.

use super::super::{Parameters, SeparableRules, SeparableShape};
use super::conv::store;
use super::dot::{Dot, Pixels};
use super::{bytes, depthwise, quad};
use crate::Map;
use crate::requantize::Rule;

/// Pixels of the middle below which more than two rows are made at once.
const FEW: usize = 12;

/// How a shape is computed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    depthwise: depthwise::Plan,
    dot: Dot,
    columns: usize,
    /// Rows of the middle that are made at once.
    rows: usize,
}

impl Plan {
    /// `None` for shapes without a kernel.
    pub fn new(shape: &SeparableShape) -> Option<Self> {
        let [_, columns, channels] = shape.depthwise.output;
        if shape.outputs == 0 {
            return None;
        }
        let values = channels.checked_add(15)? & !15;
        Some(Self {
            depthwise: depthwise::Plan::new(&shape.depthwise)?,
            dot: Dot { values, segments: 1, outputs: shape.outputs },
            columns,
            // Sums are fastest for multiples of three pixels.
            rows: if columns < FEW { 6 } else { 2 },
        })
    }

    /// Words of the parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        self.depthwise.words::<R>()?.checked_add(self.dot.words::<R>()?)
    }

    /// Writes the parameters.
    pub fn pack<R: Rule>(
        &self,
        [depthwise, pointwise]: [&Parameters<'_, R>; 2],
        packed: &mut [u32],
    ) -> Option<()> {
        let (first, second) = packed.split_at_mut_checked(self.depthwise.words::<R>()?)?;
        self.depthwise.pack(depthwise, first)?;
        let channels = depthwise.channels.len();
        if pointwise.weights.len() != channels.checked_mul(self.dot.outputs)? {
            return None;
        }
        let weight = |output: usize, _: usize, value: usize| {
            if value < channels { pointwise.weights.get(output * channels + value).copied() } else { Some(0) }
        };
        self.dot.pack::<R>(pointwise.channels, weight, second)
    }

    fn row_bytes(&self) -> Option<usize> {
        self.columns.checked_mul(self.dot.values)
    }

    fn output_bytes(&self) -> Option<usize> {
        if self.dot.outputs.is_multiple_of(4) {
            return Some(0);
        }
        self.dot.stored().checked_mul(self.columns)?.checked_mul(self.rows)
    }

    /// Bytes of scratch.
    pub fn scratch(&self) -> Option<usize> {
        let middle = self.row_bytes()?.checked_mul(self.rows)?;
        self.depthwise.work_bytes()?.checked_add(middle)?.checked_add(self.output_bytes()?)
    }

    /// Makes output rows from `y` on.
    pub fn rows<R: Rule>(
        &self,
        rules: &SeparableRules<'_, R>,
        packed: &[u32],
        input: &Map<'_>,
        y: usize,
        output: &mut [i8],
        scratch: &mut [i8],
    ) -> Option<()> {
        let (mut work, rest) = self.depthwise.work(scratch)?;
        let row_bytes = self.row_bytes()?;
        let (middle, rest) = rest.split_at_mut_checked(row_bytes.checked_mul(self.rows)?)?;
        let outputs = rest.get_mut(..self.output_bytes()?)?;
        let (first, second) = packed.split_at_checked(self.depthwise.words::<R>()?)?;
        let length = self.columns.checked_mul(self.dot.outputs).filter(|&length| length != 0)?;
        let mut y = y;
        for output in output.chunks_mut(length.checked_mul(self.rows)?.max(1)) {
            let rows = output.len().checked_div(length)?;
            let middle = middle.get_mut(..row_bytes.checked_mul(rows)?)?;
            let strides = [row_bytes, self.dot.values];
            self.depthwise.rows(&rules.depthwise, first, input, y, middle, strides, &mut work)?;
            quad::clamp(&rules.depthwise, middle);
            if let Some(table) = rules.table {
                bytes::table(middle, table);
            }
            let count = self.columns.checked_mul(rows)?;
            let pixels = Pixels { data: middle, starts: [0; 3], stride: self.dot.values, count };
            store(&self.dot, &rules.pointwise, second, &pixels, output, outputs)?;
            y = y.checked_add(rows)?;
        }
        quad::clamp(&rules.pointwise, output);
        Some(())
    }
}
