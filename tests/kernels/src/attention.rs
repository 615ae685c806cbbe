//! Attention.

use ocelli_kernels::Map;
use ocelli_kernels::arch::Arch;
use ocelli_kernels::attention::{Attention, Bias, EXPONENTIALS, scratch_bytes};

use crate::memory::{Guarded, MAP, Ring, Workspace, rows_at_once};
use crate::random::Random;
use crate::rows::compare;
use crate::shape::LARGEST_WORK;
use crate::{Checked, Fault, Layer, Verdict};

/// The table of exponentials for sums over so many tokens, by a recurrence instead of a function that `core` has not.
pub fn exponentials(table: &mut [u16; EXPONENTIALS], tokens: usize) {
    // exp(-1 / SCORE_STEPS) in 32 bits behind the point.
    const RATIO: u64 = 4_250_459_951;
    let largest = (((1usize << 24) - 1) / tokens.max(1)).min(32767) as u64;
    let mut value = largest << 32;
    for entry in table.iter_mut() {
        *entry = ((value + (1 << 31)) >> 32) as u16;
        value = ((u128::from(value) * u128::from(RATIO)) >> 32) as u64;
    }
    table[EXPONENTIALS - 1] = 0;
}

/// Patches, heads, and the sizes of query, key and value.
struct Shape {
    heads: usize,
    patches: [[usize; 2]; 2],
    query: [usize; 3],
    key: [usize; 3],
    value: [usize; 3],
}

impl Shape {
    /// A shape that the buffers and the time allow.
    fn draw(random: &Random) -> Self {
        loop {
            let shape = Self::any(random);
            let tokens =
                Self::tokens(shape.query, shape.patches[0]) * Self::tokens(shape.key, shape.patches[1]);
            let sequences = shape.patches[0][0] * shape.patches[0][1];
            let fits = |map: [usize; 3]| map.iter().product::<usize>() <= MAP;
            let output = [shape.query[0], shape.query[1], shape.value[2]];
            if fits(shape.query)
                && fits(shape.key)
                && fits(output)
                && tokens * sequences * (shape.query[2] + shape.value[2]) <= LARGEST_WORK
            {
                return shape;
            }
        }
    }

    fn any(random: &Random) -> Self {
        let heads = random.pick(&[1, 1, 2, 3, 4]);
        let patch = random.pick(&[[1, 1], [1, 1], [2, 2], [1, 2], [3, 1]]);
        // Keys have as many sequences, in patches of the same or another shape.
        let key_patch = if random.one_in(4) { [patch[0] * patch[1], 1] } else { patch };
        let count = || if random.one_in(8) { random.size(5, 12) } else { random.size(1, 4) };
        let counts = [count(), count(), count(), count()];
        let dimension = || match random.size(0, 3) {
            0 => random.pick(&[4, 8, 16, 32]),
            _ => random.size(1, 20),
        };
        let channels = [dimension() * heads, dimension() * heads];
        let query = [patch[0] * counts[0], patch[1] * counts[1], channels[0]];
        let key = if random.one_in(2) && patch == key_patch {
            query
        } else {
            [key_patch[0] * counts[2], key_patch[1] * counts[3], channels[0]]
        };
        Self { heads, patches: [patch, key_patch], query, key, value: [key[0], key[1], channels[1]] }
    }

    fn tokens([height, width, _]: [usize; 3], [rows, columns]: [usize; 2]) -> usize {
        height * width / (rows * columns)
    }
}

/// A case of [`Arch::attention`].
pub fn attention<A: Arch>(random: &Random, workspace: &mut Workspace) -> Checked {
    let Workspace {
        exponentials: table,
        bias,
        inputs: [query, key, value],
        expected,
        ring,
        output,
        scratch,
        ..
    } = workspace;
    let shape = Shape::draw(random);
    let layer = Layer::Attention(
        shape.heads as u16,
        [shape.query, shape.value].map(|size| size.map(|extent| extent as u16)),
        shape.patches.map(|patch| patch.map(|extent| extent as u16)),
    );
    let [query_tokens, key_tokens] =
        [Shape::tokens(shape.query, shape.patches[0]), Shape::tokens(shape.key, shape.patches[1])];
    exponentials(table, key_tokens);

    let bias = if random.one_in(3) {
        let head_stride = random.pick(&[0, query_tokens * key_tokens]);
        let query_stride = random.pick(&[0, key_tokens]);
        let length = (shape.heads - 1) * head_stride + (query_tokens - 1) * query_stride + key_tokens;
        bias.get_mut(..length).map(|values| {
            for value in values.iter_mut() {
                let any = random.any() as i16;
                *value = random.pick(&[any, any >> 5, any >> 5, i16::MIN]);
            }
            Bias { values, head_stride, query_stride }
        })
    } else {
        None
    };
    let output_shift = random.size(13, 22) as u32;
    let ratio_bits = if output_shift == 22 { random.size(27, 30) } else { 30 };
    let score_multiplier = random.within(0, i32::MAX) >> random.size(0, 8);
    let kernel = Attention {
        heads: shape.heads,
        patch: shape.patches[0],
        key_patch: shape.patches[1],
        causal: random.one_in(4),
        score_multiplier,
        score_shift: random.pick(&[0, 0, 1, 3]),
        exponentials: table,
        output_multiplier: random.within(1 << ratio_bits, i32::MAX >> (30 - ratio_bits)),
        output_bias: random.within(-(150 << output_shift), 150 << output_shift),
        output_shift,
        zero_point: random.zero_point(),
        bias,
    };

    let map = |data: &'_ mut [i8], [height, width, channels]: [usize; 3]| {
        random.activations(&mut data[..height * width * channels]);
        random.zero_point()
    };
    let zero_points = [map(query, shape.query), map(key, shape.key), map(value, shape.value)];
    let query = Map::whole(&query[..shape.query.iter().product()], shape.query, zero_points[0]);
    let key = Map::whole(&key[..shape.key.iter().product()], shape.key, zero_points[1]);
    let value = Map::whole(&value[..shape.value.iter().product()], shape.value, zero_points[2]);

    let [height, row_length] = [shape.query[0], shape.query[1] * shape.value[2]];
    let expected = &mut expected[..height * row_length];
    let case = (layer, [0, 0], Fault::Case);
    let portable_scratch =
        scratch.get_mut(..scratch_bytes(key_tokens, shape.key[2] / shape.heads)).ok_or(case)?;
    for (y, row) in expected.chunks_exact_mut(row_length).enumerate() {
        kernel.row([&query, &key, &value], y, row, portable_scratch).ok_or(case)?;
    }

    let at_once = rows_at_once::<A>(random, height);
    let slots = if random.one_in(2) { height } else { at_once };
    let wrong = |fault: Fault| (layer, [at_once as u16, slots as u16], fault);
    let [ring_offset, output_offset, scratch_offset] = [(); 3].map(|()| random.size(0, 3));
    let bytes = A::attention_scratch(key_tokens, shape.key[2] / shape.heads, shape.value[2] / shape.heads);
    let mut scratch = Guarded::new(scratch, scratch_offset, bytes, random).ok_or(wrong(Fault::TooLarge))?;
    for first in (0..height).step_by(at_once) {
        let last = (first + at_once).min(height);
        let query = Ring { slots, offset: ring_offset }.fill(&query, first..last, ring, random);
        let range = first * row_length..last * row_length;
        let mut rows =
            Guarded::new(output, output_offset, range.len(), random).ok_or(wrong(Fault::TooLarge))?;
        A::attention(&kernel, [&query, &key, &value], first, rows.values(), scratch.values())
            .ok_or(wrong(Fault::Refused))?;
        compare(&expected[range.clone()], &mut rows, range.start).map_err(wrong)?;
        if !scratch.is_intact() {
            return Err(wrong(Fault::BesideScratch));
        }
    }
    Ok(Verdict::Equal)
}
