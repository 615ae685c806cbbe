//! Attention: a head's keys and values are packed once for all queries of a call, which then go through two at a time.

mod pack;
mod rows;

use crate::Map;
use crate::arch::heads::{Heads, Shape, portable};
use crate::attention::{Attention, scratch_bytes};
use crate::scratch::{SPARE, align, take};
use rows::{Memory, Rows};

/// Memory beyond which the packed form is not worth it.
const LARGEST_SCRATCH: usize = 32 * 1024;

impl Shape {
    const fn steps(&self) -> usize {
        pack::steps(self.dimension)
    }

    const fn key_groups(&self) -> usize {
        self.key_tokens.div_ceil(4)
    }

    const fn pairs(&self) -> usize {
        self.key_tokens.div_ceil(2)
    }

    const fn value_groups(&self) -> usize {
        self.value_dimension.div_ceil(4)
    }

    /// Words of queries, keys, values and scores; `None` where the packed form does not do.
    fn words(&self) -> Option<[usize; 4]> {
        if self.dimension == 0 || self.value_dimension == 0 || self.key_tokens == 0 {
            return None;
        }
        Some([
            self.steps().checked_add(1)?.checked_mul(2)?,
            self.steps().checked_mul(self.key_groups())?.checked_mul(4)?,
            self.value_groups().checked_mul(self.pairs())?.checked_mul(4)?,
            self.key_groups().checked_mul(4)?,
        ])
    }

    /// Bytes of all of them.
    fn bytes(&self) -> Option<usize> {
        let words = self.words()?.into_iter().try_fold(0usize, usize::checked_add)?;
        words.checked_mul(4)?.checked_add(SPARE).filter(|&bytes| bytes <= LARGEST_SCRATCH)
    }
}

/// [`crate::arch::Arch::attention_scratch`].
pub fn scratch(key_tokens: usize, dimension: usize, value_dimension: usize) -> usize {
    let shape = Shape { key_tokens, dimension, value_dimension };
    shape.bytes().unwrap_or(0).max(scratch_bytes(key_tokens, dimension))
}

/// [`Attention::row`] for the rows that `output` holds.
pub fn rows(
    attention: &Attention<'_>,
    maps: [&Map<'_>; 3],
    y: usize,
    output: &mut [i8],
    scratch: &mut [i8],
) -> Option<()> {
    let heads = Heads::new(attention, maps, y, output.len())
        .filter(|heads| heads.shape.bytes().is_some_and(|bytes| bytes <= scratch.len()));
    match heads {
        Some(heads) => all(&heads, output, scratch),
        None => portable(attention, maps, y, output, scratch),
    }
}

fn all(heads: &Heads<'_, '_>, output: &mut [i8], scratch: &mut [i8]) -> Option<()> {
    let Heads { attention, maps: [query, key, value], patches: [_, patch], shape, .. } = heads;
    let [queries, keys, values, scores] = shape.words()?;
    let (queries, scratch) = take::<u32>(align(scratch)?, queries)?;
    let (keys, scratch) = take::<u32>(scratch, keys)?;
    let (values, scratch) = take::<u32>(scratch, values)?;
    let (scores, _) = take::<u32>(scratch, scores)?;
    heads.each(|head| {
        pack::keys(key, patch, head.sequence, head.channels, keys)?;
        pack::values(value, patch, head.sequence, head.value_channels, shape.pairs(), values)?;
        let memory = Memory { queries: &mut *queries, keys: &*keys, values: &*values, scores: &mut *scores };
        let mut rows = Rows::new(attention, *shape, memory)?;
        heads.each_pair(&head, output, |tokens, first, second| {
            pack::queries(tokens, query.zero_point, rows.queries())?;
            rows.compute(first, second)
        })
    })
}
