//! Offsets of buffers: two may share bytes wherever no two rows that lie there live at the same time.

use std::cmp::Reverse;

use super::lives::{Buffer, Life};

/// Offsets start at multiples of this many bytes, so that word-wise kernels can read rows.
const ALIGNMENT: usize = 4;

/// How hard to look for a small layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// To know about what it takes.
    Least,
    /// To compare with others.
    Small,
    /// For use.
    Full,
}

impl Effort {
    /// Orders that are tried beside the fixed ones.
    fn changes(self, buffers: usize) -> usize {
        let affordable = (4_000_000 / (buffers * buffers).max(1)).clamp(400, 6000);
        match self {
            Self::Least => 0,
            Self::Small => affordable / 20,
            Self::Full => affordable,
        }
    }
}

/// Lays out buffers; their offsets, and the bytes of all.
pub(super) fn place(buffers: &[Buffer], effort: Effort) -> (Vec<usize>, usize) {
    let distances = Distances::of(buffers);
    let span = |buffer: &Buffer| {
        buffer.lives.iter().fold((u32::MAX, 0), |span, life| (span.0.min(life.0), span.1.max(life.1)))
    };
    let spans: Vec<Life> = buffers.iter().map(span).collect();
    let bytes: Vec<usize> = buffers.iter().map(|buffer| buffer.slots * buffer.row).collect();
    let length = |index: usize| (spans[index].1 - spans[index].0) as usize;
    let sorted = |key: &dyn Fn(usize) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&index| Reverse(key(index)));
        order
    };
    let late = |index: usize| usize::MAX - spans[index].0 as usize;
    let orders = [
        sorted(&|index| (bytes[index], length(index))),
        sorted(&|index| (length(index), bytes[index])),
        sorted(&|index| (bytes[index] * (length(index) + 1), bytes[index])),
        sorted(&|index| (late(index), bytes[index])),
        sorted(&|index| (spans[index].1 as usize, bytes[index])),
    ];
    let mut best = (Vec::new(), usize::MAX);
    let mut best_order = Vec::new();
    for order in orders {
        let (offsets, total) = distances.place(&bytes, &order);
        if total < best.1 {
            (best, best_order) = ((offsets, total), order);
        }
    }
    // Small changes of the best order, kept where they do no harm: what makes the arena large goes first.
    let mut random = 0x9e37_79b9u32;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % below.max(1)
    };
    let least = bytes.iter().copied().max().unwrap_or(0);
    for _ in 0..effort.changes(buffers.len()) {
        if best.1 <= least || buffers.len() < 2 {
            break;
        }
        let mut order = best_order.clone();
        let highest: Vec<usize> =
            (0..order.len()).filter(|&at| best.0[order[at]] + bytes[order[at]] == best.1).collect();
        let from = if draw(2) == 0 { highest[draw(highest.len())] } else { draw(order.len()) };
        let moved = order.remove(from);
        let to = if draw(2) == 0 { draw(from + 1) } else { draw(order.len() + 1) };
        order.insert(to, moved);
        let (offsets, total) = distances.place(&bytes, &order);
        if total <= best.1 {
            (best, best_order) = ((offsets, total), order);
        }
    }
    if buffers.is_empty() { (Vec::new(), 0) } else { best }
}

/// For each pair of buffers, the distances from the one's offset to the other's at which rows would collide.
struct Distances {
    count: usize,
    /// Open intervals `(low, high)` of `offset of the first - offset of the second`, in order.
    between: Vec<Vec<(isize, isize)>>,
}

impl Distances {
    fn of(buffers: &[Buffer]) -> Self {
        let count = buffers.len();
        let slots: Vec<Slots> = buffers.iter().map(Slots::of).collect();
        let mut between = vec![Vec::new(); count * count];
        for first in 0..count {
            for second in 0..first {
                let found = collisions(&slots[first], &slots[second]);
                between[second * count + first] =
                    found.iter().rev().map(|&(low, high)| (-high, -low)).collect();
                between[first * count + second] = found;
            }
        }
        Self { count, between }
    }

    /// Gives each buffer, in an order, the lowest offset where it collides with none before it.
    fn place(&self, bytes: &[usize], order: &[usize]) -> (Vec<usize>, usize) {
        let mut offsets = vec![0usize; self.count];
        let mut total = 0;
        let mut taken: Vec<(isize, isize)> = Vec::new();
        for (done, &index) in order.iter().enumerate() {
            taken.clear();
            for &other in &order[..done] {
                let at = offsets[other] as isize;
                let intervals = &self.between[index * self.count + other];
                taken
                    .extend(intervals.iter().map(|&(low, high)| (low + at, high + at)).filter(|of| of.1 > 0));
            }
            taken.sort_unstable();
            let mut offset = 0isize;
            for &(low, high) in &taken {
                if low >= offset {
                    // Nothing that starts later is in the way of this offset.
                    break;
                }
                if high > offset {
                    offset = (high as usize).next_multiple_of(ALIGNMENT) as isize;
                }
            }
            offsets[index] = offset as usize;
            total = total.max(offset as usize + bytes[index]);
        }
        (offsets, total)
    }
}

/// The lives in each slot, in order.
struct Slots {
    row: isize,
    lives: Vec<Vec<Life>>,
    span: Life,
}

impl Slots {
    fn of(buffer: &Buffer) -> Self {
        let mut lives = vec![Vec::new(); buffer.slots];
        for (row, &life) in buffer.lives.iter().enumerate() {
            if life.0 <= life.1 {
                lives[row % buffer.slots].push(life);
            }
        }
        let span =
            buffer.lives.iter().fold((u32::MAX, 0), |span, life| (span.0.min(life.0), span.1.max(life.1)));
        Self { row: buffer.row as isize, lives, span }
    }
}

/// The distances at which rows of two buffers that live at the same time would share bytes.
fn collisions(first: &Slots, second: &Slots) -> Vec<(isize, isize)> {
    if first.span.0 > second.span.1 || second.span.0 > first.span.1 {
        return Vec::new();
    }
    let mut found: Vec<(isize, isize)> = Vec::new();
    for (i, early) in first.lives.iter().enumerate() {
        for (j, late) in second.lives.iter().enumerate() {
            if meet(early, late) {
                let low = j as isize * second.row - (i as isize + 1) * first.row;
                let high = (j as isize + 1) * second.row - i as isize * first.row;
                match found.last_mut() {
                    Some(last) if low < last.1 && low >= last.0 => last.1 = last.1.max(high),
                    _ => found.push((low, high)),
                }
            }
        }
    }
    found.sort_unstable();
    let mut merged: Vec<(isize, isize)> = Vec::new();
    for (low, high) in found {
        match merged.last_mut() {
            Some(last) if low < last.1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

/// Whether two slots hold rows at the same time.
fn meet(first: &[Life], second: &[Life]) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        if a.0 <= b.1 && b.0 <= a.1 {
            return true;
        }
        if a.1 < b.0 {
            i += 1;
        } else {
            j += 1;
        }
    }
    false
}
