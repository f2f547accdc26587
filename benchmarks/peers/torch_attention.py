"""Times torch's attention, by backend, on rows given as JSON on standard input; prints figures as JSON.

Keys and values are contiguous, bf16, the best layout that torch has, where ours are in blocks: [batch, heads, tokens, width]
where sequences are alike. Where they are not, all tokens of the batch one behind the other for the flash kernel of packed
sequences, and padded to the longest with a mask for the backends that take one, unless that is many times as much memory.
As in attention.bench.ts: the median of ten groups of ten calls on the GPU's clock, queued while the GPU is held and after it
has worked for a while, and enough copies of small rows that no cache of the GPU still has them.
"""

import inspect
import itertools
import json
import statistics
import sys
import time
import warnings

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

# A backend that does not take a row is said in one line, by us.
warnings.filterwarnings("ignore", category=UserWarning)

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
BYTES_BETWEEN = 512 * 2**20
MOST_PADDED_BYTES = 12 * 2**30
WARM_UP_SECONDS = 0.1
HOLD_CYCLES = 4_000_000


def random(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def kv_bytes(row, tokens):
    return 4 * tokens * row["numKvHeads"] * row["headDim"]


def num_copies(row, tokens):
    return max(1, -(-BYTES_BETWEEN // kv_bytes(row, tokens))) if row["newTokens"] == 1 else 1


def is_ragged(row):
    return len(set(row["lengths"])) > 1


def mask_of(row):
    new, tokens = row["newTokens"], row["lengths"][0]
    if is_ragged(row):
        longest = torch.arange(max(row["lengths"]), device="cuda")
        lengths = torch.tensor(row["lengths"], device="cuda")
        return {"attn_mask": (longest < lengths[:, None])[:, None, None, :]}
    if new == 1:
        return {}
    return {"is_causal": True} if new == tokens else {"attn_mask": causal_lower_right(new, tokens)}


def padded_call(row):
    """A call of scaled_dot_product_attention over the batch, padded to its longest sequence."""
    batch, tokens, width = len(row["lengths"]), max(row["lengths"]), row["headDim"]
    query = random(batch, row["numQueryHeads"], row["newTokens"], width)
    copies = [
        [random(batch, row["numKvHeads"], tokens, width) for _ in range(2)]
        for _ in range(num_copies(row, batch * tokens))
    ]
    options = {"enable_gqa": True, **mask_of(row)}
    return lambda i: scaled_dot_product_attention(query, *copies[i % len(copies)], **options)


def packed_call(row):
    """A call of the flash kernel of sequences that lie one behind the other; one new token of each."""
    from torch.nn.attention.varlen import varlen_attn

    lengths, width = row["lengths"], row["headDim"]
    tokens = sum(lengths)
    query = random(len(lengths), row["numQueryHeads"], width)
    copies = [
        [random(tokens, row["numKvHeads"], width) for _ in range(2)] for _ in range(num_copies(row, tokens))
    ]
    starts = [
        torch.tensor([0, *itertools.accumulate(each)], device="cuda", dtype=torch.int32)
        for each in ([1] * len(lengths), lengths)
    ]
    options = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
    return lambda i: varlen_attn(query, *copies[i % len(copies)], *starts, 1, max(lengths), **options)


def microseconds_of(call):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    calls = itertools.count()

    def group():
        for _ in range(10):
            call(next(calls))

    begin = time.monotonic()
    while time.monotonic() - begin < WARM_UP_SECONDS:
        group()
        torch.cuda.synchronize()
    times = []
    for _ in range(10):
        torch.cuda._sleep(HOLD_CYCLES)
        start.record()
        group()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 100)
    return statistics.median(times)


def figure_of(row, name):
    if name == "flash, packed":
        return microseconds_of(packed_call(row))
    with sdpa_kernel(BACKENDS[name]):
        return microseconds_of(padded_call(row))


def names_for(row):
    if not is_ragged(row):
        return list(BACKENDS)
    padded = kv_bytes(row, len(row["lengths"]) * max(row["lengths"])) <= MOST_PADDED_BYTES
    return ["flash, packed", *(["cuDNN", "efficient"] if padded else [])]


def main():
    figures = []
    for row in json.load(sys.stdin):
        for name in names_for(row):
            try:
                with torch.no_grad():
                    us = figure_of(row, name)
            except (ImportError, RuntimeError, TypeError, ValueError) as error:
                print(f"{row['name']}, {name}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            finally:
                torch.cuda.empty_cache()
            figures.append({"name": row["name"], "newTokens": row["newTokens"], "backend": name, "us": us})
    print(json.dumps(figures))


if not torch.cuda.is_available():
    sys.exit("torch has no GPU")
main()
