//! Operators on sequences of tokens: attention and matrix products of two maps.
//!
//! A token is a pixel. Which pixels form one sequence is told by a *patch*, `[rows, columns]`: pixels at the same place of their patches.
//! A map of `height x width` pixels has `rows * columns` sequences of `height / rows * width / columns` tokens each, in raster order.

use super::Shape;

/// Scaled dot-product attention: `softmax(scale * q k^T + bias) v` for each head and each sequence.
///
/// Inputs: query, key and value, maps whose channels are `heads * head dimension`, a head's channels side by side. Key and query have
/// the same head dimension, value may have another; key and value have the same height and width. Output: a map of the query's height and
/// width and the value's channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Number of heads; divides the channels of all inputs.
    pub heads: usize,
    /// Factor on the scores, `1 / sqrt(head dimension)` as a rule.
    pub scale: f32,
    /// Patch of the query and output maps. `[1, 1]`: the whole map is one sequence. MobileViT's unfold is `[2, 2]`; a batch of `B`
    /// sequences of `N` tokens is a map of `B` rows and `N` columns with `[B, 1]`.
    pub patch: [usize; 2],
    /// Patch of the key and value maps: of as many sequences, whose number of tokens may differ from the query's.
    pub key_patch: [usize; 2],
    /// Whether token `i` of the query sees keys `0..=i` only.
    pub causal: bool,
    /// Added to the scaled scores.
    pub bias: Option<AttentionBias>,
}

/// What is added to scaled scores, the same for every sequence: position biases, and `-inf` where a key is hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionBias {
    /// As many as heads, or 1: the same for all.
    pub heads: usize,
    /// As many as query tokens, or 1: the same for all.
    pub queries: usize,
    /// `[heads][queries][key tokens]`.
    pub values: Vec<f32>,
}

/// The sequences of a map under a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// How many there are.
    pub count: usize,
    /// Tokens of each.
    pub tokens: usize,
}

impl Sequences {
    /// The sequences of a map; `None` where the patch does not divide it.
    pub fn of(shape: Shape, [rows, columns]: [usize; 2]) -> Option<Self> {
        let divides = |size: usize, parts: usize| parts > 0 && size.is_multiple_of(parts);
        (divides(shape.height, rows) && divides(shape.width, columns))
            .then(|| Self { count: rows * columns, tokens: shape.pixels() / (rows * columns) })
    }
}

/// The sequences, or why there are none.
fn sequences(of: &str, shape: Shape, patch: [usize; 2]) -> Result<Sequences, String> {
    Sequences::of(shape, patch).ok_or_else(|| {
        format!(
            "patches of {}x{} do not divide its {of} of {shape}: resize the network's input so that they do",
            patch[0], patch[1]
        )
    })
}

impl Attention {
    /// Attention in which every pixel of a map sees every other, without bias.
    pub fn of_heads(heads: usize, scale: f32) -> Self {
        Self { heads, scale, patch: [1, 1], key_patch: [1, 1], causal: false, bias: None }
    }

    /// Shape of the output for these inputs.
    pub fn output(&self, query: Shape, value: Shape) -> Shape {
        Shape { channels: value.channels, ..query }
    }

    /// What is added to the score of a key for a query token of a head, causality included: `-inf` hides the key.
    pub fn bias_at(&self, head: usize, query: usize, key: usize, keys: usize) -> f32 {
        if self.causal && key > query {
            return f32::NEG_INFINITY;
        }
        self.bias.as_ref().map_or(0.0, |bias| {
            let row = head % bias.heads.max(1) * bias.queries + query % bias.queries.max(1);
            bias.values.get(row * keys + key).copied().unwrap_or(0.0)
        })
    }

    /// Multiply-accumulate operations: those of the scores and those of the weighted sums. Hidden keys count.
    pub(crate) fn macs(&self, query: Shape, key: Shape, value: Shape) -> u64 {
        let keys = Sequences::of(key, self.key_patch).map_or(0, |sequences| sequences.tokens);
        (query.pixels() * keys * (query.channels + value.channels)) as u64
    }

    /// What is wrong with these inputs and this output.
    pub(super) fn check(&self, inputs: [Shape; 3], output: Shape) -> Result<(), String> {
        let [query, key, value] = inputs;
        let heads = self.heads;
        for (name, shape) in [("query", query), ("key", key), ("value", value)] {
            if heads == 0 || !shape.channels.is_multiple_of(heads) {
                let channels = shape.channels;
                return Err(format!(
                    "{heads} heads do not divide the {channels} channels of its {name}: take a number of heads that does"
                ));
            }
        }
        if query.channels != key.channels {
            return Err(format!(
                "its query has {} channels, its key {}: they must be as many",
                query.channels, key.channels
            ));
        }
        if [key.height, key.width] != [value.height, value.width] {
            return Err(format!("its key of {key} and value of {value} differ in height or width"));
        }
        if output != self.output(query, value) {
            return Err(format!("its output is {output}, not {}", self.output(query, value)));
        }
        let queries = sequences("query", query, self.patch)?;
        let keys = sequences("key", key, self.key_patch)?;
        if queries.count != keys.count {
            return Err(format!("its query has {} sequences, its key {}", queries.count, keys.count));
        }
        if !self.scale.is_finite() {
            return Err(format!("its scale is {}", self.scale));
        }
        self.check_bias(queries.tokens, keys.tokens)
    }

    fn check_bias(&self, queries: usize, keys: usize) -> Result<(), String> {
        let Some(bias) = &self.bias else { return Ok(()) };
        let fits = |size: usize, whole: usize| size == 1 || size == whole;
        if !fits(bias.heads, self.heads)
            || !fits(bias.queries, queries)
            || bias.values.len() != bias.heads * bias.queries * keys
        {
            return Err(format!(
                "its mask or bias has {} values for {} heads and {} query tokens; it takes {} or 1 heads, {queries} or 1 query tokens \
                 and {keys} key tokens",
                bias.values.len(),
                bias.heads,
                bias.queries,
                self.heads
            ));
        }
        if let Some(bad) = bias.values.iter().find(|value| value.is_nan() || **value == f32::INFINITY) {
            return Err(format!("its mask or bias holds {bad}"));
        }
        for head in 0..bias.heads {
            // Only causality tells queries apart where they share a row.
            for query in 0..if self.causal { queries } else { bias.queries } {
                if (0..keys).all(|key| self.bias_at(head, query, key, keys) == f32::NEG_INFINITY) {
                    return Err(format!(
                        "its mask hides all keys from query token {query}: the result is not a number; let each token see one key"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with the inputs (scores, key, value) and the output of separable attention.
pub(super) fn check_separable(
    patch: [usize; 2],
    [scores, key, value]: [Shape; 3],
    output: Shape,
) -> Result<(), String> {
    sequences("scores", scores, patch)?;
    if scores.channels != 1 {
        return Err(format!("its scores of {scores} must have one channel"));
    }
    if key != value || scores != (Shape { channels: 1, ..key }) || output != value {
        return Err(format!(
            "its scores of {scores}, key of {key}, value of {value} and output of {output} must be maps of one height and width"
        ));
    }
    Ok(())
}

/// The shape of a matrix product of two maps, row by row: `h x m x k` times `h x n x k` (`transpose_second`) or `h x k x n` gives
/// `h x m x n`; the second may have height 1. `None` where they do not fit.
pub fn matmul_output(first: Shape, second: Shape, transpose_second: bool) -> Option<Shape> {
    let [inner, columns] = match transpose_second {
        true => [second.channels, second.width],
        false => [second.width, second.channels],
    };
    let fits = inner == first.channels && (second.height == first.height || second.height == 1);
    fits.then_some(Shape::new(first.height, first.width, columns))
}
