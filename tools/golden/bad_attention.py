"""Attentions, norms and their kin that an importer must refuse; `bad_models.py` writes them."""

import numpy as np

TOKENS, HEADS, DEPTH = 6, 2, 4


def projected(c, x):
    y = c.node("MatMul", x, c.weights(8, 8))
    y = c.node("Reshape", y, c.constant([1, TOKENS, HEADS, DEPTH], np.int64))
    return c.node("Transpose", y, perm=[0, 2, 1, 3])


def attention(masked):
    """Attention whose scores go through `masked(case, scores)`."""

    def build(c):
        x = c.input((1, TOKENS, 8))
        q, k, v = (projected(c, x) for _ in range(3))
        scores = c.node("MatMul", q, c.node("Transpose", k, perm=[0, 1, 3, 2]))
        return c.node("MatMul", c.node("Softmax", masked(c, scores), axis=-1), v)

    return build


def write(save, onnx_model):
    def case(name, build, wrong, *names):
        save(onnx_model(name, build), f"{name}.onnx", wrong, *names)

    def hides_all(c, scores):
        mask = np.zeros((TOKENS, TOKENS), np.float32)
        mask[3] = -np.inf
        return c.node("Add", scores, c.constant(mask, np.float32))

    case("mask_hides_all", attention(hides_all), "a mask that hides all keys of a query", "hides all keys", "MatMul_")

    def mask_shape(c, scores):
        return c.node("Add", scores, c.constant(np.zeros((TOKENS, TOKENS - 1)), np.float32))

    case("mask_shape", attention(mask_shape), "a mask of another shape than the scores", "Add_", "[6, 5]")

    def mask_of_input(c, scores):
        shown = c.node("Greater", c.input((1, 1, 1, TOKENS)), c.constant(0.0, np.float32))
        return c.node("Where", shown, scores, c.constant(-1e9, np.float32))

    case("mask_of_input", attention(mask_of_input), "a mask that depends on the input", "Greater_", "constant")

    def heads(c):
        y = c.node("MatMul", c.input((1, TOKENS, 8)), c.weights(8, 8))
        return c.node("Reshape", y, c.constant([1, TOKENS, 3, -1], np.int64))

    case("heads", heads, "three heads of eight channels", "Reshape_", "[1, 6, 8]")

    def batches(c):
        q, k = c.input((2, TOKENS, 8)), c.input((3, TOKENS, 8))
        return c.node("MatMul", q, c.node("Transpose", k, perm=[0, 2, 1]))

    case("product_batches", batches, "a product of different numbers of matrices", "MatMul_", "[2, 6, 8]")

    def diagonal(c):
        return c.node("Einsum", c.input((1, TOKENS, TOKENS)), c.input((1, TOKENS, 8)), equation="bii,bij->bij")

    case("einsum_diagonal", diagonal, "an einsum that is no product", "Einsum_", "bii,bij->bij")

    def every_second(c):
        return c.node("Slice", c.input((1, TOKENS, 8)), *(c.constant([each], np.int64) for each in (0, 6, 1, 2)))

    case("slice_step", every_second, "every second token", "Slice_", "range")

    def shuffled(c):
        return c.node("Gather", c.input((1, TOKENS, 8)), c.constant([3, 1, 2], np.int64), axis=1)

    case("gather_order", shuffled, "tokens in another order", "Gather_", "range")

    def parts(c):
        return c.node("Split", c.input((1, TOKENS, 8)), c.constant([3, 4], np.int64), outputs=2, axis=2)[0]

    case("split_sizes", parts, "parts that are not the whole", "Split_", "[3, 4]")

    def resized(c):
        y = c.node("Resize", c.input((1, 3, 4, 4)), "", "", c.constant([1, 3, 8, 8], np.int64), mode="linear")
        return c.node("Conv", y, c.weights(2, 3, 1, 1))

    case("resize", resized, "a map made larger", "Resize_", "[1, 3, 8, 8]")

    def norm_parameters(c):
        return c.node("LayerNormalization", c.input((1, TOKENS, 8)), c.weights(7), c.weights(8))

    save(
        onnx_model("norm_parameters", norm_parameters, opset=17),
        "norm_parameters.onnx",
        "seven factors for eight channels",
        "LayerNormalization_",
        "[7]",
    )

    def spelled(c):
        x = c.input((1, TOKENS, 8))
        mean = c.node("ReduceMean", x, axes=[2])
        centered = c.node("Sub", x, mean)
        deviation = c.node("Sqrt", c.node("ReduceMean", c.node("Mul", centered, centered), axes=[2]))
        return c.node("Div", centered, c.node("Add", deviation, c.constant(0.1, np.float32)))

    case("norm_epsilon_outside", spelled, "a norm whose epsilon is outside the root", "Sqrt_|Div_", "norm|division")
