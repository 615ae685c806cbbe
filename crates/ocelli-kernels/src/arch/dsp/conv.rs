//! Convolution without groups: windows of pixel pairs are widened a few pairs at a time, then go through the pointwise kernel.

use core::ops::Range;

use super::PARTS;
use super::conv_rgb::ConvRgb;
use super::conv3x3::Conv3x3;
use super::linked;
use super::pack;
use super::pointwise::{self, GROUP, Placement, Pointwise};
use super::widen::{MAX_ROWS, Order, Row};
use crate::Map;
use crate::Window;
use crate::arch::{ConvShape, Parameters};
use crate::requantize::Rule;
use crate::scratch::{SPARE, align, take};

/// Bytes of the stream at once, where a pair of windows is not larger.
const STREAM: usize = 2816;

/// What follows from a shape.
#[derive(Clone, Copy)]
struct Plan {
    order: Order,
    /// Pairs widened at once.
    chunk: usize,
}

impl Plan {
    /// `None` where the kernel is not linked, too.
    fn linked<const LINKED: u64>(shape: &ConvShape) -> Option<Self> {
        if LINKED & linked::CONV_ANY != 0 { Self::new(shape) } else { None }
    }

    fn new(shape: &ConvShape) -> Option<Self> {
        let [rows, columns] = shape.window.kernel.map(usize::from);
        let length = columns.checked_mul(shape.input[2])?;
        let strides = shape.window.stride.iter().chain(&shape.window.dilation);
        let sizes = shape.input.iter().chain(&shape.output);
        if !(1..=MAX_ROWS).contains(&rows)
            || length == 0
            || strides.min() == Some(&0)
            || sizes.min() == Some(&0)
        {
            return None;
        }
        let order = Order { rows, length };
        let pair = order.steps().checked_mul(8)?;
        let most = shape.output[1].checked_mul(shape.output[0])?.div_ceil(2);
        Some(Self { order, chunk: STREAM.checked_div(pair)?.min(most).max(1) })
    }

    /// The same with a chunk in so many parts.
    fn in_parts(self, parts: usize) -> Self {
        Self { chunk: in_parts(self.chunk, parts), ..self }
    }

    /// Bytes to work in.
    fn scratch(&self, shape: &ConvShape) -> usize {
        self.stream() * 2 + self.window(shape) + SPARE
    }

    /// Values of the stream.
    fn stream(&self) -> usize {
        self.chunk.saturating_mul(self.order.steps()).saturating_mul(4)
    }

    /// Bytes of a row of the windows of a pair that are put together.
    fn strip(&self, shape: &ConvShape) -> usize {
        let stride = usize::from(shape.window.stride[1]).saturating_mul(shape.input[2]);
        self.order.length.saturating_add(stride.max(self.order.length))
    }

    /// Bytes of the windows of a pair that are put together, and of a row of padding.
    fn window(&self, shape: &ConvShape) -> usize {
        self.order.rows.saturating_mul(self.strip(shape)).saturating_add(self.order.length)
    }
}

/// A number of windows or pairs in so many parts: that of the largest part.
pub fn in_parts(count: usize, parts: usize) -> usize {
    count.saturating_add(parts.saturating_sub(1)).checked_div(parts).unwrap_or(count).max(1)
}

/// What is made in as few parts as fit.
pub fn fitting<T>(of: impl Fn(usize) -> T, fits: impl Fn(&T) -> bool) -> Option<T> {
    (1..=PARTS).map(of).find(fits)
}

/// [`super::Arch::conv_kernels`].
pub fn kernels(shape: &ConvShape) -> u64 {
    if Conv3x3::new(shape).is_some() {
        linked::CONV_3X3
    } else if ConvRgb::new(shape).is_some() {
        linked::CONV_RGB
    } else {
        linked::CONV_ANY
    }
}

/// [`super::Arch::conv_words`].
pub fn words<R: Rule, const LINKED: u64>(shape: &ConvShape) -> Option<usize> {
    if LINKED & linked::CONV_3X3 != 0
        && let Some(layer) = Conv3x3::new(shape)
    {
        return layer.words::<R>();
    }
    if LINKED & linked::CONV_RGB != 0
        && let Some(layer) = ConvRgb::new(shape)
    {
        return layer.words::<R>();
    }
    let plan = Plan::linked::<LINKED>(shape)?;
    pointwise::words::<R>(shape.output[2], plan.order.steps())
}

/// [`super::Arch::pack_conv`].
pub fn pack<R: Rule, const LINKED: u64>(
    shape: &ConvShape,
    parameters: &Parameters<'_, R>,
    packed: &mut [u32],
) -> Option<()> {
    if LINKED & linked::CONV_3X3 != 0
        && let Some(layer) = Conv3x3::new(shape)
    {
        return layer.pack(parameters, packed);
    }
    if LINKED & linked::CONV_RGB != 0
        && let Some(layer) = ConvRgb::new(shape)
    {
        return layer.pack(parameters, packed);
    }
    let order = Plan::linked::<LINKED>(shape)?.order;
    let value = |step, lane| order.value(step, lane);
    pack::pack(parameters, GROUP, order.rows.checked_mul(order.length)?, order.steps(), value, packed)
}

/// [`super::Arch::conv_scratch_in_parts`].
pub fn scratch<const LINKED: u64>(shape: &ConvShape, parts: usize) -> usize {
    if LINKED & linked::CONV_3X3 != 0
        && let Some(layer) = Conv3x3::new(shape)
    {
        return layer.in_parts(parts).scratch();
    }
    if LINKED & linked::CONV_RGB != 0
        && let Some(layer) = ConvRgb::new(shape)
    {
        return layer.in_parts(parts).scratch();
    }
    Plan::linked::<LINKED>(shape).map_or(0, |plan| plan.in_parts(parts).scratch(shape))
}

/// [`super::Arch::conv`].
pub fn conv<R: Rule, const LINKED: u64>(
    shape: &ConvShape,
    rule: &R,
    packed: &[u32],
    input: &Map<'_>,
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    if LINKED & linked::CONV_3X3 != 0
        && let Some(layer) = Conv3x3::new(shape)
    {
        return layer.conv(rule, packed, input, y, output, scratch);
    }
    if LINKED & linked::CONV_RGB != 0
        && let Some(layer) = ConvRgb::new(shape)
    {
        return layer.conv(rule, packed, input, y, output, scratch);
    }
    let plan = Plan::linked::<LINKED>(shape)?;
    let plan = fitting(|parts| plan.in_parts(parts), |plan| plan.scratch(shape) <= scratch.len())?;
    let (stream, rest) = take::<i16>(align(scratch)?, plan.stream())?;
    let (window, _) = take::<i8>(rest, plan.window(shape))?;
    let (window, padding) = window.split_at_mut_checked(plan.order.rows * plan.strip(shape))?;
    padding.fill(input.zero_point);
    let [_, width, outputs] = shape.output;
    let row_length = width.checked_mul(outputs)?;
    let rows = output.len().checked_div(row_length)?;
    let pointwise = Pointwise { rule, weights: packed, steps: plan.order.steps(), outputs };
    let mut run =
        Run { shape, plan: &plan, input, pointwise, stream, window, padding, width: shape.input[1] };
    let mut seen = [[None; MAX_ROWS]; 2];
    let [first, second] = &mut seen;
    let (first, second) = (first.get_mut(..plan.order.rows)?, second.get_mut(..plan.order.rows)?);
    if let Some(pixels) = one_row(shape, input, y, rows) {
        run.width = rows * width;
        first.fill(Some(pixels));
        run.row(first, rows * width, output)?;
    } else if rows > 1 && width % 2 == 1 {
        let mut output = output.chunks_exact_mut((row_length * 2).max(1));
        let mut y = y;
        for output in &mut output {
            see(&shape.window, input, y, first)?;
            see(&shape.window, input, y.checked_add(1)?, second)?;
            let pairs = Pairs { count: width, step: 1, second: 0, rows: [first, second] };
            run.pairs(&pairs, output, Placement { start: 0, second: row_length, step: outputs })?;
            y = y.checked_add(2)?;
        }
        let last = output.into_remainder();
        if !last.is_empty() {
            see(&shape.window, input, y, first)?;
            run.row(first, width, last)?;
        }
    } else {
        for (row, output) in output.chunks_exact_mut(row_length.max(1)).enumerate() {
            see(&shape.window, input, y.checked_add(row)?, first)?;
            run.row(first, width, output)?;
        }
    }
    pack::clamp(rule, output);
    Some(())
}

/// The pixels that `rows` rows of a 1x1 convolution see, if they are one after the other.
fn one_row<'a>(shape: &ConvShape, input: &Map<'a>, y: usize, rows: usize) -> Option<&'a [i8]> {
    let window = &shape.window;
    if !shape.sees_single_pixels() || window.stride != [1, 1] || shape.output[1] != input.width {
        return None;
    }
    input.rows(y, rows)
}

/// Rows of the input that rows of windows see; `None` above and below the map.
type Seen<'m> = [Option<&'m [i8]>];

/// Finds the rows that output row `y` sees, and those below them where there is room for more.
#[inline(never)]
pub fn see<'m>(window: &Window, input: &Map<'m>, y: usize, rows: &mut Seen<'m>) -> Option<()> {
    let [stride, dilation, padding] =
        [window.stride[0], window.dilation[0], window.padding[0]].map(usize::from);
    let mut at = y.checked_mul(stride)?;
    let mut next = input.rows_from(at.saturating_sub(padding))?;
    for row in rows {
        *row = match at.checked_sub(padding) {
            Some(y) if y >= input.height => None,
            Some(_) if dilation == 1 => Some(next.next()?),
            Some(y) => Some(input.row(y)?),
            None => None,
        };
        at = at.checked_add(dilation)?;
    }
    Some(())
}

/// Pairs of pixels that lie side by side, or one above the other.
struct Pairs<'a, 'm> {
    count: usize,
    /// Columns from a pair to the next.
    step: usize,
    /// Columns from the first pixel to the second.
    second: usize,
    /// What the first and the second pixels see.
    rows: [&'a Seen<'m>; 2],
}

/// The making of some rows.
struct Run<'a, 'm, R: Rule> {
    shape: &'a ConvShape,
    plan: &'a Plan,
    input: &'a Map<'m>,
    pointwise: Pointwise<'a, R>,
    stream: &'a mut [i16],
    window: &'a mut [i8],
    padding: &'a [i8],
    /// Pixels of an input row.
    width: usize,
}

impl<'m, R: Rule> Run<'_, 'm, R> {
    /// A row of `pixels` pixels.
    fn row(&mut self, rows: &Seen<'m>, pixels: usize, output: &mut [i8]) -> Option<()> {
        let outputs = self.shape.output[2];
        let pairs = Pairs { count: pixels / 2, step: 2, second: 1, rows: [rows, rows] };
        self.pairs(&pairs, output, Placement { start: 0, second: outputs, step: outputs * 2 })?;
        if pixels % 2 == 1 {
            let last = pixels - 1;
            let pair = Pairs { count: pixels, step: 1, second: 0, rows: [rows, rows] };
            let inside = self.inside(&pair);
            self.fill(&pair, last, usize::from(inside.contains(&last)), 0)?;
            let placement = Placement { start: last * outputs, second: 0, step: 0 };
            self.pointwise.singles(self.stream, 0, 1, output, placement)?;
        }
        Some(())
    }

    /// All pairs of a row or two, a chunk at a time.
    fn pairs(&mut self, pairs: &Pairs<'_, 'm>, output: &mut [i8], placement: Placement) -> Option<()> {
        let values = self.plan.order.steps() * 4;
        let inside = self.inside(pairs);
        let mut done = 0;
        while done < pairs.count {
            let end = pairs.count.min(done + self.plan.chunk);
            let mut pair = done;
            while pair < end {
                let within = if inside.contains(&pair) { inside.end.min(end) - pair } else { 0 };
                self.fill(pairs, pair, within, (pair - done) * values)?;
                pair += within.max(1);
            }
            let placement = Placement { start: placement.start + done * placement.step, ..placement };
            self.pointwise.pairs(self.stream, values, end - done, output, placement)?;
            done = end;
        }
        Some(())
    }

    /// The pairs of which both windows are wholly on the map, in so far as it matters.
    fn inside(&self, pairs: &Pairs<'_, 'm>) -> Range<usize> {
        let window = &self.shape.window;
        let [kernel, stride, padding] =
            [window.kernel[1], window.stride[1], window.padding[1]].map(usize::from);
        let absent = |rows: &Seen<'m>| rows.iter().any(Option::is_none);
        // Rows of padding do not advance, which both pixels must then share.
        let split = pairs.second == 0 && pairs.step == 1 && pairs.rows.into_iter().any(absent);
        let step = stride * pairs.step;
        let room = (self.width + padding).checked_sub(kernel + pairs.second * stride);
        match room {
            Some(room) if !split && (window.dilation[1] == 1 || kernel == 1) => {
                let first = padding.div_ceil(step.max(1));
                first..(room.checked_div(step).unwrap_or(0) + 1).min(pairs.count)
            }
            _ => 0..0,
        }
    }

    /// Widens the windows of `count` pairs from `pair` on, or of one on the border where `count` is 0.
    fn fill(&mut self, pairs: &Pairs<'_, 'm>, pair: usize, count: usize, at: usize) -> Option<()> {
        // Most windows have few rows, and lists of many take long to initialise.
        if self.plan.order.rows <= 3 {
            self.fill_rows::<3>(pairs, pair, count, at)
        } else {
            self.fill_rows::<MAX_ROWS>(pairs, pair, count, at)
        }
    }

    fn fill_rows<const MOST: usize>(
        &mut self,
        pairs: &Pairs<'_, 'm>,
        pair: usize,
        count: usize,
        at: usize,
    ) -> Option<()> {
        let Order { rows, length } = self.plan.order;
        let window = &self.shape.window;
        let stride = usize::from(window.stride[1]);
        let column = pair * pairs.step;
        let channels = self.shape.input[2];
        let stream = self.stream.get_mut(at..)?;
        let mut list = [Row::default(); MOST];
        let list = list.get_mut(..rows)?;
        if count == 0 {
            let strips = self.window.chunks_exact_mut(self.plan.strip(self.shape).max(1));
            let sources = pairs.rows[0].iter().zip(pairs.rows[1]);
            let border = Border { shape: self.shape, zero_point: self.input.zero_point, width: self.width };
            for ((row, strip), (&first, &second)) in list.iter_mut().zip(strips).zip(sources) {
                *row = if first.is_none() && second.is_none() {
                    Row::new(self.padding, self.padding, 0)
                } else if pairs.second == 0 || window.dilation[1] != 1 {
                    let (one, other) = strip.split_at_mut_checked(length)?;
                    border.gather(first, column, one)?;
                    border.gather(second, column + pairs.second, other.get_mut(..length)?)?;
                    Row::new(one, other, 0)
                } else {
                    let next = stride * channels;
                    let strip = strip.get_mut(..length + next)?;
                    border.gather(first, column, strip)?;
                    Row::new(strip, strip.get(next..)?, 0)
                };
            }
            return self.plan.order.widen(list, 1, stream);
        }
        let start = (column * stride).checked_sub(usize::from(window.padding[1]))? * channels;
        let next = start + pairs.second * stride * channels;
        let [first, second] = pairs.rows;
        for (row, (first, second)) in list.iter_mut().zip(first.iter().zip(second)) {
            *row = match (first, second) {
                (Some(first), Some(second)) => {
                    Row::new(first.get(start..)?, second.get(next..)?, pairs.step * stride * channels)
                }
                _ => Row::new(self.padding, self.padding, 0),
            };
        }
        self.plan.order.widen(list, count, stream)
    }
}

/// What windows on the border see.
struct Border<'a> {
    shape: &'a ConvShape,
    zero_point: i8,
    /// Pixels of an input row.
    width: usize,
}

impl Border<'_> {
    /// What a window at `column` of the output sees of a row, from its first tap on, and as much after it as fits `to`.
    fn gather(&self, source: Option<&[i8]>, column: usize, to: &mut [i8]) -> Option<()> {
        let channels = self.shape.input[2];
        let window = &self.shape.window;
        let [stride, dilation, padding] =
            [window.stride[1], window.dilation[1], window.padding[1]].map(usize::from);
        let Some(source) = source else {
            to.fill(self.zero_point);
            return Some(());
        };
        let start = column * stride;
        if dilation == 1 {
            // In values, so that nothing is divided.
            let before = (padding.saturating_sub(start) * channels).min(to.len());
            let end = (self.width + padding).saturating_sub(start) * channels;
            let from = source.get(start.saturating_sub(padding).min(self.width) * channels..)?;
            for value in to.get_mut(..before)? {
                *value = self.zero_point;
            }
            let inside = end.min(to.len()).saturating_sub(before);
            let (within, after) = to.get_mut(before..)?.split_at_mut_checked(inside)?;
            for (to, &from) in within.iter_mut().zip(from) {
                *to = from;
            }
            for value in after {
                *value = self.zero_point;
            }
            return Some(());
        }
        for (tap, to) in to.chunks_exact_mut(channels.max(1)).enumerate() {
            let at = (start + tap * dilation).checked_sub(padding).filter(|&at| at < self.width);
            match at {
                Some(at) => to.copy_from_slice(source.get(at * channels..)?.get(..to.len())?),
                None => to.fill(self.zero_point),
            }
        }
        Some(())
    }
}
