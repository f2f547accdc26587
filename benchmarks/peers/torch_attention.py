"""Times torch's scaled_dot_product_attention, by backend, on rows given as JSON on standard input; prints figures as JSON.

Keys and values are contiguous, bf16, [batch, heads, tokens, width]; the best layout that torch has, where ours are in
blocks. As in attention.bench.ts: the median of ten groups of ten calls on the GPU's clock, and enough copies of small
rows that no cache of the GPU still has them.
"""

import json
import statistics
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
BYTES_BETWEEN = 512 * 2**20


def inputs_of(row):
    batch, tokens = len(row["lengths"]), row["lengths"][0]
    width, num_kv = row["headDim"], row["numKvHeads"]
    kv_bytes = 4 * batch * tokens * num_kv * width
    copies = max(1, -(-BYTES_BETWEEN // kv_bytes)) if row["newTokens"] == 1 else 1

    def random(heads, count):
        return torch.randn(batch, heads, count, width, device="cuda", dtype=torch.bfloat16)

    query = random(row["numQueryHeads"], row["newTokens"])
    return query, [(random(num_kv, tokens), random(num_kv, tokens)) for _ in range(copies)]


def mask_of(row):
    new, tokens = row["newTokens"], row["lengths"][0]
    if new == 1:
        return {}
    return {"is_causal": True} if new == tokens else {"attn_mask": causal_lower_right(new, tokens)}


def microseconds_of(row, backend):
    query, copies = inputs_of(row)
    options = {"enable_gqa": True, **mask_of(row)}

    def call(i):
        keys, values = copies[i % len(copies)]
        return scaled_dot_product_attention(query, keys, values, **options)

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    with sdpa_kernel(backend), torch.no_grad():
        for group in range(11):
            torch.cuda.synchronize()
            start.record()
            for i in range(10):
                call(10 * group + i)
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) * 100)
    return statistics.median(times[1:])


def main():
    figures = []
    for row in json.load(sys.stdin):
        for name, backend in BACKENDS.items():
            try:
                us = microseconds_of(row, backend)
            except RuntimeError as error:
                print(f"{row['name']}, {name}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            figures.append({"name": row["name"], "newTokens": row["newTokens"], "backend": name, "us": us})
            torch.cuda.empty_cache()
    print(json.dumps(figures))


if not torch.cuda.is_available():
    sys.exit("torch has no GPU")
main()
