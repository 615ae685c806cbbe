"""Quantizes the same networks with the same inputs by several tools, and prints a table of what each lost.

    python compare.py ROOT --ocelli ../../target/release/ocelli --json > rows.jsonl
    python page.py rows.jsonl --date 2026-11-23 --output ../../docs/compare.md

ROOT holds `models/` and `data/` as networks.json names them; what is not there is looked up in this repository's `models`. A tool or network that is
missing is named and skipped.
"""

import argparse
import contextlib
import dataclasses
import importlib
import io
import json
import pathlib
import sys
import tempfile

import data
import onnx
from score import Score, score

HERE = pathlib.Path(__file__).resolve().parent
OWN_MODELS = HERE.parents[1] / "models"


def ocelli(options, effort):
    import with_ocelli

    def run(network, inputs, _calibration, _held_out, folder):
        return with_ocelli.quantize_and_score(
            options.ocelli, network["onnx"], inputs, network["preprocess"], options.samples, effort, folder
        )

    return run


def onnxruntime(method):
    tool = importlib.import_module("with_onnxruntime")

    def run(network, inputs, calibration, held_out, folder):
        runner = tool.quantize(network["onnx"], calibration, method, folder)
        return score(tool.Runner(network["onnx"]).run(held_out), runner.run(held_out), inputs.classes)

    return run


def tflite():
    tool, reference = importlib.import_module("with_tflite"), importlib.import_module("with_onnxruntime")

    def run(network, inputs, calibration, held_out, _folder):
        if "tflite" not in network:
            raise FileNotFoundError("there is no .tflite of this network")
        runner = tool.quantize(network["tflite"], calibration)
        return score(reference.Runner(network["onnx"]).run(held_out), runner.run(held_out), inputs.classes)

    return run


def esp_ppq():
    tool, reference = importlib.import_module("with_esp_ppq"), importlib.import_module("with_onnxruntime")

    def run(network, inputs, calibration, held_out, folder):
        float_runner = reference.Runner(network["onnx"])

        def feed(sample):
            return next(iter(float_runner.feed(sample).values()))

        runner = tool.quantize(network["onnx"], calibration, feed, folder)
        return score(float_runner.run(held_out), runner.run(held_out), inputs.classes)

    return run


TOOLS = {
    "Ocelli": lambda options: ocelli(options, "low"),
    "Ocelli, high effort": lambda options: ocelli(options, "high"),
    "ONNX Runtime, min-max": lambda _: onnxruntime("min-max"),
    "ONNX Runtime, entropy": lambda _: onnxruntime("entropy"),
    "ONNX Runtime, percentile": lambda _: onnxruntime("percentile"),
    "TFLite converter": lambda _: tflite(),
    "ESP-PPQ": lambda _: esp_ppq(),
}


def located(root, network):
    """The network with the paths of its files, and the folder that its data is in."""
    found, base = dict(network), root
    for kind in ("onnx", "tflite"):
        if kind in network:
            path = root / network[kind]
            if not path.exists():
                path, base = OWN_MODELS / network[kind], OWN_MODELS if network["data"]["kind"] == "folders" else root
            found[kind] = path
    return found, base


def without_softmax(path, folder):
    """A copy in `folder` of the network at `path` up to its logits: their error is finer than that of what a softmax makes of them.

    Always a copy: ESP-PPQ saves the network that it has simplified over the file that it is given.
    """
    model = onnx.load(path)
    last = next(node for node in model.graph.node if model.graph.output[0].name in node.output)
    if last.op_type == "Softmax":
        model.graph.output[0].name = last.input[0]
        model.graph.node.remove(last)
    logits = pathlib.Path(folder) / "logits.onnx"
    onnx.save(model, logits)
    return logits


def as_json(network, tool, inputs, found: Score):
    return json.dumps({"network": network["name"], "inputs": len(inputs.held_out), "tool": tool} | dataclasses.asdict(found))


def as_markdown(network, tool, inputs, found: Score):
    difference = f"{found.int8_percent - found.float_percent:+.2f} ± {found.standard_error:.2f}"
    return (
        f"| {network['name']} | {len(inputs.held_out)} | {tool} | {found.float_percent:.2f} % | {found.int8_percent:.2f} % | {difference} "
        f"| {found.agreement_percent:.1f} % | {found.sqnr_db:.1f} dB |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=pathlib.Path, help="folder with models/ and data/")
    parser.add_argument("--ocelli", default="ocelli", help="the command (default: the one on the path)")
    parser.add_argument("--network", action="append", default=[], help="only networks whose names contain this")
    parser.add_argument("--tool", action="append", default=[], help="only tools whose names contain this: " + "; ".join(TOOLS))
    parser.add_argument("--samples", type=int, default=200, help="calibration inputs (default: 200)")
    parser.add_argument("--limit", type=int, help="held-out inputs at most, spread over all")
    parser.add_argument("--json", action="store_true", help="print a JSON object a line, which page.py makes a page of")
    options = parser.parse_args()
    line = as_json if options.json else as_markdown

    def wanted(names, name):
        return not names or any(part.lower() in name.lower() for part in names)

    tools = {}
    for name, make in TOOLS.items():
        if wanted(options.tool, name):
            try:
                tools[name] = make(options)
            except ImportError as error:
                print(f"{name}: skipped, {error}", file=sys.stderr)
    if not options.json:
        print("| network | inputs | tool | float top-1 | int8 top-1 | difference | agreement | SQNR |")
        print("|---|---|---|---|---|---|---|---|")
    for network in json.loads((HERE / "networks.json").read_text()):
        if not wanted(options.network, network["name"]):
            continue
        network, base = located(options.root, network)
        try:
            inputs = data.load(base, network["data"])
        except (FileNotFoundError, ValueError) as error:
            print(f"{network['name']}: skipped, {error}", file=sys.stderr)
            continue
        if options.limit:
            inputs = data.limited(inputs, options.limit)
        calibration = data.real(data.spread(inputs.calibration, options.samples), network["preprocess"])
        held_out = data.real(inputs.held_out, network["preprocess"])
        for name, run in tools.items():
            with tempfile.TemporaryDirectory() as folder:
                cut = network | {"onnx": without_softmax(network["onnx"], folder)}
                try:
                    with contextlib.redirect_stdout(io.StringIO()):  # of the tools' own reports
                        found = run(cut, inputs, calibration, held_out, folder)
                    print(line(network, name, inputs, found), flush=True)
                except Exception as error:  # a tool may fail in its own ways: the others go on
                    print(f"{network['name']}, {name}: {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
