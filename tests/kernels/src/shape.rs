//! Drawing the shapes of convolutions and pools.

use ocelli_kernels::Window;
use ocelli_kernels::arch::ConvShape;

use crate::memory::{MAP, WEIGHTS};
use crate::random::Random;

/// The most multiplications of a case: small machines are emulated.
pub const LARGEST_WORK: usize = 60_000;

/// What reads the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A convolution over all channels.
    Conv,
    /// A depthwise convolution.
    Depthwise,
    /// A depthwise convolution with so many outputs of a 1x1 convolution behind it.
    Separable(usize),
    /// A pool, whose windows all see the map.
    Pool,
}

/// A channel count: mostly small or odd, sometimes one that kernels like.
pub fn channels(random: &Random) -> usize {
    match random.size(0, 9) {
        0..=4 => random.size(1, 9),
        5 => random.pick(&[4, 8, 12, 16, 24, 32, 48, 64]),
        6 => random.size(10, 40),
        7 => random.size(41, 140),
        8 => 1,
        _ => random.pick(&[4, 8, 16]),
    }
}

fn extent(random: &Random) -> usize {
    match random.size(0, 9) {
        0 => 1,
        1 => random.size(10, 40),
        _ => random.size(1, 9),
    }
}

fn window(random: &Random, reader: Reader) -> Window {
    let kernel = if reader == Reader::Conv && random.one_in(3) {
        [1, 1]
    } else if reader != Reader::Pool && random.one_in(3) {
        [3, 3]
    } else {
        let free = [random.size(1, 5) as u16, random.size(1, 5) as u16];
        random.pick(&[
            [3, 3],
            [3, 3],
            [3, 3],
            [5, 5],
            [1, 7],
            [7, 1],
            [10, 4],
            [2, 2],
            [1, 1],
            [1, 3],
            [4, 4],
            [7, 7],
            free,
        ])
    };
    let step = |random: &Random| random.pick(&[1, 1, 1, 2, 2, 2, 3, 5]);
    let stride = if random.one_in(4) { [step(random), step(random)] } else { [step(random); 2] };
    let dilation =
        if random.one_in(12) { [random.within(1, 3) as u16, random.within(1, 3) as u16] } else { [1, 1] };
    let padding = kernel.map(|taps: u16| {
        let half = (taps - 1) / 2;
        random.pick(&[half, half, half, 0, random.size(0, usize::from(taps) - 1) as u16])
    });
    Window { kernel, stride, dilation, padding }
}

/// A shape that the buffers and the time allow.
pub fn draw(random: &Random, reader: Reader) -> ConvShape {
    loop {
        let mut window = window(random, reader);
        let inputs = channels(random);
        let outputs = if reader == Reader::Conv { channels(random) } else { inputs };
        let input = [extent(random), extent(random), inputs];
        // A padding that was a layer of its own: windows may miss the map on all sides. Or there are fewer outputs than windows.
        let free = reader != Reader::Pool && random.one_in(20);
        if free && random.one_in(2) {
            window.padding = [random.within(0, 6) as u16, random.within(0, 6) as u16];
        }
        let mut output = [0, 0, outputs];
        for axis in [0, 1] {
            let [kernel, stride, dilation, before] =
                [window.kernel, window.stride, window.dilation, window.padding]
                    .map(|pair| usize::from(pair[axis]));
            let span = (kernel - 1) * dilation + 1;
            // As much behind the map as before it, or another number.
            let after = match free {
                false => random.pick(&[before, before, before, random.size(0, span - 1)]),
                true => random.size(0, 12),
            };
            output[axis] = match (input[axis] + before + after).checked_sub(span) {
                Some(room) if free => random.size(1, room / stride + 1),
                Some(room) => room / stride + 1,
                None => 0,
            };
        }
        let sees_the_map = |axis: usize| {
            // The last window begins on the map, and the first one ends on it; with dilation a tap may still be beside it.
            let last = (output[axis] - 1) * usize::from(window.stride[axis]);
            window.dilation == [1, 1]
                && last < input[axis] + usize::from(window.padding[axis])
                && window.padding[axis] < window.kernel[axis]
        };
        if output.contains(&0) || reader == Reader::Pool && !(sees_the_map(0) && sees_the_map(1)) {
            continue;
        }
        let taps = usize::from(window.kernel[0]) * usize::from(window.kernel[1]);
        let [filters, work] = match reader {
            Reader::Conv => [taps * inputs * outputs, taps * inputs],
            Reader::Depthwise | Reader::Pool => [taps * inputs, taps],
            Reader::Separable(behind) => [(taps + behind) * inputs, taps + behind],
        };
        let work = work * output.iter().product::<usize>();
        let wide = if let Reader::Separable(behind) = reader { behind } else { outputs };
        let fits = [input, output, [output[0], output[1], wide]]
            .iter()
            .all(|map| map.iter().product::<usize>() <= MAP);
        if fits && filters * 4 <= WEIGHTS && work <= LARGEST_WORK {
            return ConvShape { window, input, output, zero_point: random.zero_point() };
        }
    }
}

/// The rows of the input that outputs `first..first + count` see.
pub fn rows_seen(shape: &ConvShape, first: usize, count: usize) -> core::ops::Range<usize> {
    let [kernel, stride, dilation, padding] =
        [shape.window.kernel, shape.window.stride, shape.window.dilation, shape.window.padding]
            .map(|pair| usize::from(pair[0]));
    let start = (first * stride).saturating_sub(padding);
    let end = ((first + count - 1) * stride + (kernel - 1) * dilation + 1).saturating_sub(padding);
    start.min(shape.input[0])..end.min(shape.input[0])
}
