//! The weight stream of a 1x1 convolution: blocks of variable length, each entered by a jump.
//!
//! The first word is the number of words, itself included. A channel is: two words `low start, high start`; blocks of a jump and as many
//! weights as its steps take; a jump that leaves, with padding to a whole word; its requantization. After the last channel come two words
//! and a jump that ends.

use core::marker::PhantomData;

use zerocopy::IntoBytes;

use super::{Core, TRAILER};
use crate::requantize::Rule;

/// Where a jump of the stream leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::arch) enum Jump {
    /// To so many steps of the inner loop.
    Steps(usize),
    /// To the requantization of the channel, which so many bytes precede.
    Leave(usize),
    /// To the end.
    Exit,
}

/// A stream whose structure has been checked.
#[derive(Clone, Copy, Debug)]
pub(in crate::arch) struct Stream<'a, C> {
    /// Words from the first channel on.
    pub words: &'a [u32],
    /// Input channels, a multiple of the step.
    pub depth: usize,
    /// Output channels.
    pub channels: usize,
    /// The rule.
    pub tflite: bool,
    core: PhantomData<C>,
}

/// `depth` rounded up to whole steps.
pub(super) const fn padded<C: Core>(depth: usize) -> usize {
    depth.next_multiple_of(C::STEP)
}

/// Words that a stream takes at most.
pub(super) fn words<C: Core>(depth: usize, channels: usize, tflite: bool) -> Option<usize> {
    let steps = padded::<C>(depth) / C::STEP;
    let bytes = steps.checked_mul(C::JUMP + C::STEP)?.checked_add(C::JUMP + 3)?;
    let channel = (bytes / 4).checked_add(2 + C::TRAILERS[usize::from(tflite)])?;
    channel.checked_mul(channels)?.checked_add(4)
}

/// Writes bytes and words into words that are zero.
struct Writer<'a> {
    words: &'a mut [u32],
    at: usize,
}

impl Writer<'_> {
    fn byte(&mut self, value: u8) -> Option<()> {
        *self.words.get_mut(self.at / 4)? |= u32::from(value) << (self.at % 4 * 8);
        self.at += 1;
        Some(())
    }

    fn word(&mut self, value: u32) -> Option<()> {
        value.to_le_bytes().into_iter().try_for_each(|byte| self.byte(byte))
    }

    fn jump<C: Core>(&mut self, jump: Jump, first: bool, tflite: bool) -> Option<()> {
        let code = C::encode(jump, first, tflite).to_le_bytes();
        code.into_iter().take(C::JUMP).try_for_each(|byte| self.byte(byte))
    }
}

/// Writes the stream of channels that have `depth` weights each; the rest of `packed` is zero.
pub(super) fn pack<C: Core, R: Rule>(
    rule: &R,
    channels: &[R::Channel],
    weights: &[i8],
    depth: usize,
    packed: &mut [u32],
) -> Option<()> {
    if depth == 0 || weights.len() != depth.checked_mul(channels.len())? {
        return None;
    }
    packed.fill(0);
    let mut writer = Writer { words: packed, at: 4 };
    for (channel, weights) in channels.iter().zip(weights.chunks_exact(depth)) {
        let channel = R::common(channel);
        let trailer =
            C::trailer(rule.tflite().as_ref(), &channel, super::requantize::bound(&channel, weights))?;
        let blocks = blocks::<C>(weights)?;
        let [low, high] = starts(channel.bias, blocks);
        writer.word(low)?;
        writer.word(high)?;
        let mut rest = weights;
        let mut first = true;
        while !rest.is_empty() {
            let steps = block::<C>(rest)?;
            writer.jump::<C>(Jump::Steps(steps), first, R::TFLITE)?;
            let (block, after) = rest.split_at_checked(steps * C::STEP).unwrap_or((rest, &[]));
            block.iter().try_for_each(|weight| writer.byte(weight.cast_unsigned()))?;
            (block.len()..steps * C::STEP).try_for_each(|_| writer.byte(0))?;
            (rest, first) = (after, false);
        }
        let padding = (writer.at + C::JUMP).wrapping_neg() % 4;
        writer.jump::<C>(Jump::Leave(padding), false, R::TFLITE)?;
        (0..padding).try_for_each(|_| writer.byte(0))?;
        for word in trailer.into_iter().take(C::TRAILERS[usize::from(R::TFLITE)]) {
            writer.word(word)?;
        }
    }
    writer.word(0)?;
    writer.word(0)?;
    writer.jump::<C>(Jump::Exit, true, R::TFLITE)?;
    let words = writer.at.div_ceil(4);
    *packed.first_mut()? = u32::try_from(words).ok()?;
    Some(())
}

/// What the low and the high half of an accumulator start from, where sums of `blocks` blocks are added.
pub(super) fn starts(bias: i32, blocks: u32) -> [u32; 2] {
    let bias = bias.cast_unsigned();
    [bias.wrapping_add(bias << 16).wrapping_sub(blocks << 15), bias]
}

/// Steps of the block that `weights` start with: as many as keep two sums in a word apart. `None` where not even one does.
fn block<C: Core>(weights: &[i8]) -> Option<usize> {
    let mut sum = 0;
    let mut steps = 0;
    for step in weights.chunks(C::STEP).take(C::STEPS) {
        sum += step.iter().map(|weight| u32::from(weight.unsigned_abs())).sum::<u32>();
        if sum > 255 {
            break;
        }
        steps += 1;
    }
    (steps > 0).then_some(steps)
}

fn blocks<C: Core>(mut weights: &[i8]) -> Option<u32> {
    let mut blocks = 0;
    while !weights.is_empty() {
        weights = weights.get(block::<C>(weights)? * C::STEP..).unwrap_or(&[]);
        blocks += 1;
    }
    Some(blocks)
}

/// Reads a stream.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    #[inline]
    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    #[inline(always)]
    fn jump<C: Core>(&mut self, first: bool, tflite: bool) -> Option<Jump> {
        let code = match *self.take(C::JUMP)? {
            [low] => i16::from(low.cast_signed()),
            [low, high] => i16::from_le_bytes([low, high]),
            _ => return None,
        };
        C::decode(code, first, tflite)
    }
}

impl<'a, C: Core> Stream<'a, C> {
    /// Checks that `packed` starts with a stream of `channels` channels of `depth` weights, so that kernels may follow it blindly.
    pub fn new(packed: &'a [u32], depth: usize, channels: usize, tflite: bool) -> Option<Self> {
        let words = packed.get(1..usize::try_from(*packed.first()?).ok()?)?;
        let bytes = words.as_bytes();
        let depth = padded::<C>(depth);
        let trailer = C::TRAILERS[usize::from(tflite)] * 4;
        // A slice has at most `isize::MAX` bytes, and what is added to `at` between two reads is small: none of the sums wraps.
        let jump = |at: usize, first: bool| {
            let code = match *bytes.get(at..)?.get(..C::JUMP)? {
                [low] => i16::from(low.cast_signed()),
                [low, high] => i16::from_le_bytes([low, high]),
                _ => return None,
            };
            C::decode(code, first, tflite)
        };
        let mut at = 0;
        for _ in 0..channels {
            at += 8;
            let mut weights = match C::FIRST {
                Some(ahead) => usize::from(C::LENGTHS[usize::from(bytes.get(at)?.wrapping_sub(ahead))]),
                None => match jump(at, true)? {
                    Jump::Steps(steps) => steps * C::STEP,
                    _ => 0,
                },
            };
            if weights == 0 {
                return None;
            }
            at += weights + C::JUMP;
            loop {
                let length = usize::from(C::LENGTHS[usize::from(*bytes.get(at)?)]);
                // The other byte of a jump to steps is its sign.
                if length == 0 || C::JUMP == 2 && bytes.get(at + 1) != Some(&0xff) {
                    break;
                }
                weights += length;
                at += length + C::JUMP;
            }
            let Jump::Leave(padding) = jump(at, false)? else { return None };
            at += C::JUMP + padding;
            // Words of the stream are read as such.
            if weights != depth || !at.is_multiple_of(4) {
                return None;
            }
            at += trailer;
        }
        let ends = jump(at + 8, true)? == Jump::Exit;
        ends.then_some(Self { words, depth, channels, tflite, core: PhantomData })
    }

    /// Whether `x` has two words a weight, and each place in `output` is followed by as many bytes as there are channels.
    #[inline]
    pub fn fits(&self, x: &[u32], output: &[i8], at: [usize; 4]) -> Option<()> {
        let last = output.len().checked_sub(self.channels)?;
        let fits = x.len() >= self.depth.checked_mul(2)? && at.iter().all(|&at| at <= last);
        fits.then_some(())
    }
}

/// [`Core::pointwise`] in plain Rust.
pub(in crate::arch) fn model_pointwise<C: Core>(
    stream: &Stream<'_, C>,
    x: &[u32],
    output: &mut [i8],
    at: [usize; 4],
) -> Option<()> {
    stream.fits(x, output, at)?;
    let mut reader = Reader { bytes: stream.words.as_bytes() };
    for channel in 0..stream.channels {
        let (low, high) = (reader.word()?, reader.word()?);
        let mut sums = [[low, high]; 2];
        let mut x = x.chunks_exact(2);
        let mut first = true;
        loop {
            let steps = match reader.jump::<C>(first, stream.tflite)? {
                Jump::Steps(steps) => steps,
                Jump::Leave(padding) => {
                    reader.take(padding)?;
                    break;
                }
                Jump::Exit => return None,
            };
            let mut block = [0x8000u32; 2];
            for &weight in reader.take(steps * C::STEP)? {
                let weight = i32::from(weight.cast_signed()).cast_unsigned();
                for (sum, &word) in block.iter_mut().zip(x.next()?) {
                    *sum = sum.wrapping_add(word.wrapping_mul(weight));
                }
            }
            for (sum, block) in sums.iter_mut().zip(block) {
                split(sum, block);
            }
            first = false;
        }
        let mut trailer = [0; TRAILER];
        for word in trailer.iter_mut().take(C::TRAILERS[usize::from(stream.tflite)]) {
            *word = reader.word()?;
        }
        let [[a, b], [c, d]] = sums.map(halves);
        for (at, sum) in at.into_iter().zip([a, b, c, d]).rev() {
            *output.get_mut(at + channel)? = C::finish(trailer, sum, stream.tflite);
        }
    }
    Some(())
}

/// Adds a block's sum of both halves.
#[inline]
pub(super) fn split([low, high]: &mut [u32; 2], block: u32) {
    *low = low.wrapping_add(block);
    *high = high.wrapping_add((block.cast_signed() >> 16).cast_unsigned());
}

/// The accumulators of the low and the high half.
#[inline]
pub(super) fn halves([low, high]: [u32; 2]) -> [i32; 2] {
    [low.wrapping_sub(high << 16).cast_signed(), high.cast_signed()]
}

/// The pair word of two values.
#[inline]
pub(super) fn pair(low: i8, high: i8) -> u32 {
    i32::from(low).wrapping_add(i32::from(high) << 16).cast_unsigned()
}

/// [`Core::widen`] in plain Rust.
pub(in crate::arch) fn model_widen([a, b, c, d]: [&[i8]; 4], x: &mut [u32]) -> Option<()> {
    let values = a.iter().zip(b).zip(c).zip(d);
    for (x, (((&a, &b), &c), &d)) in x.chunks_exact_mut(2).zip(values) {
        x.copy_from_slice(&[pair(a, b), pair(c, d)]);
    }
    Some(())
}
