"""Cuts small tensors out of a checkpoint, stores some in other dtypes, and
writes what Python's struct reads from them:

    python3 sample.py diffusion_pytorch_model.safetensors

makes sample.safetensors and sample.json beside this file. Standard library only.
"""
import json
import struct
import sys
from pathlib import Path

here = Path(__file__).parent
raw = Path(sys.argv[1]).read_bytes()
n = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8 : 8 + n])
data = raw[8 + n :]

tensors, values = [], {}


def add(name, dtype, shape, body, read):
    tensors.append((name, dtype, shape, body))
    values[name] = {"dtype": dtype, "shape": shape, "values": read}


for name, e in sorted(header.items()):
    begin, end = e["data_offsets"]
    if name == "__metadata__" or end - begin > 128 and name != "conv_in.weight":
        continue
    body = data[begin:end]
    floats = struct.unpack("<%df" % (len(body) // 4), body)
    add(name, "F32", e["shape"], body, floats)
    if name == "conv_in.weight":
        k = len(floats)
        wide = [v * 1.1 for v in floats]
        add("as.f64", "F64", e["shape"], struct.pack("<%dd" % k, *wide), wide)
        b = struct.pack("<%de" % k, *floats)
        add("as.f16", "F16", e["shape"], b, struct.unpack("<%de" % k, b))
        b = b"".join(body[i + 2 : i + 4] for i in range(0, len(body), 4))  # cut, not rounded
        padded = b"".join(b"\0\0" + b[i : i + 2] for i in range(0, len(b), 2))
        add("as.bf16", "BF16", e["shape"], b, struct.unpack("<%df" % k, padded))
add("step", "I64", [], struct.pack("<q", -(2**40)), [-(2**40)])
add("empty", "F32", [0, 3], b"", [])

head, offset, body = {"__metadata__": {"format": "pt", "größe": 'a "b"\n'}}, 0, b""
for name, dtype, shape, b in tensors:
    head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(b)]}
    offset, body = offset + len(b), body + b
# The header's order is not that of the bytes, and its length is odd: both are legal.
text = json.dumps(dict(sorted(head.items(), reverse=True))).encode()
text += b" " * (1 - len(text) % 2)
(here / "sample.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
(here / "sample.json").write_text(json.dumps(values))
