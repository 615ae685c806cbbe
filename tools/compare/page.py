"""Makes docs/compare.md of what `compare.py --json` printed: `python page.py rows.jsonl --output ../../docs/compare.md`.

Rows of several runs may be in several files, so that a slow tool need not be run again; of the same network and tool the last counts.
"""

import argparse
import json
import pathlib

COLUMNS = ["Ocelli", "ONNX Runtime, min-max", "ONNX Runtime, percentile", "TFLite converter", "ESP-PPQ"]

PAGE = """# Ocelli's quantizer beside others

The same float networks, calibration inputs (at most 200) and held-out inputs (at most 1,000) through each tool with its default settings, everything int8. Each cell: int8 top-1 minus float
top-1 in points, with its paired standard error; then the SQNR of the logits, which is the finer ruler (power of the float logits over that of the error, each less its mean over the classes).
Measured on {date} by `tools/compare`:

    cd tools/compare
    python compare.py ../../../shared --limit 1000 --ocelli ../../target/release/ocelli --json > rows.jsonl
    python page.py rows.jsonl --date {date} --output ../../docs/compare.md

where `shared` is a folder of public models and data that is not part of this repository; the networks in `models` need nothing else. Versions are those of `tools/compare/requirements.txt`. ONNX Runtime
quantizes statically, with a scale a channel of weights (its entropy method gave the figures of min-max on every network). The TFLite converter starts from the float `.tflite`, where there is one. ESP-PPQ's
scales are powers of two, as its chips want them.

{table}
What to read into it: differences in top-1 within two standard errors are noise. No tool was tuned to a network. ESP-PPQ's MobileNetV3-small is not a loss but a network that does not work; we did not look
for the reason. MobileNetV2 1.0 and MobileNetV3-small are float copies of networks that were quantized before, so they test activations more than weights. For KWS the inputs to calibrate with and to compare
on are the same 500.
"""


def table(rows):
    networks = {}
    for row in rows:
        networks.setdefault(row["network"], {})[row["tool"]] = row
    lines = ["| network | inputs | float | " + " | ".join(COLUMNS) + " |", "|---|---:|---:|" + "---|" * len(COLUMNS)]
    for name, tools in networks.items():
        any_row = next(iter(tools.values()))
        best = max((round(tools[tool]["sqnr_db"], 1) for tool in COLUMNS if tool in tools), default=None)
        cells = [cell(tools.get(tool), best) for tool in COLUMNS]
        lines.append(f"| {name} | {any_row['inputs']:,} | {any_row['float_percent']:.2f} % | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(row, best):
    if row is None:
        return "-"
    difference = row["int8_percent"] - row["float_percent"] + 0.0
    decibels = f"{row['sqnr_db']:.1f} dB"
    if round(row["sqnr_db"], 1) == best:
        decibels = f"**{decibels}**"
    return f"{difference:+.2f} ± {row['standard_error']:.2f}; {decibels}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", type=pathlib.Path, help="what `compare.py --json` printed")
    parser.add_argument("--date", required=True, help="when it was measured, as 2026-11-23")
    parser.add_argument("--output", required=True, type=pathlib.Path)
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.rows for line in path.read_text().splitlines()]
    partial = options.output.with_suffix(".partial")
    partial.write_text(PAGE.format(date=options.date, table=table(rows)))
    partial.replace(options.output)


if __name__ == "__main__":
    main()
