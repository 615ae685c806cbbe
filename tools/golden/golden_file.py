"""The golden file: one line of JSON, then raw little-endian tensors.

`tests/golden/README.md` is the specification; this module is its only writer.
"""

import hashlib
import json
import os
import pathlib

import numpy as np

FORMAT = "ocelli-golden-1"


def xorshift_bytes(sample, count):
    """`count` bytes of sample number `sample`: xorshift32 seeded with `1 + sample`, the top byte of each state."""
    state = 1 + sample
    out = bytearray(count)
    for index in range(count):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        out[index] = state >> 24
    return bytes(out)


def xorshift_tensor(sample, shape, dtype):
    """A tensor filled in its own memory order: int8 and uint8 take the bytes as they are, float32 takes `int8 / 64`."""
    raw = np.frombuffer(xorshift_bytes(sample, int(np.prod(shape))), np.int8).reshape(shape)
    if np.dtype(dtype) == np.float32:
        return raw.astype(np.float32) / np.float32(64)
    return raw.view(dtype).copy()


def sha256_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def tensor(role, name, values, quantization=None):
    """Describes one tensor: `values` has the sample count as its first axis, then the tensor's own shape."""
    values = np.ascontiguousarray(values)
    entry = {"role": role, "name": name, "dtype": values.dtype.name, "shape": list(values.shape[1:])}
    if quantization and quantization[0]:
        entry["scale"] = float(quantization[0])
        entry["zero_point"] = int(quantization[1])
    return entry, values


def write(path, model, count, reference, input_source, tensors, **extra):
    """Writes the golden file of `model` (a path; its name and SHA-256 are stored) whole or not at all."""
    path = pathlib.Path(path)
    entries, blobs, offset = [], [], 0
    for entry, values in tensors:
        assert values.shape[0] == count, (path, entry, values.shape)
        blob = values.astype(values.dtype.newbyteorder("<")).tobytes()
        entries.append({**entry, "offset": offset, "bytes": len(blob)})
        blobs.append(blob)
        offset += len(blob)
    header = {
        "format": FORMAT,
        "model": pathlib.Path(model).name,
        "model_sha256": sha256_of(model),
        "reference": reference,
        "input_source": input_source,
        "count": count,
        **extra,
        "tensors": entries,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(json.dumps(header).encode() + b"\n" + b"".join(blobs))
    os.replace(partial, path)
    print(f"{path.name}: {count} samples, {path.stat().st_size} bytes", flush=True)
