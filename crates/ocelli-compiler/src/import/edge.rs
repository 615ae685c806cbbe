//! The inputs and outputs of an imported network, and the order of their elements in the file.

use super::layout::{Layout, strides};

/// An input or output: its name and axes in the file, and how they relate to the graph's `height x width x channels` tensor.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The name in the file.
    pub name: String,
    /// The dimensions in the file, batch included.
    pub dims: Vec<usize>,
    /// Whether the file's values are uint8; the graph's are less by 128.
    pub uint8: bool,
    layout: Layout,
}

impl Edge {
    pub(super) fn new(name: &str, layout: Layout, uint8: bool) -> Self {
        Self { name: name.to_owned(), dims: layout.dims(), uint8, layout }
    }

    /// Elements of the graph's tensor (HWC order) in the file's order, row-major over [`Self::dims`]. Elements beyond either length
    /// are left at their default.
    pub fn to_file<T: Copy + Default>(&self, stored: &[T]) -> Vec<T> {
        let mut file = vec![T::default(); self.layout.len()];
        for (&value, place) in stored.iter().zip(self.layout.gather(&strides(&self.dims))) {
            if let Some(slot) = file.get_mut(place) {
                *slot = value;
            }
        }
        file
    }

    /// Elements in the file's order as the graph's tensor holds them (HWC order).
    pub fn from_file<T: Copy + Default>(&self, file: &[T]) -> Vec<T> {
        let places = self.layout.gather(&strides(&self.dims));
        places.into_iter().map(|place| file.get(place).copied().unwrap_or_default()).collect()
    }
}
