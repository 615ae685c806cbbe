//! What channels do beyond what half of the calibration inputs shows of them: that much of what all of them will do on other inputs is not
//! known either.

use crate::graph::{Graph, Operator, TensorId};

/// How much wider than what was seen a range may be.
pub const ROOMS: [f32; 8] = [1.0, 1.125, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0];

/// Squares of what lies beyond a range, for each room.
pub(super) type Excess = [f64; ROOMS.len()];

/// Channels' ranges over every other input and over the rest, and how far values of either half lie beyond those of the other.
#[derive(Clone, Debug)]
pub(super) struct Unseen {
    /// What lies outside does not matter to what reads the tensor.
    bounds: [f32; 2],
    /// Of each half, by channel; zero included.
    ranges: [Vec<[f32; 2]>; 2],
    /// By channel, over all values.
    excess: Vec<Excess>,
    /// Values of a channel.
    count: usize,
}

impl Unseen {
    pub fn of_tensor(graph: &Graph, id: TensorId) -> Self {
        let bounds = match graph.consumers(id).as_slice() {
            &[reader] => match graph.nodes[reader].operator {
                Operator::Activation(activation) => activation.bends(),
                _ => [f32::NEG_INFINITY, f32::INFINITY],
            },
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        };
        let channels = graph.tensor(id).shape.channels;
        let ranges = [(); 2].map(|()| vec![[0.0; 2]; channels]);
        Self { bounds, ranges, excess: vec![[0.0; ROOMS.len()]; channels], count: 0 }
    }

    /// Widens the ranges of a half by those of one of its inputs.
    pub fn widen(&mut self, half: usize, ranges: &[[f32; 2]]) {
        for (range, &[low, high]) in self.ranges[half].iter_mut().zip(ranges) {
            *range = [range[0].min(low), range[1].max(high)];
        }
    }

    /// How far values of an input of a half lie beyond the ranges of the other, by channel.
    pub fn excess_of(&self, half: usize, values: &[f32]) -> Vec<Excess> {
        let ranges = &self.ranges[1 - half];
        let mut excess = vec![[0.0; ROOMS.len()]; ranges.len()];
        for pixel in values.chunks_exact(ranges.len().max(1)) {
            for ((&value, &[low, high]), excess) in pixel.iter().zip(ranges).zip(&mut excess) {
                if value < low || value > high {
                    let value = value.max(self.bounds[0]).min(self.bounds[1]);
                    for (sum, room) in excess.iter_mut().zip(ROOMS) {
                        let beyond = (low * room - value).max(value - high * room).max(0.0);
                        *sum += f64::from(beyond) * f64::from(beyond);
                    }
                }
            }
        }
        excess
    }

    pub fn add(&mut self, excess: &[Excess], pixels: usize) {
        for (sums, excess) in self.excess.iter_mut().zip(excess) {
            sums.iter_mut().zip(excess).for_each(|(sum, excess)| *sum += excess);
        }
        self.count += pixels;
    }

    /// The mean square of what lies beyond a channel's range of so much room.
    pub fn clipping(&self, channel: usize, room: f64) -> f64 {
        let place = ROOMS.iter().rposition(|&other| f64::from(other) <= room * 1.0001).unwrap_or(0);
        self.excess[channel][place] / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Node, Shape};

    #[test]
    fn room_takes_in_what_one_half_shows_and_the_other_does_not() {
        let mut graph = Graph::default();
        let id = graph.add_tensor("map", Shape::new(1, 2, 2));
        let mut unseen = Unseen::of_tensor(&graph, id);
        let halves = [[4.0_f32, -1.0, 0.0, 1.0], [6.0, -1.0, 5.0, 1.0]];
        for (half, values) in halves.iter().enumerate() {
            unseen.widen(half, &[[0.0, values[0].max(values[2])], [-1.0, 1.0]]);
        }
        for (half, values) in halves.iter().enumerate() {
            let excess = unseen.excess_of(half, values);
            unseen.add(&excess, 2);
        }
        // 6 and 5 lie 2 and 1 beyond 4, and 1 beyond 5 that is 4 with room.
        assert_eq!(unseen.clipping(0, 1.0), 5.0 / 4.0);
        assert_eq!(unseen.clipping(0, 1.3), 1.0 / 4.0);
        assert_eq!(unseen.clipping(0, 1.5), 0.0);
        assert_eq!(unseen.clipping(1, 1.0), 0.0);

        // Beyond a bend nothing matters.
        let output = graph.add_tensor("clipped", Shape::new(1, 2, 2));
        let operator = Operator::Activation(crate::graph::Activation::Clip { min: 0.0, max: 4.5 });
        graph.nodes.push(Node { name: "clip".into(), operator, inputs: vec![id], output });
        let mut clipped = Unseen::of_tensor(&graph, id);
        clipped.widen(0, &[[0.0, 4.0], [-1.0, 1.0]]);
        let excess = clipped.excess_of(1, &halves[1]);
        clipped.add(&excess, 2);
        assert_eq!(clipped.clipping(0, 1.0), 0.25);
    }
}
