"""Model files that an importer must refuse, with what its error has to name.

    python tools/golden/bad_models.py

They land in `tests/golden/bad`. `cases.json` has for each file what is `wrong` with it, and `names`: a list of alternatives each;
of every list one must appear in the error message. `may_load` marks files that an importer may also read. None may make it panic.
"""

import json
import pathlib

import numpy as np
from onnx import TensorProto, helper

import bad_attention
from onnx_ops import Case
from tflite_edge import Builder, conv, conv_options, options, schema

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "bad"
OPS = OUT.parent / "tflite_ops"
cases = {}


def note(name, wrong, *names, may_load=False):
    """Registers a file; alternatives in one of `names` are parted by `|`. Returns where to write it."""
    cases[name] = {"wrong": wrong, "names": [each.split("|") for each in names]}
    if may_load:
        cases[name]["may_load"] = True
    return OUT / name


def save(model, name, wrong, *names, may_load=False):
    note(name, wrong, *names, may_load=may_load).write_bytes(model.SerializeToString())


def onnx_model(name, build, opset=13, output_shape=None):
    """As `Case.model`, unchecked: these graphs are wrong on purpose."""
    case = Case(name, opset)
    case.output_shape = output_shape
    results = build(case)
    results = results if isinstance(results, tuple) else (results,)
    outputs = [helper.make_tensor_value_info(each, TensorProto.FLOAT, output_shape) for each in results]
    graph = helper.make_graph(case.nodes, name, case.inputs, outputs, case.constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="ocelli-golden", ir_version=8
    )


def small_conv(c, shape=(1, 3, 6, 6)):
    return c.node("Conv", c.input(shape), c.weights(4, 3, 3, 3), c.weights(4))


def empty_constants():
    """Tensors without elements whose other axes overflow: constants of the file, and what is folded from bounded ones."""

    def empty(c, *dims):
        name = c.fresh("constant")
        c.constants.append(TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims, raw_data=b""))
        return name

    def integers(c, *values):
        return c.constant(values, np.int64)

    def case(name, build, *names):
        def with_build(c):
            x = c.input((1, 3, 6, 6))
            build(c)
            return c.node("Relu", x)

        save(
            onnx_model(name, with_build), name + ".onnx", "an empty tensor whose other axes are absurd", "more than", *names
        )

    def slice_of(c):
        c.node("Slice", empty(c, 0, 2**61), integers(c, 0), integers(c, 1), integers(c, 0))

    def flattened(c):
        c.node("Flatten", empty(c, 2**40, 2**40, 0), axis=2)

    def gathered(c):
        c.node("Gather", empty(c, 0, 4, 2**22), integers(c, *[0] * 64), axis=1)

    def broadcast(c):
        c.node("Mul", empty(c, 0, 2**24, 1), empty(c, 1, 0, 1, 2**24))

    case("empty_slice", slice_of, "constant_1")
    case("empty_gather", lambda c: c.node("Gather", empty(c, 0, 4, 2**40, 2**40), integers(c, 0), axis=1), "constant_1")
    case("empty_concat", lambda c: c.node("Concat", empty(c, 0, 2**62), empty(c, 0, 2**62), axis=1), "constant_1")
    case("empty_transpose", lambda c: c.node("Transpose", empty(c, 0, 2**62, 2**62)), "constant_1")
    case("empty_flatten", flattened, "constant_1")
    case("empty_reshape", lambda c: c.node("Reshape", empty(c, 3, 0), integers(c, 2**30, 0)), "Reshape_0")
    case("empty_concat_result", lambda c: c.node("Concat", *[empty(c, 0, 2**24)] * 4, axis=1), "Concat_0")
    case("empty_gather_result", gathered, "Gather_0")
    case("empty_mul_result", broadcast, "Mul_0")


def onnx_cases():
    def lstm(c):
        x = c.input((5, 1, 4))
        return c.node("LSTM", x, c.weights(1, 12, 4), c.weights(1, 12, 3), outputs=3, hidden_size=3)[0]

    save(onnx_model("lstm", lstm), "lstm.onnx", "an unsupported operator", "LSTM_0", "LSTM")

    def two_unsupported(c):
        y = c.node("Relu", c.node("Sin", small_conv(c)))
        return c.node("Conv", c.node("LpNormalization", y), c.weights(2, 4, 1, 1))

    save(
        onnx_model("two_unsupported", two_unsupported),
        "two_unsupported.onnx",
        "two unsupported operators: both are to be reported at once",
        "Sin_1",
        "LpNormalization_3",
    )

    def custom_domain(c):
        y = small_conv(c)
        c.nodes.append(helper.make_node("Swizzle", [y], ["swizzled"], name="Swizzle_9", domain="com.example"))
        return "swizzled"

    model = onnx_model("custom_domain", custom_domain)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    save(model, "custom_domain.onnx", "an operator of another domain", "Swizzle_9", "com.example|Swizzle")

    def poisoned(value):
        def build(c):
            w = c.rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
            w[2, 1, 0, 2] = value
            return c.node("Conv", c.input((1, 3, 6, 6)), c.constant(w))

        return build

    save(
        onnx_model("nan_weights", poisoned(np.nan)), "nan_weights.onnx", "a weight is NaN", "Conv_0|constant_1", "NaN|finite"
    )
    save(
        onnx_model("infinite_weights", poisoned(np.inf)),
        "infinite_weights.onnx",
        "a weight is infinite",
        "Conv_0|constant_1",
        "inf|finite",
    )

    model = onnx_model("dynamic_size", small_conv)
    for axis, symbol in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = symbol
    save(model, "dynamic_size.onnx", "height and width of the input are symbolic", "input_0")
    save(onnx_model("batch_4", lambda c: small_conv(c, (4, 3, 6, 6))), "batch_4.onnx", "the batch is 4", "input_0")

    def half_weights(c):
        w = c.constant(c.rng.standard_normal((4, 3, 3, 3)), np.float16)
        return c.node("Conv", c.input((1, 3, 6, 6)), w)

    model = onnx_model("float16_weights", half_weights)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    save(model, "float16_weights.onnx", "a float16 model", "float16|f16", may_load=True)

    def external(c):
        return c.node("Conv", c.input((1, 3, 6, 6)), c.weights(4, 3, 3, 3))

    model = onnx_model("external_missing", external)
    entry = model.graph.initializer[0]
    entry.ClearField("raw_data")
    entry.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights_that_are_not_here.bin"), ("offset", "0"), ("length", "432")):
        entry.external_data.add(key=key, value=value)
    save(model, "external_missing.onnx", "external data that is missing", "weights_that_are_not_here.bin")
    model.graph.initializer[0].external_data[0].value = "../../../../../../etc/hostname"
    save(model, "external_outside.onnx", "external data outside the model's folder: never read it", "hostname")

    def unknown_tensor(c):
        return c.node("Relu", c.node("Conv", c.input((1, 3, 6, 6)), "kernel_that_is_not_here"))

    save(
        onnx_model("unknown_tensor", unknown_tensor),
        "unknown_tensor.onnx",
        "an input that nothing makes",
        "kernel_that_is_not_here|Conv_0",
    )

    def cycle(c):
        x = c.input((1, 3, 6, 6))
        c.nodes.append(helper.make_node("Add", [x, "later"], ["early"], name="Add_early"))
        c.nodes.append(helper.make_node("Relu", ["early"], ["later"], name="Relu_later"))
        return "later"

    save(onnx_model("cycle", cycle), "cycle.onnx", "a cycle", "later|early")

    def channels(c):
        return c.node("Conv", c.input((1, 3, 6, 6)), c.weights(4, 5, 3, 3))

    save(
        onnx_model("channel_mismatch", channels), "channel_mismatch.onnx", "weights for 5 channels, an input of 3", "Conv_0"
    )

    def kernel_too_large(c):
        return c.node("Conv", c.input((1, 3, 2, 2)), c.weights(4, 3, 5, 5))

    save(
        onnx_model("kernel_too_large", kernel_too_large),
        "kernel_too_large.onnx",
        "the kernel is larger than the map",
        "Conv_0",
    )

    def add_shapes(c):
        return c.node("Add", c.input((1, 3, 6, 6)), c.input((1, 3, 5, 6)))

    save(onnx_model("add_mismatch", add_shapes), "add_mismatch.onnx", "shapes that do not broadcast", "Add_0")

    def gemm_shapes(c):
        return c.node("Gemm", c.input((1, 9)), c.weights(6, 8), transB=1)

    save(onnx_model("gemm_mismatch", gemm_shapes), "gemm_mismatch.onnx", "9 inputs, weights for 8", "Gemm_0")

    def reshape_size(c):
        return c.node("Reshape", c.input((1, 3, 4, 5)), c.constant([1, 59], np.int64))

    save(onnx_model("reshape_mismatch", reshape_size), "reshape_mismatch.onnx", "60 elements reshaped to 59", "Reshape_0")

    def zero_stride(c):
        return c.node("MaxPool", c.input((1, 3, 6, 6)), kernel_shape=[2, 2], strides=[0, 2])

    save(onnx_model("zero_stride", zero_stride), "zero_stride.onnx", "a stride of 0", "MaxPool_0")

    def groups(c):
        return c.node("Conv", c.input((1, 4, 6, 6)), c.weights(6, 1, 3, 3), group=3)

    save(onnx_model("bad_groups", groups), "bad_groups.onnx", "4 channels in 3 groups", "Conv_0")

    def conv3d(c):
        return c.node("Conv", c.input((1, 3, 4, 5, 6)), c.weights(4, 3, 3, 3, 3))

    save(onnx_model("conv_3d", conv3d), "conv_3d.onnx", "a three-dimensional convolution", "Conv_0")

    def runtime_weights(c):
        return c.node("Conv", c.input((1, 3, 6, 6)), c.input((4, 3, 3, 3)))

    save(onnx_model("runtime_weights", runtime_weights), "runtime_weights.onnx", "weights that are an input", "Conv_0")

    def short_data(c):
        return c.node("Conv", c.input((1, 3, 6, 6)), c.weights(4, 3, 3, 3))

    model = onnx_model("short_initializer", short_data)
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:100]
    save(model, "short_initializer.onnx", "an initializer with less data than its shape", "constant_1|Conv_0")
    model.graph.initializer[0].dims[0] = 2**40
    save(
        model,
        "huge_initializer.onnx",
        "an initializer whose shape would not fit memory: do not allocate by it",
        "constant_1|Conv_0",
    )
    empty_constants()
    model = onnx_model("negative_size", short_data)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -6
    save(model, "negative_size.onnx", "a negative size", "input_0|Conv_0")
    save(onnx_model("opset_5", small_conv, opset=5), "opset_5.onnx", "an opset older than any supported", "opset", "5")
    save(onnx_model("opset_99", small_conv, opset=99), "opset_99.onnx", "an opset newer than any known", "opset", "99")
    model = onnx_model("no_outputs", small_conv)
    del model.graph.output[:]
    save(model, "no_outputs.onnx", "no output", "output")
    model = onnx_model("integer_input", lambda c: c.node("Relu", c.input((1, 3, 6, 6))))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    save(model, "integer_input.onnx", "an int64 input", "input_0")
    whole = onnx_model("truncated", small_conv).SerializeToString()
    note("truncated.onnx", "a file cut in its weights").write_bytes(whole[: len(whole) // 2])
    note("empty.onnx", "an empty file").write_bytes(b"")
    note("text.onnx", "not a protocol buffer").write_bytes(b"This is not a model.\n")
    note("tflite_named.onnx", "a TFLite file with another suffix", may_load=True).write_bytes(
        (OPS / "add.tflite").read_bytes()
    )


def tflite(name, build, wrong, *names, change=None, may_load=False):
    builder = Builder(name)
    output = build(builder)
    if change:
        change(builder)
    builder.finish(note(name + ".tflite", wrong, *names, may_load=may_load), output)


def plain_conv(b):
    return conv(b, (1, 5, 6, 3), (3, 3), 4, 0.02, -8, 0.01, 0.19, 4)


def tflite_cases():
    def resize(b):
        y = plain_conv(b)
        size = b.tensor((2,), dtype=np.int32, data=np.array([10, 12], np.int32))
        return b.operator(
            "RESIZE_BILINEAR", [y, size], b.tensor((1, 10, 12, 4), 0.19, 4), options("ResizeBilinear"), version=3
        )

    tflite("resize_bilinear", resize, "an unsupported operator", "RESIZE_BILINEAR")

    def two(b):
        y = plain_conv(b)
        y = b.operator("SIN", [y], b.tensor((1, 5, 6, 4), 0.01, 0))
        return b.operator("ELU", [y], b.tensor((1, 5, 6, 4), 0.01, 0))

    tflite("two_unsupported", two, "two unsupported operators: both are to be reported at once", "SIN", "ELU")

    def custom(b):
        y = plain_conv(b)
        y = b.operator("CUSTOM", [y], b.tensor((1, 5, 6, 4), 0.19, 4))
        b.model.operatorCodes[-1].customCode = b"MySpecialOp"
        return y

    tflite("custom_operator", custom, "a custom operator", "MySpecialOp")

    def int16(b):
        x = b.input((1, 5, 6, 3), 0.001, 0, dtype=np.int8)
        b.graph.tensors[x].type = schema.TensorType.INT16
        y = b.tensor((1, 5, 6, 3), 0.001, 0)
        b.graph.tensors[y].type = schema.TensorType.INT16
        return b.operator("RELU", [x], y)

    tflite("int16_activations", int16, "int16 activations", "INT16")

    def hybrid(b):
        x = b.input((1, 5, 6, 3), dtype=np.float32)
        w = b.tensor((4, 3, 3, 3), [0.01] * 4, 0, data=b.weights((4, 3, 3, 3)))
        bias = b.tensor((4,), dtype=np.float32, data=np.zeros(4, np.float32))
        return b.operator("CONV_2D", [x, w, bias], b.tensor((1, 5, 6, 4), dtype=np.float32), conv_options(), version=5)

    wrong = "int8 weights with float activations (dynamic-range quantization)"
    tflite("dynamic_range", hybrid, wrong, "CONV_2D", may_load=True)

    def nan_weights(b):
        x = b.input((1, 5, 6, 3), dtype=np.float32)
        values = b.rng.standard_normal((4, 1, 1, 3)).astype(np.float32)
        values[1, 0, 0, 2] = np.nan
        w = b.tensor(values.shape, dtype=np.float32, data=values)
        bias = b.tensor((4,), dtype=np.float32, data=np.zeros(4, np.float32))
        return b.operator("CONV_2D", [x, w, bias], b.tensor((1, 5, 6, 4), dtype=np.float32), conv_options())

    tflite("nan_weights", nan_weights, "a weight is NaN", "CONV_2D|t1", "NaN|finite")

    def tensor_change(index, **fields):
        def change(b):
            for key, value in fields.items():
                setattr(b.graph.tensors[index], key, value)

        return change

    def quantization_change(index, **fields):
        def change(b):
            for key, value in fields.items():
                setattr(b.graph.tensors[index].quantization, key, value)

        return change

    tflite("scale_zero", plain_conv, "an input scale of 0", "t0|CONV_2D", change=quantization_change(0, scale=[0.0]))
    tflite(
        "scale_nan", plain_conv, "an output scale of NaN", "t3|CONV_2D", change=quantization_change(3, scale=[float("nan")])
    )
    tflite(
        "scale_negative", plain_conv, "a negative weight scale", "t1|CONV_2D", change=quantization_change(1, scale=[-0.01])
    )
    tflite(
        "scale_count",
        plain_conv,
        "3 weight scales for 4 channels",
        "t1|CONV_2D",
        change=quantization_change(1, scale=[0.01] * 3, zeroPoint=[0] * 3),
    )
    tflite(
        "zero_point_range",
        plain_conv,
        "a zero point outside int8",
        "t0|CONV_2D",
        change=quantization_change(0, zeroPoint=[300]),
    )
    tflite(
        "weights_zero_point",
        plain_conv,
        "weights with a zero point",
        "t1|CONV_2D",
        change=quantization_change(1, zeroPoint=[7]),
    )
    tflite(
        "quantization_missing",
        plain_conv,
        "int8 activations without a scale",
        "t3|CONV_2D",
        change=tensor_change(3, quantization=None),
    )
    tflite("batch_4", lambda b: conv(b, (4, 5, 6, 3), (3, 3), 4, 0.02, -8, 0.01, 0.19, 4), "the batch is 4", "t0|CONV_2D")
    tflite(
        "shape_mismatch",
        plain_conv,
        "an output shape that the operator does not give",
        "t3|CONV_2D",
        change=tensor_change(3, shape=[1, 5, 5, 4]),
        may_load=True,
    )
    tflite(
        "buffer_short",
        plain_conv,
        "weights larger than their buffer",
        "t1|CONV_2D",
        change=tensor_change(1, shape=[40, 3, 3, 3]),
    )
    tflite("buffer_index", plain_conv, "a buffer that is not there", "t1|CONV_2D", change=tensor_change(1, buffer=77))
    tflite("negative_size", plain_conv, "a negative size", "t0|CONV_2D", change=tensor_change(0, shape=[1, -5, 6, 3]))

    def tensor_index(b):
        b.graph.operators[0].inputs[1] = 55

    tflite("tensor_index", plain_conv, "a tensor that is not there", "CONV_2D", change=tensor_index)

    def opcode_index(b):
        b.graph.operators[0].opcodeIndex = 9

    tflite("opcode_index", plain_conv, "an operator code that is not there", change=opcode_index)

    def zero_stride(b):
        b.graph.operators[0].builtinOptions.strideH = 0

    tflite("zero_stride", plain_conv, "a stride of 0", "CONV_2D", change=zero_stride)

    def order(b):
        y = plain_conv(b)
        z = b.operator("RELU", [y], b.tensor((1, 5, 6, 4), 0.19, 4))
        b.graph.operators.reverse()
        return z

    tflite("wrong_order", order, "an operator before the one that makes its input", "t4|RELU")

    def two_subgraphs(b):
        b.model.subgraphs.append(b.graph)

    tflite("two_subgraphs", plain_conv, "two subgraphs", "subgraph", change=two_subgraphs)
    whole = (OPS / "inverted_residual.tflite").read_bytes()
    note("truncated.tflite", "a file cut in the middle").write_bytes(whole[: len(whole) // 2])
    note("empty.tflite", "an empty file").write_bytes(b"")
    note("identifier.tflite", "the file identifier is not TFL3").write_bytes(whole[:4] + b"NOPE" + whole[8:])
    note("root_offset.tflite", "a root offset beyond the file").write_bytes(b"\xff\xff\xff\x7f" + whole[4:])
    note("text.tflite", "not a flatbuffer").write_bytes(b"This is not a model.\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    onnx_cases()
    bad_attention.write(save, onnx_model)
    tflite_cases()
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(cases.items())]
    (OUT / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(cases)} files, {sum((OUT / name).stat().st_size for name in cases)} bytes")


if __name__ == "__main__":
    main()
