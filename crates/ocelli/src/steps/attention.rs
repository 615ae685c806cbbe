//! Attention steps: maps as sequences of tokens, with memory to work in.

use core::marker::PhantomData;
use core::num::NonZero;
use core::ops::Range;

use ocelli_format::operator::{
    AttentionQ32Record, SeparableAttentionQ32Record, separable_attention_scratch_bytes,
};
use ocelli_format::{Model, Step, TensorInfo};
use ocelli_kernels::Map;
use ocelli_kernels::arch::Arch;
use ocelli_kernels::attention::{Attention, Bias};
use ocelli_kernels::separable::SeparableAttention;

use super::Bound;
use super::scratch::WithScratch;
use crate::Problem;
use crate::memory::{Operands, parameters};

/// Weights of a row add up to less than this, so that their sums of values fit 32 bits.
const LARGEST_TOTAL: u64 = 1 << 24;

/// Sequences of a map: their number and their length.
fn sequences(tensor: &TensorInfo, [rows, columns]: [u16; 2]) -> Result<[usize; 2], Problem> {
    let divides = |size: u16, part: u16| size.checked_rem(part) == Some(0);
    if !divides(tensor.height, rows) || !divides(tensor.width, columns) {
        return Err(Problem::Patches);
    }
    let product = |a: u16, b: u16| usize::from(a).checked_mul(usize::from(b)).ok_or(Problem::Sequences);
    let down = tensor.height.checked_div(rows).unwrap_or_default();
    let across = tensor.width.checked_div(columns).unwrap_or_default();
    Ok([product(rows, columns)?, product(down, across)?])
}

/// Rows of a sequence of an unfolded map.
fn rows_of_sequence(tensor: &TensorInfo, [rows, columns]: [u16; 2]) -> Result<NonZero<usize>, Problem> {
    let sequences = usize::from(rows).wrapping_mul(usize::from(columns));
    let height = usize::from(tensor.height);
    if height.checked_rem(sequences) != Some(0) {
        return Err(Problem::Unfolded);
    }
    height.checked_div(sequences).and_then(NonZero::new).ok_or(Problem::Patches)
}

/// The weights of `tokens` tokens, of which none is larger than the first entry of the table, must not add up to too much.
fn check_weights(exponentials: &[u16], tokens: usize) -> Result<(), Problem> {
    let largest = exponentials.first().copied().unwrap_or_default();
    if largest == 0 {
        return Err(Problem::ExponentialZero);
    }
    match u64::from(largest).checked_mul(tokens as u64) {
        Some(total) if total < LARGEST_TOTAL => Ok(()),
        _ => Err(Problem::SequencesTable),
    }
}

fn same_shape(a: &TensorInfo, b: &TensorInfo) -> bool {
    [a.height, a.width, a.channels] == [b.height, b.width, b.channels]
}

pub(crate) struct AttentionQ32<'m, A: Arch> {
    arch: PhantomData<A>,
    tensors: WithScratch<'m, 3>,
    kernel: Attention<'m>,
    /// Rows of a sequence of the query and of the key, where sequences lie one below the other.
    unfolded: Option<[NonZero<usize>; 2]>,
}

impl<'m, A: Arch> Bound<'m> for AttentionQ32<'m, A> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &AttentionQ32Record = step.record().ok_or(Problem::Parameters)?;
        let tensors = WithScratch::bind(model, step)?;
        let ([query, key, value], output) = (tensors.inputs, tensors.output);
        if query.channels != key.channels || [key.height, key.width] != [value.height, value.width] {
            return Err(Problem::AttentionInputs);
        }
        if [output.height, output.width, output.channels] != [query.height, query.width, value.channels] {
            return Err(Problem::AttentionOutput);
        }
        let divided = |channels: u16| channels.checked_rem(record.heads) == Some(0);
        if !divided(query.channels) || !divided(value.channels) {
            return Err(Problem::AttentionHeads);
        }
        let [query_sequences, query_tokens] = sequences(query, record.patch)?;
        let [key_sequences, key_tokens] = sequences(key, record.key_patch)?;
        if query_sequences != key_sequences {
            return Err(Problem::AttentionSequences);
        }
        let unfolded = if record.flags & AttentionQ32Record::UNFOLDED == 0 {
            None
        } else {
            let rows = [rows_of_sequence(query, record.patch)?, rows_of_sequence(key, record.key_patch)?];
            let together =
                |tensor: &TensorInfo| tensor.is_whole() || usize::from(tensor.slots) % rows[1] == 0;
            if !together(key) || !together(value) {
                return Err(Problem::Unfolded);
            }
            Some(rows)
        };
        let exponentials: &[u16; 1024] =
            parameters(model, record.exponentials, 1)?.first().ok_or(Problem::Parameters)?;
        check_weights(exponentials, key_tokens)?;
        if exponentials.last() != Some(&0) {
            return Err(Problem::ExponentialLast);
        }
        let [key_dimension, value_dimension] = [key, value]
            .map(|tensor| usize::from(tensor.channels.checked_div(record.heads).unwrap_or_default()));
        tensors.check_scratch(A::attention_scratch(key_tokens, key_dimension, value_dimension))?;
        let kernel = Attention {
            heads: usize::from(record.heads),
            patch: if unfolded.is_some() { [1, 1] } else { record.patch.map(usize::from) },
            key_patch: if unfolded.is_some() { [1, 1] } else { record.key_patch.map(usize::from) },
            causal: record.flags & AttentionQ32Record::CAUSAL != 0,
            score_multiplier: record.score_multiplier,
            score_shift: record.score_shift,
            exponentials,
            output_multiplier: record.output_multiplier,
            output_bias: record.output_bias,
            output_shift: record.output_shift,
            zero_point: output.zero_point,
            bias: bias(model, record, [query_tokens, key_tokens])?,
        };
        Ok(Self { arch: PhantomData, tensors, kernel, unfolded })
    }

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let WithScratch { inputs: [query, key, value], scratch, output: tensor } = self.tensors;
        let Operands { output, scratch, inputs } =
            Operands::split(model, arena, tensor, &range, Some(scratch))?;
        let maps = [inputs.map(query, range.start)?, inputs.map(key, 0)?, inputs.map(value, 0)?];
        let Some(rows) = self.unfolded else {
            return A::attention(&self.kernel, maps.each_ref(), range.start, output, scratch);
        };
        let length = tensor.row_len();
        let mut output = output;
        let mut y = range.start;
        while y < range.end {
            let (sequence, row) = (y / rows[0], y % rows[0]);
            let [query, key, value] = &maps;
            let mut count = range.end.min(y.wrapping_sub(row).checked_add(rows[0].get())?).checked_sub(y)?;
            if query.rows(y, count).is_none() {
                count = 1;
            }
            let (to, rest) = core::mem::take(&mut output).split_at_mut_checked(count.checked_mul(length)?)?;
            output = rest;
            let queries = Map { base: row, height: rows[0].get(), ..together(query, y, count)? };
            let first = sequence.checked_mul(rows[1].get())?;
            let [key, value] = [together(key, first, rows[1].get())?, together(value, first, rows[1].get())?];
            A::attention(&self.kernel, [&queries, &key, &value], row, to, scratch)?;
            y = y.checked_add(count)?;
        }
        Some(())
    }
}

/// Rows of a map that lie together, as a map of their own.
fn together<'a>(map: &Map<'a>, first: usize, count: usize) -> Option<Map<'a>> {
    let shape = [count, map.width, map.channels];
    Some(Map::whole(map.rows(first, count)?, shape, map.zero_point))
}

/// The bias of a record, all values of which lie in the weights.
fn bias<'m>(
    model: &Model<'m>,
    record: &AttentionQ32Record,
    [query_tokens, key_tokens]: [usize; 2],
) -> Result<Option<Bias<'m>>, Problem> {
    if record.flags & AttentionQ32Record::BIAS == 0 {
        return Ok(None);
    }
    let last = |count: usize, stride: u32| (count as u64).saturating_sub(1).checked_mul(u64::from(stride));
    let length = last(usize::from(record.heads), record.bias_head_stride)
        .zip(last(query_tokens, record.bias_query_stride))
        .and_then(|(heads, queries)| heads.checked_add(queries)?.checked_add(key_tokens as u64))
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(Problem::AttentionBias)?;
    Ok(Some(Bias {
        values: parameters(model, record.bias, length)?,
        head_stride: record.bias_head_stride as usize,
        query_stride: record.bias_query_stride as usize,
    }))
}

pub(crate) struct SeparableAttentionQ32<'m> {
    tensors: WithScratch<'m, 3>,
    kernel: SeparableAttention<'m>,
}

impl<'m> Bound<'m> for SeparableAttentionQ32<'m> {
    fn bind(model: &Model<'m>, step: &Step<'m>) -> Result<Self, Problem> {
        let record: &SeparableAttentionQ32Record = step.record().ok_or(Problem::Parameters)?;
        let tensors = WithScratch::bind(model, step)?;
        let ([scores, key, value], output) = (tensors.inputs, tensors.output);
        if [scores.height, scores.width, scores.channels] != [key.height, key.width, 1] {
            return Err(Problem::AttentionScores);
        }
        if !same_shape(key, value) || !same_shape(value, output) {
            return Err(Problem::AttentionShapes);
        }
        let [_, tokens] = sequences(key, record.patch)?;
        let exponentials: &[u16; 256] =
            parameters(model, record.exponentials, 1)?.first().ok_or(Problem::Parameters)?;
        check_weights(exponentials, tokens)?;
        tensors.check_scratch(separable_attention_scratch_bytes(tokens, usize::from(key.channels)))?;
        let patch = record.patch.map(usize::from);
        let kernel = SeparableAttention { patch, exponentials, channel: &record.channel };
        Ok(Self { tensors, kernel })
    }

    const WHOLE: bool = true;

    fn rows(&self, model: &Model<'m>, arena: &mut [i8], range: Range<usize>) -> Option<()> {
        let WithScratch { inputs: [scores, key, value], scratch, output } = self.tensors;
        let Operands { output, scratch, inputs } =
            Operands::split(model, arena, output, &range, Some(scratch))?;
        let maps = [&inputs.map(scores, 0)?, &inputs.map(key, 0)?, &inputs.map(value, 0)?];
        self.kernel.apply(maps, output, scratch)
    }
}
