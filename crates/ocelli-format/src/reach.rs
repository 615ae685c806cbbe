//! Which rows of its inputs a step's rows are made from.

use core::ops::Range;

use ocelli_kernels::Window;

use crate::operator::{
    AttentionQ32Record, ConcatRecord, NormQ32Record, Operator, PadRecord, PatchRecord, SliceRecord,
};
use crate::{Step, TensorInfo};

/// The rows of an input that a row of the output is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those under a window.
    Window {
        /// Taps.
        kernel: u16,
        /// Step between outputs.
        stride: u16,
        /// Distance between taps.
        dilation: u16,
        /// Rows above the map.
        padding: u16,
    },
    /// One row: that of the output, and so many rows further down.
    Row(i32),
    /// All rows of a block of so many, the blocks of the output's rows.
    Block(u16),
    /// All rows.
    All,
    /// None: the input is memory to work in.
    Scratch,
}

impl Reach {
    /// The reach of a window.
    #[inline]
    pub fn window(window: &Window) -> Self {
        let ([kernel, _], [stride, _]) = (window.kernel, window.stride);
        let ([dilation, _], [padding, _]) = (window.dilation, window.padding);
        Self::Window { kernel, stride, dilation, padding }
    }

    /// The rows of an input of `height` rows that these rows of the output are made from; they may be none.
    #[inline]
    pub fn rows(self, outputs: Range<usize>, height: usize) -> Range<usize> {
        let start = match self {
            Self::Window { stride, padding, .. } => {
                outputs.start.wrapping_mul(usize::from(stride)).saturating_sub(usize::from(padding))
            }
            Self::Row(further) => outputs.start.saturating_add_signed(further as isize),
            Self::Block(rows) => {
                outputs.start.wrapping_sub(outputs.start.checked_rem(usize::from(rows)).unwrap_or(0))
            }
            Self::All | Self::Scratch => 0,
        };
        let end = self.end(outputs.end, height);
        start.min(end)..end
    }

    /// The end of the rows that the rows of the output before `end` are made from.
    #[inline]
    pub fn end(self, end: usize, height: usize) -> usize {
        let end = match self {
            Self::Window { kernel, stride, dilation, padding } => {
                let last = end.saturating_sub(1).wrapping_mul(usize::from(stride));
                let reach = usize::from(kernel).saturating_sub(1).wrapping_mul(usize::from(dilation));
                last.wrapping_add(reach).wrapping_add(1).saturating_sub(usize::from(padding))
            }
            Self::Row(further) => end.saturating_add_signed(further as isize),
            Self::Block(rows) => end.checked_next_multiple_of(rows.into()).unwrap_or(height),
            Self::All => height,
            Self::Scratch => 0,
        };
        end.min(height)
    }
}

impl Step<'_> {
    /// The end of the rows of input `index` that the rows of the output before `end`, at least one, are made from, and whether those behind `end`
    /// are made from rows behind that, if there are some.
    #[inline(never)]
    pub fn needs(&self, index: usize, input: &TensorInfo, output: &TensorInfo, end: usize) -> (usize, bool) {
        let reach = match self.window() {
            Some(window) if index == 0 => Reach::window(window),
            _ => self.reach(index, input, output),
        };
        let needed = reach.end(end, input.height.into());
        let slides = match reach {
            Reach::Window { stride, .. } => stride > 0,
            Reach::Row(_) => true,
            Reach::Block(_) | Reach::All | Reach::Scratch => false,
        };
        (needed, slides && needed > 0)
    }

    /// The window that slides over its first input, if one does.
    #[inline]
    fn window(&self) -> Option<&Window> {
        use Operator as O;
        const SLIDING: u64 = O::Conv2dQ32.bit()
            | O::Conv2dTfLite.bit()
            | O::DepthwiseConv2dQ32.bit()
            | O::DepthwiseConv2dTfLite.bit()
            | O::FullyConnectedTfLite.bit()
            | O::AveragePoolQ32.bit()
            | O::AveragePoolTfLite.bit()
            | O::MaxPool.bit()
            | O::PackedConv2dQ32.bit()
            | O::PackedConv2dTfLite.bit()
            | O::PackedDepthwiseConv2dQ32.bit()
            | O::PackedDepthwiseConv2dTfLite.bit()
            | O::PackedSeparableConv2dQ32.bit()
            | O::PackedSeparableConv2dTfLite.bit();
        if SLIDING & self.operator.bit() == 0 { None } else { self.record_start() }
    }

    /// The rows of input `index` that a row of the output is made from.
    pub fn reach(&self, index: usize, input: &TensorInfo, output: &TensorInfo) -> Reach {
        use Operator as O;
        let same_rows = input.height == output.height;
        let row = if same_rows { Reach::Row(0) } else { Reach::All };
        match self.operator {
            O::Conv2dQ32
            | O::Conv2dTfLite
            | O::DepthwiseConv2dQ32
            | O::DepthwiseConv2dTfLite
            | O::FullyConnectedTfLite
            | O::AveragePoolQ32
            | O::AveragePoolTfLite
            | O::MaxPool
            | O::PackedConv2dQ32
            | O::PackedConv2dTfLite
            | O::PackedDepthwiseConv2dQ32
            | O::PackedDepthwiseConv2dTfLite
            | O::PackedSeparableConv2dQ32
            | O::PackedSeparableConv2dTfLite => {
                if index == 0 {
                    self.record_start::<Window>().map_or(Reach::All, Reach::window)
                } else {
                    Reach::Scratch
                }
            }
            O::AddQ32 | O::AddTfLite | O::MulQ32 | O::MulTfLite => {
                if index == 0 || (input.len() == output.len() && same_rows) { row } else { Reach::All }
            }
            O::PReluQ32 | O::PReluTfLite | O::SoftmaxQ32 | O::SoftmaxTfLite | O::Table | O::ChannelTables => {
                row
            }
            O::NormQ32 => match self.record::<NormQ32Record>() {
                Some(record) if record.flags & NormQ32Record::MAP == 0 => row,
                _ => Reach::All,
            },
            O::Concat => match self.record::<ConcatRecord>() {
                Some(record) if record.axis != 0 => row,
                _ => Reach::All,
            },
            O::Pad => {
                let top = self.record::<PadRecord>().map_or(0, |record| record.top);
                Reach::Row(-i32::from(top))
            }
            O::Slice => match self.record::<SliceRecord>() {
                Some(record) if record.axis == 0 => Reach::Row(i32::from(record.start)),
                _ => row,
            },
            O::AttentionQ32 => match index {
                0 => row,
                1 | 2 => self.record().map_or(Reach::All, |record| keys(record, input.height)),
                _ => Reach::Scratch,
            },
            O::Unfold => match (index, self.record::<PatchRecord>()) {
                (1, Some(record)) => sequence(record.patch, output.height),
                _ => Reach::All,
            },
            O::Fold => row,
            O::SeparableAttentionQ32 => {
                if index < 3 {
                    Reach::All
                } else {
                    Reach::Scratch
                }
            }
            O::MatMulQ32 => row,
            O::Transpose | O::MeanTfLite => Reach::All,
        }
    }
}

/// The rows of keys that an attention's row is made from, of `height`.
fn keys(record: &AttentionQ32Record, height: u16) -> Reach {
    if record.flags & AttentionQ32Record::UNFOLDED == 0 {
        return Reach::All;
    }
    sequence(record.key_patch, height)
}

/// The rows of a sequence in an unfolded map of `height`.
fn sequence([rows, columns]: [u16; 2], height: u16) -> Reach {
    rows.checked_mul(columns).and_then(|count| height.checked_div(count)).map_or(Reach::All, Reach::Block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_on_the_map() {
        let window = Reach::Window { kernel: 3, stride: 2, dilation: 1, padding: 1 };
        assert_eq!(window.rows(0..1, 9), 0..2);
        assert_eq!(window.rows(1..3, 9), 1..6);
        assert_eq!(window.rows(4..5, 9), 7..9);
        let dilated = Reach::Window { kernel: 3, stride: 1, dilation: 4, padding: 4 };
        assert_eq!(dilated.rows(2..3, 20), 0..7);
        assert_eq!(Reach::Row(-2).rows(0..2, 5), 0..0);
        assert_eq!(Reach::Row(-2).rows(1..4, 5), 0..2);
        assert_eq!(Reach::Row(-2).rows(6..9, 5), 4..5);
        assert_eq!(Reach::Row(3).rows(0..2, 5), 3..5);
        assert_eq!(Reach::All.rows(3..4, 5), 0..5);
        assert_eq!(Reach::Block(4).rows(0..1, 12), 0..4);
        assert_eq!(Reach::Block(4).rows(3..5, 12), 0..8);
        assert_eq!(Reach::Block(4).rows(8..9, 12), 8..12);
        assert_eq!(Reach::Block(0).rows(1..2, 3), 1..3);
    }
}
