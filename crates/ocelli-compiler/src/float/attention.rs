//! Attention, matrix products and normalization as ONNX operators.

use super::operators::{Writer, nchw};
use super::protobuf::{int, ints};
use crate::graph::{Attention, Norm, NormExtent, Sequences, Shape};

impl Writer<'_> {
    /// `[1, heads * d, H, W]` as `[heads, sequences, tokens, d]`.
    fn unfold(&mut self, input: &str, shape: Shape, patch: [usize; 2], heads: usize, output: &str) {
        let [rows, columns] = patch;
        let (split, moved) = (format!("{output}.split"), format!("{output}.moved"));
        let d = shape.channels / heads;
        let dims = [heads, d, shape.height / rows, rows, shape.width / columns, columns];
        self.reshape_to(input, &dims, &split);
        self.push("Transpose", &[&split], &moved, vec![ints("perm", &[0, 3, 5, 2, 4, 1])]);
        let sequences = rows * columns;
        self.reshape_to(&moved, &[heads, sequences, shape.pixels() / sequences, d], output);
    }

    /// The inverse of [`Writer::unfold`].
    fn fold(&mut self, input: &str, shape: Shape, patch: [usize; 2], heads: usize, output: &str) {
        let [rows, columns] = patch;
        let (split, moved) = (format!("{output}.folded"), format!("{output}.moved"));
        let dims = [heads, rows, columns, shape.height / rows, shape.width / columns, shape.channels / heads];
        self.reshape_to(input, &dims, &split);
        self.push("Transpose", &[&split], &moved, vec![ints("perm", &[0, 5, 3, 1, 4, 2])]);
        self.reshape_to(&moved, &nchw(shape), output);
    }

    fn reshape_to(&mut self, input: &str, dims: &[usize], output: &str) {
        let dims = self.shape_constant(format!("{output}.shape"), dims);
        self.push("Reshape", &[input, &dims], output, Vec::new());
    }

    pub(super) fn attention(
        &mut self,
        attention: &Attention,
        inputs: [&str; 3],
        [query, key, value]: [Shape; 3],
        output: &str,
    ) {
        let heads = attention.heads;
        let part = |what: &str| format!("{output}.{what}");
        let (q, k, v) = (part("query"), part("key"), part("value"));
        self.unfold(inputs[0], query, attention.patch, heads, &q);
        self.unfold(inputs[1], key, attention.key_patch, heads, &k);
        self.unfold(inputs[2], value, attention.key_patch, heads, &v);
        let (transposed, products) = (part("transposed"), part("products"));
        self.push("Transpose", &[&k], &transposed, vec![ints("perm", &[0, 1, 3, 2])]);
        self.push("MatMul", &[&q, &transposed], &products, Vec::new());
        let (mut scores, factor) = (part("scaled"), self.scalar(part("factor"), attention.scale));
        self.push("Mul", &[&products, &factor], &scores, Vec::new());
        if let Some(bias) = self.bias(attention, query, key, part("bias")) {
            let biased = part("biased");
            self.push("Add", &[&scores, &bias], &biased, Vec::new());
            scores = biased;
        }
        let (weights, sums) = (part("weights"), part("sums"));
        self.push("Softmax", &[&scores], &weights, vec![int("axis", 3)]);
        self.push("MatMul", &[&weights, &v], &sums, Vec::new());
        self.fold(&sums, attention.output(query, value), attention.patch, heads, output);
    }

    /// Bias and causality as one constant `[heads, 1, queries, keys]`.
    fn bias(&mut self, attention: &Attention, query: Shape, key: Shape, name: String) -> Option<String> {
        let tokens =
            |shape, patch| Sequences::of(shape, patch).map_or(0, |sequences: Sequences| sequences.tokens);
        let (queries, keys) = (tokens(query, attention.patch), tokens(key, attention.key_patch));
        let (bias_heads, mut rows) = match &attention.bias {
            Some(bias) => (bias.heads, bias.queries),
            None if attention.causal => (1, 1),
            None => return None,
        };
        if attention.causal {
            rows = queries;
        }
        let mut values = Vec::with_capacity(bias_heads * rows * keys);
        for head in 0..bias_heads {
            for row in 0..rows {
                values.extend((0..keys).map(|key| attention.bias_at(head, row, key, keys)));
            }
        }
        Some(self.constant(name, &[bias_heads, 1, rows, keys], &values))
    }

    pub(super) fn separable_attention(
        &mut self,
        patch: [usize; 2],
        inputs: [&str; 3],
        shape: Shape,
        output: &str,
    ) {
        let part = |what: &str| format!("{output}.{what}");
        let (scores, k, v) = (part("scores"), part("key"), part("value"));
        self.unfold(inputs[0], Shape { channels: 1, ..shape }, patch, 1, &scores);
        self.unfold(inputs[1], shape, patch, 1, &k);
        self.unfold(inputs[2], shape, patch, 1, &v);
        let (weights, weighted, context) = (part("weights"), part("weighted"), part("context"));
        self.push("Softmax", &[&scores], &weights, vec![int("axis", 2)]);
        self.push("Mul", &[&k, &weights], &weighted, Vec::new());
        let axes = self.shape_constant(part("axes"), &[2]);
        self.push("ReduceSum", &[&weighted, &axes], &context, vec![int("keepdims", 1)]);
        let product = part("product");
        self.push("Mul", &[&v, &context], &product, Vec::new());
        self.fold(&product, shape, patch, 1, output);
    }

    pub(super) fn norm(&mut self, norm: &Norm, input: &str, output: &str) {
        let part = |what: &str| format!("{output}.{what}");
        let axes: &[usize] = match norm.over {
            NormExtent::Channels => &[1],
            NormExtent::Map => &[1, 2, 3],
        };
        let axes = self.shape_constant(part("axes"), axes);
        let mut centered = input.to_owned();
        if norm.centered {
            let mean = part("mean");
            self.push("ReduceMean", &[input, &axes], &mean, vec![int("keepdims", 1)]);
            centered = part("centered");
            self.push("Sub", &[input, &mean], &centered, Vec::new());
        }
        let (squares, variance, stable, deviation) =
            (part("squares"), part("variance"), part("stable"), part("deviation"));
        self.push("Mul", &[&centered, &centered], &squares, Vec::new());
        self.push("ReduceMean", &[&squares, &axes], &variance, vec![int("keepdims", 1)]);
        let epsilon = self.scalar(part("epsilon"), norm.epsilon);
        self.push("Add", &[&variance, &epsilon], &stable, Vec::new());
        self.push("Sqrt", &[&stable], &deviation, Vec::new());
        let (normalized, scaled) = (part("normalized"), part("scaled"));
        self.push("Div", &[&centered, &deviation], &normalized, Vec::new());
        let gamma = self.constant(part("gamma"), &[norm.gamma.len(), 1, 1], &norm.gamma);
        let beta = self.constant(part("beta"), &[norm.beta.len(), 1, 1], &norm.beta);
        self.push("Mul", &[&normalized, &gamma], &scaled, Vec::new());
        self.push("Add", &[&scaled, &beta], output, Vec::new());
    }

    pub(super) fn matmul(&mut self, transpose_second: bool, first: &str, second: &str, output: &str) {
        let part = |what: &str| format!("{output}.{what}");
        let (rows, columns, product) = (part("rows"), part("columns"), part("product"));
        self.push("Transpose", &[first], &rows, vec![ints("perm", &[0, 2, 3, 1])]);
        let order = if transpose_second { [0, 2, 1, 3] } else { [0, 2, 3, 1] };
        self.push("Transpose", &[second], &columns, vec![ints("perm", &order)]);
        self.push("MatMul", &[&rows, &columns], &product, Vec::new());
        self.push("Transpose", &[&product], output, vec![ints("perm", &[0, 3, 1, 2])]);
    }

    pub(super) fn slice(&mut self, axis: usize, start: usize, length: usize, input: &str, output: &str) {
        let starts = self.shape_constant(format!("{output}.starts"), &[start]);
        let ends = self.shape_constant(format!("{output}.ends"), &[start + length]);
        let axes = self.shape_constant(format!("{output}.axes"), &[axis]);
        self.push("Slice", &[input, &starts, &ends, &axes], output, Vec::new());
    }

    fn scalar(&mut self, name: String, value: f32) -> String {
        self.constant(name, &[], &[value])
    }
}
