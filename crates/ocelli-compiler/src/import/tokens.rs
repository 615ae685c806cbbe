//! Operators on sequences of tokens: attention, separable attention, products of two tensors.
//!
//! An operand comes with a layout of `[sequences and heads, tokens, depth]`. Where its storage is a map whose pixels are those tokens
//! (MobileViT's patches included) nothing moves; else it is stored as one row a sequence.

use super::builder::{Builder, Value};
use super::layout::Layout;
use crate::graph::{Attention, AttentionBias, Operator, Shape};

/// A product over the last axis of `left` and the middle axis of `right`: layouts `[batch, rows, inner]` and `[batch, inner, columns]`.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub left: Value,
    pub right: Value,
    /// The result `[batch, rows, columns]` as the file sees it.
    pub layout: Layout,
}

/// The operands of scaled dot-product attention; layouts are `[batch, tokens, depth]`.
#[derive(Clone, Debug)]
pub(super) struct AttentionOperands {
    pub query: Value,
    pub key: Value,
    pub value: Value,
    pub scale: f64,
    /// `[batch][query tokens][key tokens]`.
    pub bias: Option<Vec<f32>>,
}

/// A part of the batch axis, outermost first: its size, and whether it counts heads (or sequences).
type Batch = Vec<(usize, bool)>;

/// How the pixels of a map are tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    height: usize,
    width: usize,
    patch: [usize; 2],
}

/// What a storage factor counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Sequence,
    Token,
    Head,
    Depth,
}

impl Product {
    /// Batch, rows, inner, columns.
    pub fn sizes(&self) -> [usize; 4] {
        let (left, right) = (self.left.layout.dims(), self.right.layout.dims());
        [left[0], left[1], left[2], right[2]]
    }
}

/// The batch axis of an operand, split where it changes between sequences and heads: heads lie inside the tokens, in the channels of the map
/// that the operand is.
fn batch_of(layout: &Layout, channels: usize) -> Batch {
    let last_token = layout.factors_of(&[1]).into_iter().max();
    let sizes = layout.factor_sizes();
    let mut batch: Batch = Vec::new();
    let mut push = |size: usize, is_head: bool| match batch.last_mut() {
        Some((total, same)) if *same == is_head => *total *= size,
        _ => batch.push((size, is_head)),
    };
    for factor in layout.factors_of(&[0]) {
        let (size, inner) = (sizes[factor], sizes[factor + 1..].iter().product::<usize>());
        let heads = match last_token {
            Some(token) if factor < token => 1,
            _ if channels.is_multiple_of(inner) && size.is_multiple_of((channels / inner).min(size)) => {
                (channels / inner).min(size)
            }
            _ => 1,
        };
        // A patch's columns and the heads may be one factor.
        for (size, is_head) in [(size / heads, false), (heads, true)] {
            if size > 1 {
                push(size, is_head);
            }
        }
    }
    // Pixels side by side within each token are as well called heads.
    let inside = layout.factors_of(&[0]).into_iter().min() > last_token;
    if let [(_, is_head)] = batch.as_mut_slice() {
        *is_head |= inside;
    }
    batch
}

/// The layout with its batch axis split, and the role of each factor.
fn with_roles(layout: &Layout, batch: &Batch) -> Option<(Layout, Vec<Role>)> {
    let dims = layout.dims();
    let split: Vec<usize> = batch.iter().map(|&(size, _)| size).chain([dims[1], dims[2]]).collect();
    let layout = layout.reshaped(&split)?;
    let mut roles = vec![Role::Depth; layout.factor_sizes().len()];
    let kinds = batch.iter().map(|&(_, is_head)| if is_head { Role::Head } else { Role::Sequence });
    for (axis, role) in kinds.chain([Role::Token, Role::Depth]).enumerate() {
        layout.factors_of(&[axis]).into_iter().for_each(|factor| roles[factor] = role);
    }
    Some((layout, roles))
}

/// The factors in the file's order that have a role.
fn of_role(layout: &Layout, roles: &[Role], role: Role) -> Vec<usize> {
    let all: Vec<usize> = (0..layout.rank()).collect();
    layout.factors_of(&all).into_iter().filter(|&factor| roles[factor] == role).collect()
}

/// The map that the storage is, if its pixels are tokens in order and its channels heads and depth. `shape` is its present one.
fn form(layout: &Layout, roles: &[Role], shape: Shape) -> Option<Form> {
    let ordered = [Role::Sequence, Role::Token, Role::Head, Role::Depth]
        .iter()
        .all(|&role| of_role(layout, roles, role).is_sorted());
    let inside = |role: Role| matches!(role, Role::Head | Role::Depth);
    let pixels = roles.iter().position(|&role| inside(role)).unwrap_or(roles.len());
    let heads = roles[pixels..].iter().take_while(|&&role| role == Role::Head).count();
    let channels_last = roles[pixels + heads..].iter().all(|&role| role == Role::Depth);
    if !ordered || !channels_last {
        return None;
    }
    // Runs of pixels: tokens, sequences, tokens, sequences are rows of patches, rows, columns of patches, columns.
    let mut runs = [1; 4];
    let mut place = 0;
    for (&role, &size) in roles.iter().zip(layout.factor_sizes()).take(pixels) {
        if (role == Role::Sequence) != (place % 2 == 1) {
            place += 1;
        }
        *runs.get_mut(place)? *= size;
    }
    let [rows, inner_rows, columns, inner_columns] = runs;
    let form = match runs {
        [tokens, 1, 1, 1] if shape.pixels() == tokens => {
            Form { height: shape.height, width: shape.width, patch: [1, 1] }
        }
        [tokens, 1, 1, 1] => Form { height: 1, width: tokens, patch: [1, 1] },
        // Neighbouring pixels of one row of patches.
        [tokens, sequences, 1, 1] => Form { height: 1, width: tokens * sequences, patch: [1, sequences] },
        _ => Form {
            height: rows * inner_rows,
            width: columns * inner_columns,
            patch: [inner_rows, inner_columns],
        },
    };
    Some(form)
}

impl Builder {
    /// The value under this split of the batch, moved to file order if its storage cuts across.
    fn split_batch(&mut self, value: &Value, batch: &Batch, name: &str) -> (Value, Vec<Role>) {
        if let Some((layout, roles)) = with_roles(&value.layout, batch) {
            return (Value { tensor: value.tensor, layout }, roles);
        }
        let all: Vec<usize> = (0..value.layout.rank()).collect();
        let order = value.layout.factors_of(&all);
        let stored = self.store(value, &order, Shape::new(1, 1, value.layout.len()), name);
        let layout = Layout::in_file_order(&value.layout.dims());
        let (layout, roles) = with_roles(&layout, batch).unwrap_or((layout, Vec::new()));
        (Value { tensor: stored.tensor, layout }, roles)
    }

    /// The value as a map of tokens, moved to one row a sequence where its storage is none (or where `plain` asks for it).
    fn as_tokens(&mut self, value: &Value, batch: &Batch, plain: bool, name: &str) -> (Value, Form) {
        let (value, roles) = self.split_batch(value, batch, name);
        let channels = of_role(&value.layout, &roles, Role::Head)
            .into_iter()
            .chain(of_role(&value.layout, &roles, Role::Depth))
            .map(|factor| value.layout.factor_sizes()[factor])
            .product();
        let shape = self.shape(value.tensor);
        if let Some(form) = form(&value.layout, &roles, shape).filter(|_| !plain) {
            let shape = Shape::new(form.height, form.width, channels);
            let tensor = self.reshape(value.tensor, shape, name);
            return (Value { tensor, layout: value.layout }, form);
        }
        let order: Vec<usize> = [Role::Sequence, Role::Token, Role::Head, Role::Depth]
            .iter()
            .flat_map(|&role| of_role(&value.layout, &roles, role))
            .collect();
        let size = |role: Role| {
            let factors = of_role(&value.layout, &roles, role);
            factors.into_iter().map(|factor| value.layout.factor_sizes()[factor]).product::<usize>()
        };
        let form =
            Form { height: size(Role::Sequence), width: size(Role::Token), patch: [size(Role::Sequence), 1] };
        let stored = self.store(&value, &order, Shape::new(form.height, form.width, channels), name);
        (stored, form)
    }

    /// Values that must be stored alike.
    fn as_alike<const N: usize>(
        &mut self,
        values: [&Value; N],
        batch: &Batch,
        name: &str,
    ) -> ([Value; N], Form) {
        let fit = |value: &Value| {
            let (layout, roles) = with_roles(&value.layout, batch)?;
            form(&layout, &roles, self.shape(value.tensor))
        };
        let forms = values.map(fit);
        let single = |form: &Option<Form>| form.is_some_and(|form| form.patch == [1, 1]);
        let alike = forms[0].is_some() && forms.iter().all(|form| *form == forms[0]);
        let plain = !alike && !forms.iter().all(single);
        let stored = values.map(|value| self.as_tokens(value, batch, plain, name));
        let form = stored[0].1;
        let values = stored.map(|(value, _)| {
            let shape = Shape { height: form.height, width: form.width, ..self.shape(value.tensor) };
            Value { tensor: self.reshape(value.tensor, shape, name), layout: value.layout }
        });
        (values, form)
    }

    /// Scaled dot-product attention: a value of layout `[batch, query tokens, value depth]`, or why it is none.
    pub fn attention(&mut self, name: &str, operands: &AttentionOperands) -> Result<Value, String> {
        let AttentionOperands { query, key, value, scale, bias } = operands;
        // What counts heads for one operand may be moved for the others: the way that moves the least is taken.
        let fits = |batch: &Batch| {
            let fit = |value: &&Value| {
                with_roles(&value.layout, batch)
                    .is_some_and(|(layout, roles)| form(&layout, &roles, self.shape(value.tensor)).is_some())
            };
            [query, key, value].iter().filter(|value| fit(value)).count()
        };
        let candidates =
            [query, key, value].map(|value| batch_of(&value.layout, self.shape(value.tensor).channels));
        // The last of several maxima wins: the query's comes last.
        let batch = candidates.into_iter().rev().max_by_key(fits).unwrap_or_default();
        let [queries, keys] = [query, key].map(|value| value.layout.dims()[1]);
        let (bias, causal) = match bias {
            Some(values) => folded_bias(values, &batch, queries, keys)?,
            None => (None, false),
        };
        let depth = value.layout.dims()[2];
        let heads: usize = batch.iter().filter(|part| part.1).map(|part| part.0).product();
        let (query, query_form) = self.as_tokens(query, &batch, false, name);
        let ([key, value], key_form) = self.as_alike([key, value], &batch, name);
        let operator = Operator::Attention(Attention {
            heads,
            scale: *scale as f32,
            patch: query_form.patch,
            key_patch: key_form.patch,
            causal,
            bias,
        });
        let shape = Shape { channels: heads * depth, ..self.shape(query.tensor) };
        let tensor = self.emit(name, operator, vec![query.tensor, key.tensor, value.tensor], shape, None);
        let axis = query.layout.rank() - 1;
        let layout = query.layout.with_tail(&[axis], axis, depth);
        let whole: usize = batch.iter().map(|part| part.0).product();
        let layout = layout.reshaped(&[whole, queries, depth]).ok_or("its result cannot be reshaped")?;
        Ok(Value { tensor, layout })
    }

    /// MobileViTv2's `value * sum(softmax(scores) * key)`: layouts `[sequences, tokens, depth]`, the scores' depth is 1.
    pub fn separable_attention(&mut self, name: &str, [scores, key, value]: [&Value; 3]) -> Value {
        let batch = vec![(value.layout.dims()[0], false)];
        let ([scores, key, value], form) = self.as_alike([scores, key, value], &batch, name);
        let shape = self.shape(value.tensor);
        let inputs = vec![scores.tensor, key.tensor, value.tensor];
        let operator = Operator::SeparableAttention { patch: form.patch };
        let tensor = self.emit(name, operator, inputs, shape, None);
        Value { tensor, layout: value.layout }
    }

    /// The product of two tensors as a matrix product of maps.
    pub fn matmul(&mut self, name: &str, product: &Product) -> Value {
        let [batch, rows, inner, columns] = product.sizes();
        let order = |value: &Value, axes: &[usize]| value.layout.factors_of(axes);
        let left_order = order(&product.left, &[0, 1, 2]);
        let left = self.store(&product.left, &left_order, Shape::new(batch, rows, inner), name);
        let transpose_second = !order(&product.right, &[0, 1, 2]).is_sorted();
        let (axes, shape) = match transpose_second {
            true => ([0, 2, 1], Shape::new(batch, columns, inner)),
            false => ([0, 1, 2], Shape::new(batch, inner, columns)),
        };
        let right_order = order(&product.right, &axes);
        let right = self.store(&product.right, &right_order, shape, name);
        let shape = Shape::new(batch, rows, columns);
        let inputs = vec![left.tensor, right.tensor];
        let tensor = self.emit(name, Operator::MatMul { transpose_second }, inputs, shape, None);
        Value { tensor, layout: product.layout.clone() }
    }
}

/// The bias without what repeats, and whether it hides all later keys.
fn folded_bias(
    values: &[f32],
    batch: &Batch,
    queries: usize,
    keys: usize,
) -> Result<(Option<AttentionBias>, bool), String> {
    let hidden = f32::NEG_INFINITY;
    let map = queries * keys;
    if values.chunks_exact(keys).any(|row| row.iter().all(|&value| value == hidden)) {
        return Err("its mask hides all keys of a query".to_owned());
    }
    // Of each batch entry: its head.
    let heads: usize = batch.iter().filter(|part| part.1).map(|part| part.0).product();
    let head_of = |mut entry: usize| {
        let (mut head, mut step) = (0, 1);
        for &(size, is_head) in batch.iter().rev() {
            if is_head {
                head += entry % size * step;
                step *= size;
            }
            entry /= size;
        }
        head
    };
    let mut of_heads: Vec<Option<&[f32]>> = vec![None; heads];
    for (entry, part) in values.chunks_exact(map).enumerate() {
        let slot = &mut of_heads[head_of(entry)];
        if slot.is_some_and(|other| other != part) {
            return Err("its mask or bias differs between sequences".to_owned());
        }
        *slot = Some(part);
    }
    let mut of_heads: Vec<&[f32]> = of_heads.into_iter().flatten().collect();
    if of_heads.windows(2).all(|pair| pair[0] == pair[1]) {
        of_heads.truncate(1);
    }
    let (heads, values) = (of_heads.len(), of_heads.concat());
    let later = |index: usize| index % keys > index / keys % queries;
    let causal = queries == keys
        && keys > 1
        && (0..values.len()).all(|index| !later(index) || values[index] == hidden);
    let seen = |index: usize| !(causal && later(index));
    // The last query sees every key, causal or not.
    let last_row = |index: usize| (index / map + 1) * map - keys + index % keys;
    let shared = (0..values.len()).all(|index| !seen(index) || values[index] == values[last_row(index)]);
    if (0..values.len()).all(|index| !seen(index) || values[index] == 0.0) {
        return Ok((None, causal));
    }
    let (queries, values) = if shared {
        (1, values.chunks_exact(map).flat_map(|head| head[map - keys..].to_vec()).collect())
    } else {
        let own = (0..values.len()).map(|index| if seen(index) { values[index] } else { 0.0 });
        (queries, own.collect())
    };
    Ok((Some(AttentionBias { heads, queries, values }), causal))
}
