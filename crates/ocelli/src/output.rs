//! What an inference gives.

use core::ops::Deref;

use ocelli_format::{Model, TensorInfo};

/// The output's int8 values, with what they mean. It dereferences to the values.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    pub(crate) values: &'a [i8],
    pub(crate) model: &'a Model<'a>,
}

/// A class and its value.
#[derive(Clone, Copy, Debug)]
pub struct Class<'a> {
    /// Position among the output's values.
    pub index: usize,
    /// The int8 value.
    pub value: i8,
    model: &'a Model<'a>,
}

impl<'a> Class<'a> {
    /// The model's name for it, if it has one.
    pub fn label(&self) -> Option<&'a str> {
        self.model.labels().nth(self.index)
    }

    /// The real value that its value stands for: a probability after a softmax, else a logit.
    pub fn score(&self) -> f32 {
        self.model.output().dequantize(self.value)
    }
}

impl<'a> Output<'a> {
    /// The int8 values.
    pub fn values(&self) -> &'a [i8] {
        self.values
    }

    /// Shape, scale and zero point.
    pub fn info(&self) -> &'a TensorInfo {
        self.model.output()
    }

    /// The `N` classes of the highest scores, the best first; of equal ones, the first in the output.
    pub fn top_k<const N: usize>(&self) -> heapless::Vec<Class<'a>, N> {
        let mut best: heapless::Vec<Class<'a>, N> = heapless::Vec::new();
        for (index, &value) in self.values.iter().enumerate() {
            if best.is_full() {
                if best.last().is_none_or(|last| last.value >= value) {
                    continue;
                }
                best.pop();
            }
            // There is room: a full list was shortened above, and an empty one of capacity 0 never gets here.
            let _ = best.push(Class { index, value, model: self.model });
            let mut end = best.len();
            while let Some([before, after]) = end.checked_sub(2).and_then(|start| best.get_mut(start..end)) {
                if before.value >= after.value {
                    break;
                }
                core::mem::swap(before, after);
                end -= 1;
            }
        }
        best
    }
}

impl Deref for Output<'_> {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        self.values
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Class<'_> {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        match self.label() {
            Some(label) => defmt::write!(formatter, "{=str} {=f32}", label, self.score()),
            None => defmt::write!(formatter, "class {=usize} {=f32}", self.index, self.score()),
        }
    }
}

/// Its three best classes.
#[cfg(feature = "defmt")]
impl defmt::Format for Output<'_> {
    fn format(&self, formatter: defmt::Formatter<'_>) {
        defmt::write!(formatter, "{}", self.top_k::<3>().as_slice());
    }
}
