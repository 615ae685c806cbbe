//! Values of convolutions' outputs in the float network at places spread over all images: what rounded weights should come near.

use crate::graph::{Graph, Operator, Weights};

/// The pixels of an output's maps that stand for all, and its float values there.
#[derive(Clone, Debug)]
pub struct PlaceValues {
    /// Pixels of a map.
    pixels: usize,
    /// Pixels of all images.
    all: usize,
    /// How many of them are looked at.
    count: usize,
    channels: usize,
    /// `[place][channel]`.
    pub values: Vec<f32>,
}

impl PlaceValues {
    /// For each tensor the places where a convolution of float weights that makes it is looked at, without values.
    pub(super) fn of_graph(graph: &Graph, images: usize) -> Vec<Option<Self>> {
        let mut of_tensors = vec![None; graph.tensors.len()];
        for node in &graph.nodes {
            let Operator::Conv2d(conv) = &node.operator else { continue };
            let Weights::Float(weights) = &conv.weights else { continue };
            let shape = graph.tensor(node.output).shape;
            let taps = weights.len() / shape.channels.max(1);
            let all = images * shape.pixels();
            // Eight places a tap make the covariance's error small; sums of 2^16 products of int8 fit 31 bits.
            let count = all.min((8 * taps).clamp(4096, 1 << 16));
            of_tensors[node.output.0] = Some(Self {
                pixels: shape.pixels(),
                all,
                count,
                channels: shape.channels,
                values: Vec::new(),
            });
        }
        of_tensors
    }

    /// The image and the pixel of each place, in order.
    pub fn places(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        (0..self.count)
            .map(|place| place * self.all / self.count)
            .map(|at| [at / self.pixels, at % self.pixels])
    }

    /// The values of one image's map at its places.
    pub(super) fn of_image(&self, image: usize, map: &[f32]) -> Vec<f32> {
        let first = (image * self.pixels * self.count).div_ceil(self.all.max(1));
        let last = ((image + 1) * self.pixels * self.count).div_ceil(self.all.max(1));
        (first..last)
            .map(|place| place * self.all / self.count - image * self.pixels)
            .flat_map(|pixel| map[pixel * self.channels..][..self.channels].iter().copied())
            .collect()
    }
}
