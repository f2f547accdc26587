"""Makes the fixtures beside this file: attention of Hugging Face transformers' Llama, Qwen2 and Qwen3 models, in fp32.

    python3 make_fixtures.py [folder]        needs torch and transformers, no GPU

Each case is a model of one layer with random weights. The projections of q, k and v are rounded to bf16 on their way into
the layer's attention, so that a cache of any type starts from the same numbers. NAME.bin holds, one behind the other:

    inverse frequencies  [headDim / 2] fp32, as the model's rotary embedding has them
    q                    [numTokens, numQueryHeads, headDim] bf16, before the rotary embedding, after Qwen3's norm
    k, v                 [numTokens, numKvHeads, headDim] bf16, likewise
    output               [numTokens, numQueryHeads, headDim] fp32, before the output projection
"""

import json
import pathlib
import sys

import torch
import transformers
from transformers import LlamaConfig, LlamaModel, Qwen2Config, Qwen2Model, Qwen3Config, Qwen3Model

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32_768}


def default(theta):
    return {"rope_type": "default", "rope_theta": theta}


CASES = {
    "llama": (LlamaModel, LlamaConfig, default(1e4), {"tokens": 37, "heads": 4, "kv_heads": 2, "width": 64}),
    "llama-3.1": (LlamaModel, LlamaConfig, LLAMA3, {"tokens": 33, "heads": 4, "kv_heads": 1, "width": 64}),
    "qwen2": (Qwen2Model, Qwen2Config, default(1e6), {"tokens": 26, "heads": 7, "kv_heads": 1, "width": 64}),
    "qwen2-yarn": (Qwen2Model, Qwen2Config, YARN, {"tokens": 26, "heads": 2, "kv_heads": 1, "width": 128}),
    "qwen2-window": (
        Qwen2Model,
        Qwen2Config,
        default(1e6),
        {"tokens": 37, "heads": 2, "kv_heads": 1, "width": 64, "window": 9},
    ),
    "qwen3": (Qwen3Model, Qwen3Config, default(1e6), {"tokens": 20, "heads": 4, "kv_heads": 2, "width": 128}),
    "qwen3-yarn": (Qwen3Model, Qwen3Config, YARN, {"tokens": 24, "heads": 2, "kv_heads": 1, "width": 64}),
}


def open_model(model_class, config_class, rope, shape):
    hidden = shape["heads"] * shape["width"]
    window = shape.get("window")
    config = config_class(
        vocab_size=97,
        hidden_size=hidden,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv_heads"],
        head_dim=shape["width"],
        max_position_embeddings=131_072,
        rope_parameters=rope,
        # Queries and keys of about the size that trained models have.
        initializer_range=1.5 / hidden**0.5,
        **({} if window is None else {"use_sliding_window": True, "sliding_window": window, "max_window_layers": 0}),
        attn_implementation="eager",
    )
    model = model_class(config).float().eval()
    attention = model.layers[0].self_attn
    # Biases and norms start as zeros and ones, which would hide them.
    with torch.no_grad():
        for name, parameter in attention.named_parameters():
            if "bias" in name or "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def watch(model, shape):
    """Rounds what the attention is given, and keeps it and what comes out."""
    attention = model.layers[0].self_attn
    seen = {}

    def heads(tensor, count):
        return tensor.reshape(-1, count, shape["width"])

    def round_and_keep(name, count):
        def hook(_module, _inputs, output):
            rounded = output.bfloat16().float()
            seen.setdefault(name, []).append(heads(rounded, count))
            return rounded

        return hook

    # Qwen3 normalises the heads of queries and keys after their projections.
    getattr(attention, "q_norm", attention.q_proj).register_forward_hook(round_and_keep("q", shape["heads"]))
    getattr(attention, "k_norm", attention.k_proj).register_forward_hook(round_and_keep("k", shape["kv_heads"]))
    attention.v_proj.register_forward_hook(round_and_keep("v", shape["kv_heads"]))
    attention.o_proj.register_forward_pre_hook(
        lambda _module, inputs: seen.setdefault("output", []).append(heads(inputs[0], shape["heads"]))
    )
    return seen


def run(model, seen, tokens, steps):
    """The model over the tokens in steps, with its own cache; what its attention was given and gave."""
    seen.clear()
    past = None
    with torch.no_grad():
        start = 0
        for count in steps:
            found = model(tokens[:, start : start + count], past_key_values=past, use_cache=True)
            past = found.past_key_values
            start += count
    return {name: torch.cat(parts) for name, parts in seen.items()}


def make(folder, name, model_class, config_class, rope, shape):
    torch.manual_seed(20)
    model = open_model(model_class, config_class, rope, shape)
    seen = watch(model, shape)
    count = shape["tokens"]
    tokens = torch.randint(0, 97, (1, count))
    whole = run(model, seen, tokens, [count])
    # Its own way with a cache must come to the same, or the fixture says nothing of one.
    for steps in ([count - 1, 1], [1] * count):
        inexact = run(model, seen, tokens, steps)
        # Projections of other shapes may round to the neighbouring bf16 number.
        torch.testing.assert_close(inexact["output"], whole["output"], rtol=0, atol=0.05)
    inverse_frequencies = model.rotary_emb.inv_freq.float()
    parts = [inverse_frequencies, *(whole[each].bfloat16().view(torch.int16) for each in "qkv"), whole["output"]]
    (folder / f"{name}.bin").write_bytes(b"".join(part.contiguous().numpy().tobytes() for part in parts))
    return {
        "name": name,
        "numTokens": count,
        "numQueryHeads": shape["heads"],
        "numKvHeads": shape["kv_heads"],
        "headDim": shape["width"],
        "windowTokens": shape.get("window", 0),
        "scaling": float(model.rotary_emb.attention_scaling),
        "softmaxScale": float(model.layers[0].self_attn.scaling),
        "ropeType": rope["rope_type"],
    }


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = [make(folder, name, *case) for name, case in CASES.items()]
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__}"
    (folder / "fixtures.json").write_text(json.dumps({"madeBy": made_by, "cases": cases}, indent=2) + "\n")
    for case in cases:
        print(case)


main()
