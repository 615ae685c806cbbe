//! Depthwise windows over words of four rows.
#![allow(unsafe_code)]

use zerocopy::{FromBytes, IntoBytes};

use super::{bytes, quad};
use crate::requantize::Rule;

/// Four rows of bytes as words: word `i` has byte `i` of each. Writes up to 15 words beyond them.
pub fn interleave(rows: [&[i8]; 4], words: &mut [u32]) -> Option<()> {
    let [a, b, c, d] = rows;
    let length = a.len();
    if [b.len(), c.len(), d.len()] != [length; 3] || words.len() < length.checked_add(15)? & !15 {
        return None;
    }
    #[cfg(ocelli_helium)]
    // SAFETY: all rows have `length` bytes, and `words` that many, rounded up to 16.
    unsafe {
        super::asm::interleave(a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr(), words.as_mut_ptr(), length);
    }
    #[cfg(not(ocelli_helium))]
    for ((((word, &a), &b), &c), &d) in words.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *word = u32::from_le_bytes([a, b, c, d].map(i8::cast_unsigned));
    }
    Some(())
}

/// Makes words that all bytes of a value fill.
pub fn fill(words: &mut [u32], value: i8) {
    if let Ok(bytes) = <[i8]>::mut_from_bytes(words.as_mut_bytes()) {
        bytes::fill(bytes, value);
    }
}

/// Windows of `tiles` of 4x4 taps, over planes of words `[column][channel]`, a plane for each four rows of taps.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Vertical and horizontal.
    pub tiles: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// Words from a window to the next.
    pub step: usize,
    /// Words from a window's column to the next.
    pub column: usize,
    /// Words of a plane.
    pub plane: usize,
    /// Windows of a row, at least 1.
    pub count: usize,
    /// Words that the windows of a row see, all planes together: at most those of the planes.
    pub seen: usize,
}

impl Windows {
    /// Channels as they are stored: a multiple of 4.
    pub fn stored(&self) -> usize {
        self.channels.saturating_add(3) & !3
    }

    /// Bytes of a quad's weights.
    fn weights(&self) -> Option<usize> {
        self.tiles[0].checked_mul(self.tiles[1])?.checked_mul(64)
    }

    fn quad_words<R: Rule>(&self) -> Option<usize> {
        (self.weights()? / 4).checked_add(quad::words::<R>())
    }

    /// Words of the parameters.
    pub fn words<R: Rule>(&self) -> Option<usize> {
        self.quad_words::<R>()?.checked_mul(self.stored() / 4)
    }

    /// Writes the parameters; `weight(channel, row, column)` gives the weights.
    pub fn pack<R: Rule>(
        &self,
        channels: &[R::Channel],
        weight: impl Fn(usize, usize, usize) -> Option<i8>,
        packed: &mut [u32],
    ) -> Option<()> {
        if packed.len() != self.words::<R>()? || channels.len() != self.channels {
            return None;
        }
        let mut quads = packed.chunks_exact_mut(self.quad_words::<R>()?.max(1));
        for (quad, channels) in channels.chunks(4).enumerate() {
            let (weights, after) = quads.next()?.split_at_mut_checked(self.weights()? / 4)?;
            for (at, byte) in weights.as_mut_bytes().iter_mut().enumerate() {
                let (tile, channel) = (at / 64, at / 16 % 4);
                let row = tile.checked_div(self.tiles[1])? * 4 + at % 4;
                let column = tile.checked_rem(self.tiles[1])? * 4 + at / 4 % 4;
                let value =
                    if channel < channels.len() { weight(quad * 4 + channel, row, column)? } else { 0 };
                *byte = value.cast_unsigned();
            }
            quad::pack::<R>(channels, after)?;
        }
        Some(())
    }

    /// Makes the outputs of a row: [`Windows::stored`] values each, `output_stride` apart. Bounds are not applied.
    pub fn run<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        words: &[u32],
        output: &mut [i8],
        output_stride: usize,
    ) -> Option<()> {
        let complete = self.seen <= words.len()
            && (self.count - 1).checked_mul(output_stride)?.checked_add(self.stored())? <= output.len()
            && packed.len() == self.words::<R>()?;
        if !complete {
            return None;
        }
        #[cfg(ocelli_helium)]
        self.call(rule, packed, words, output, output_stride)?;
        #[cfg(not(ocelli_helium))]
        self.model(rule, packed, words, output, output_stride)?;
        Some(())
    }

    #[cfg(not(ocelli_helium))]
    fn model<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        words: &[u32],
        output: &mut [i8],
        output_stride: usize,
    ) -> Option<()> {
        for (index, quad) in packed.chunks_exact(self.quad_words::<R>()?).enumerate() {
            let (weights, after) = quad.split_at_checked(self.weights()? / 4)?;
            for place in 0..self.count {
                for channel in 0..4 {
                    let mut sum = 0i32;
                    for (at, &weight) in
                        weights.as_bytes().iter().enumerate().filter(|(at, _)| at / 16 % 4 == channel)
                    {
                        let (tile, column, row) = (at / 64, at / 4 % 4, at % 4);
                        let word = tile.checked_div(self.tiles[1])? * self.plane
                            + (tile.checked_rem(self.tiles[1])? * 4 + column) * self.column
                            + place * self.step
                            + index * 4
                            + channel;
                        let value = words.get(word)?.to_le_bytes()[row].cast_signed();
                        sum = sum.wrapping_add(i32::from(value) * i32::from(weight.cast_signed()));
                    }
                    *output.get_mut(place * output_stride + index * 4 + channel)? =
                        quad::finish(rule, after, channel, sum)?;
                }
            }
        }
        Some(())
    }

    /// Calls the assembly; [`Windows::run`] has checked the lengths, and that there is an output.
    #[cfg(ocelli_helium)]
    fn call<R: Rule>(
        &self,
        rule: &R,
        packed: &[u32],
        words: &[u32],
        output: &mut [i8],
        output_stride: usize,
    ) -> Option<()> {
        use super::asm;
        let arguments = [
            words.as_ptr() as usize,
            packed.as_ptr() as usize,
            output.as_mut_ptr() as usize,
            self.count,
            output_stride,
            self.step * 4,
            self.stored() / 4,
            quad::zero_point(rule),
            self.column * 4,
        ];
        let [rows, columns] = self.tiles;
        if rows * columns != 1 {
            return self.call_tiles::<R>(&arguments);
        }
        // The distances of common numbers of channels are part of the instructions.
        let function = match (R::TFLITE, self.step) {
            (false, 32) => asm::windows128_q32,
            (false, 48) => asm::windows192_q32,
            (false, 64) => asm::windows256_q32,
            (false, _) => asm::windows_q32,
            (true, 32) => asm::windows128_tflite,
            (true, 48) => asm::windows192_tflite,
            (true, 64) => asm::windows256_tflite,
            (true, _) => asm::windows_tflite,
        };
        // SAFETY: `run` has checked that all windows are within `words`, all outputs within `output`, and the parameters of all quads in
        // `packed`, whose words are aligned; the assembly reads and writes no more.
        unsafe { function(arguments.as_ptr()) }
        Some(())
    }

    #[cfg(ocelli_helium)]
    #[cold]
    fn call_tiles<R: Rule>(&self, first: &[usize; 9]) -> Option<()> {
        use super::asm;
        let [rows, columns] = self.tiles;
        let mut arguments = [0; 10 + TILES];
        let (list, deltas) = arguments.split_at_mut(10);
        for (argument, &value) in list.iter_mut().zip(first.iter().chain(&[rows * columns])) {
            *argument = value;
        }
        let place = |tile: usize| {
            let row = tile.checked_div(columns)?;
            Some(row * self.plane * 4 + (tile - row * columns) * self.column * 16)
        };
        for tile in 0..rows * columns {
            let next = if tile + 1 == rows * columns { 0 } else { place(tile + 1)? };
            *deltas.get_mut(tile)? = next.wrapping_sub(place(tile)?);
        }
        let function = if R::TFLITE { asm::tiles_tflite } else { asm::tiles_q32 };
        // SAFETY: as in `call`.
        unsafe { function(arguments.as_ptr()) }
        Some(())
    }
}

/// The most tiles of a window.
pub const TILES: usize = 16;
