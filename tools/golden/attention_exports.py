"""Attention, normalization and MobileViT blocks as PyTorch's exporters write them, from several sources and at several opsets.

    python tools/golden/attention_exports.py [--only PART ...]

They land as `<source>_<case>_opset<N>[_dynamo].onnx` + `.golden` in `tests/golden/attention`; `cases.json` says how many nodes of each
kind every case is to become. Opsets 11, 13 and 17 come from the TorchScript exporter, 18 and 21 from the dynamo exporter (`_dynamo`).
What an exporter cannot write is listed in `cases.json` with its error.
"""

import argparse
import json
import logging
import math
import os
import warnings
import zlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import timm
import torch
import torchvision
import transformers
from timm.layers import LayerNorm2d, set_fused_attn
from timm.models import mobilevit as timm_mobilevit
from timm.models.vision_transformer import Attention as TimmAttention
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import nn
from torch.nn import functional as F
from transformers.models.mobilevit.modeling_mobilevit import MobileViTLayer
from transformers.models.mobilevitv2.modeling_mobilevitv2 import MobileViTV2Layer

import onnx_reference
import onnx_torch

OUT = onnx_reference.OUT.parent / "attention"
TORCHSCRIPT, DYNAMO = (11, 13, 17), (18, 21)
TOKENS, MAP, IMAGE = (1, 6, 8), (1, 8, 4, 6), (1, 3, 8, 8)
COUNT = 6


class FusedQkv(nn.Module):
    """One linear layer for query, key and value; `split` is how they come apart, `kind` how the product is written."""

    def __init__(self, split="unbind", kind="matmul", heads=2, mask=None, bias=True):
        super().__init__()
        self.qkv, self.projection = nn.Linear(8, 24, bias=bias), nn.Linear(8, 8)
        self.split, self.kind, self.heads = split, kind, heads
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        batch, count, channels = x.shape
        depth = channels // self.heads
        if self.split == "unbind":
            q, k, v = self.qkv(x).reshape(batch, count, 3, self.heads, depth).permute(2, 0, 3, 1, 4).unbind(0)
        elif self.split == "index":
            qkv = self.qkv(x).reshape(batch, count, 3, self.heads, depth).permute(2, 0, 3, 1, 4)
            q, k, v = qkv[0], qkv[1], qkv[2]
        elif self.split == "per_head":
            qkv = self.qkv(x).reshape(batch, count, self.heads, 3 * depth).transpose(1, 2)
            q, k, v = qkv.chunk(3, -1)
        else:
            q, k, v = (part.view(batch, count, self.heads, depth).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        if self.kind == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        elif self.kind == "causal":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.kind == "keys_first":
            weights = (k @ q.transpose(-2, -1) * depth**-0.5).softmax(-2)
            y = (v.transpose(-2, -1) @ weights).transpose(-2, -1)
        elif self.kind == "einsum":
            weights = (torch.einsum("bhid,bhjd->bhij", q, k) * depth**-0.5).softmax(-1)
            y = torch.einsum("bhij,bhjd->bhid", weights, v)
        else:
            scores = (q * depth**-0.5) @ k.transpose(-2, -1)
            if self.mask is not None:
                scores = scores.masked_fill(self.mask, -math.inf)
            y = scores.softmax(-1) @ v
        return self.projection(y.transpose(1, 2).reshape(batch, count, channels))


class Apart(nn.Module):
    """A linear layer each for query, key and value; keys and values from another sequence where `context` says so."""

    def __init__(self, heads=2, value_depth=4, bias=False, context=False):
        super().__init__()
        self.q, self.k = nn.Linear(8, 8), nn.Linear(8, 8)
        self.v, self.out = nn.Linear(8, heads * value_depth), nn.Linear(heads * value_depth, 8)
        self.heads = heads
        self.bias = nn.Parameter(torch.randn(heads, COUNT, COUNT)) if bias else None

    def forward(self, x, context=None):
        context = x if context is None else context
        split = lambda y: y.view(1, -1, self.heads, y.shape[-1] // self.heads).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(context)), split(self.v(context))
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(q.shape[-1])
        if self.bias is not None:
            scores = scores + self.bias
        y = torch.matmul(F.softmax(scores, -1), v).transpose(1, 2).contiguous()
        return self.out(y.flatten(2))


class Multihead(nn.Module):
    def __init__(self, mask=None, need_weights=False):
        super().__init__()
        self.need_weights = need_weights
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        nn.init.normal_(self.attention.in_proj_bias)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.need_weights, attn_mask=self.mask)[0]


class Weights(nn.Module):
    """Attention whose weights are an output too."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        weights = (self.q(x) @ self.k(x).transpose(1, 2) / math.sqrt(8)).softmax(-1)
        return weights @ self.v(x), weights


class Temperature(nn.Module):
    """Attention with a learned scale a head, which is not scaled dot-product attention."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.tensor([0.3, 0.7]).view(2, 1, 1))

    def forward(self, x):
        split = lambda y: y.view(1, -1, 2, 4).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        weights = (q @ k.transpose(2, 3) * self.scale).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """A transformer block with normalization before each part."""

    def __init__(self, gelu="none"):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(8, eps=1e-6), nn.LayerNorm(8)])
        self.attention = FusedQkv("unbind")
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(gelu), nn.Linear(16, 8))

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class RmsNorm(nn.Module):
    """RMSNorm as language models write it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class SpelledNorm(nn.Module):
    """LayerNorm by hand, with the unbiased variance."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).sum(-1, keepdim=True) / 7
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


class Transformers(nn.Module):
    """The hidden states of a network of transformers."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        y = self.body(x)
        return y if isinstance(y, torch.Tensor) else y.last_hidden_state


def mha_slow(module):
    torch.backends.mha.set_fastpath_enabled(False)
    return module


def timm_attention(fused):
    set_fused_attn(fused)
    return TimmAttention(8, num_heads=2, qkv_bias=True, qk_norm=False)


def timm_transformer(fused, **settings):
    set_fused_attn(fused)
    return TimmTransformer(8, 4, num_classes=5, embed_dim=8, depth=1, num_heads=2, mlp_ratio=2, **settings)


def timm_mobilevit_block(fused):
    set_fused_attn(fused)
    return timm_mobilevit.MobileVitBlock(8, 8, transformer_dim=8, transformer_depth=1, num_heads=2, patch_size=2)


def timm_mobilevit_v2_block():
    return timm_mobilevit.MobileVitV2Block(8, 8, transformer_dim=8, transformer_depth=1, patch_size=2)


def torchvision_transformer():
    return torchvision.models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=5)


def vit(kind):
    settings = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4
    )
    settings._attn_implementation = kind
    return Transformers(transformers.ViTModel(settings, add_pooling_layer=False))


def hugging_mobilevit():
    settings = transformers.MobileViTConfig(num_attention_heads=2, hidden_sizes=[8, 8, 8], mlp_ratio=2.0, patch_size=2)
    return Transformers(MobileViTLayer(settings, 8, 8, 1, hidden_size=8, num_stages=1))


def hugging_mobilevit_v2():
    settings = transformers.MobileViTV2Config(ffn_multiplier=2, patch_size=2)
    return Transformers(MobileViTV2Layer(settings, 8, 8, attn_unit_dim=8, n_attn_blocks=1, stride=1))


def causal():
    return torch.ones(COUNT, COUNT).tril() == 0


def hidden_keys():
    mask = torch.zeros(1, 1, 1, COUNT)
    mask[..., -2:] = -math.inf
    return mask


def lowest_keys():
    return hidden_keys().clamp(min=torch.finfo(torch.float32).min)


# case: (module, input shapes, attentions, separable attentions, norms)
CASES = {
    "hand_qkv_unbind": (lambda: FusedQkv("unbind"), [TOKENS], 1, 0, 0),
    "hand_qkv_index": (lambda: FusedQkv("index"), [TOKENS], 1, 0, 0),
    "hand_qkv_chunk": (lambda: FusedQkv("chunk"), [TOKENS], 1, 0, 0),
    "hand_qkv_per_head": (lambda: FusedQkv("per_head"), [TOKENS], 1, 0, 0),
    "hand_apart": (lambda: Apart(), [TOKENS], 1, 0, 0),
    "hand_one_head": (lambda: Apart(heads=1, value_depth=8), [TOKENS], 1, 0, 0),
    "hand_wide_values": (lambda: Apart(value_depth=6), [TOKENS], 1, 0, 0),
    "hand_position_bias": (lambda: Apart(bias=True), [TOKENS], 1, 0, 0),
    "hand_cross": (lambda: Apart(), [TOKENS, (1, 9, 8)], 1, 0, 0),
    "hand_sdpa": (lambda: FusedQkv("chunk", "sdpa"), [TOKENS], 1, 0, 0),
    "hand_sdpa_causal": (lambda: FusedQkv("chunk", "causal"), [TOKENS], 1, 0, 0),
    "hand_sdpa_boolean": (lambda: FusedQkv("chunk", "sdpa", mask=~causal()), [TOKENS], 1, 0, 0),
    "hand_sdpa_keys": (lambda: FusedQkv("chunk", "sdpa", mask=hidden_keys()), [TOKENS], 1, 0, 0),
    "hand_sdpa_lowest": (lambda: FusedQkv("chunk", "sdpa", mask=lowest_keys()), [TOKENS], 1, 0, 0),
    "hand_masked_fill": (lambda: FusedQkv("chunk", mask=causal()), [TOKENS], 1, 0, 0),
    "hand_keys_first": (lambda: FusedQkv("chunk", "keys_first"), [TOKENS], 1, 0, 0),
    "hand_einsum": (lambda: FusedQkv("chunk", "einsum"), [TOKENS], 1, 0, 0),
    "hand_multihead": (lambda: mha_slow(Multihead()), [TOKENS], 1, 0, 0),
    "hand_multihead_causal": (lambda: mha_slow(Multihead(causal())), [TOKENS], 1, 0, 0),
    "hand_multihead_spelled": (lambda: mha_slow(Multihead(need_weights=True)), [TOKENS], 1, 0, 0),
    "hand_block_gelu": (lambda: Block(), [TOKENS], 1, 0, 2),
    "hand_block_gelu_tanh": (lambda: Block("tanh"), [TOKENS], 1, 0, 2),
    "hand_layer_norm": (lambda: nn.LayerNorm(8), [TOKENS], 0, 0, 1),
    "hand_spelled_norm": (SpelledNorm, [TOKENS], 0, 0, 1),
    "hand_rms_norm": (RmsNorm, [TOKENS], 0, 0, 1),
    "hand_group_norm": (lambda: nn.GroupNorm(1, 8), [MAP], 0, 0, 1),
    "hand_weights_out": (Weights, [TOKENS], 0, 0, 0),
    "hand_temperature": (Temperature, [TOKENS], 0, 0, 0),
    "torch_rms_norm": (lambda: nn.RMSNorm(8, eps=1e-5), [TOKENS], 0, 0, 1),
    "torch_encoder_layer": (
        lambda: mha_slow(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")), [TOKENS], 1, 0, 2
    ),
    "timm_attention": (lambda: timm_attention(False), [TOKENS], 1, 0, 0),
    "timm_attention_fused": (lambda: timm_attention(True), [TOKENS], 1, 0, 0),
    "timm_layer_norm_2d": (lambda: LayerNorm2d(8), [MAP], 0, 0, 1),
    "timm_vit": (lambda: timm_transformer(False), [IMAGE], 1, 0, 3),
    "timm_vit_fused": (lambda: timm_transformer(True, qk_norm=True, global_pool="avg"), [IMAGE], 1, 0, 5),
    "timm_mobilevit": (lambda: timm_mobilevit_block(False), [MAP], 1, 0, 3),
    "timm_mobilevit_fused": (lambda: timm_mobilevit_block(True), [MAP], 1, 0, 3),
    "timm_mobilevit_v2": (timm_mobilevit_v2_block, [MAP], 0, 1, 3),
    "torchvision_vit": (lambda: mha_slow(torchvision_transformer()), [IMAGE], 1, 0, 3),
    "transformers_vit_eager": (lambda: vit("eager"), [IMAGE], 1, 0, 3),
    "transformers_vit_sdpa": (lambda: vit("sdpa"), [IMAGE], 1, 0, 3),
    "transformers_mobilevit": (hugging_mobilevit, [MAP], 1, 0, 3),
    "transformers_mobilevit_v2": (hugging_mobilevit_v2, [MAP], 0, 1, 3),
}
# Heads and patch of the attentions, where they are not two heads over the whole map.
FORMS = {
    "hand_one_head": {"heads": 1, "patch": [1, 1]},
    "timm_mobilevit": {"heads": 2, "patch": [2, 2]},
    "timm_mobilevit_fused": {"heads": 2, "patch": [2, 2]},
    "timm_mobilevit_v2": {"heads": 1, "patch": [2, 2]},
    "transformers_mobilevit": {"heads": 2, "patch": [2, 2]},
    "transformers_mobilevit_v2": {"heads": 1, "patch": [2, 2]},
}


def randomize(module):
    """Parameters and statistics as training would leave them: none that are all alike or tiny, as they begin, which would leave attention
    weights uniform whatever the scores."""
    for parameter in module.parameters():
        if parameter.numel() > 1 and parameter.std() < 0.25:
            nn.init.normal_(parameter, std=0.4)
    for part in module.modules():
        if isinstance(part, (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, RmsNorm, SpelledNorm)):
            for name, parameter in part.named_parameters(recurse=False):
                nn.init.uniform_(parameter, *((0.6, 1.4) if name == "weight" else (-0.3, 0.3)))
    return onnx_torch.randomize(module)


def check_varied(path):
    """A flat output, or the same for all inputs, would be met by any arithmetic."""
    data = path.with_suffix(".golden").read_bytes()
    header, _, raw = data.partition(b"\n")
    entry = next(entry for entry in json.loads(header)["tensors"] if entry["role"] == "output")
    values = np.frombuffer(raw, np.float32, entry["bytes"] // 4, entry["offset"]).reshape(onnx_reference.SAMPLES, -1)
    if values.std() < 0.01 or np.abs(values[0] - values[1]).max() < 0.01:
        raise ValueError("the outputs hardly vary")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="parts of file names; all cases without it")
    only = parser.parse_args().only
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    OUT.mkdir(parents=True, exist_ok=True)
    table = {"versions": {part.__name__: part.__version__ for part in (torch, timm, torchvision, transformers)}, "cases": {}}
    index = OUT / "cases.json"
    failures = json.loads(index.read_text())["not_exported"] if only and index.exists() else {}
    for name, (make, shapes, attention, separable, norms) in CASES.items():
        form = FORMS.get(name, {"heads": 2, "patch": [1, 1]})
        table["cases"][name] = {"attention": attention, "separable_attention": separable, "norm": norms, **form}
        for opset in TORCHSCRIPT + DYNAMO:
            stem = f"{name}_opset{opset}" + ("_dynamo" if opset in DYNAMO else "")
            if only and not any(part in stem for part in only):
                continue
            seed = zlib.crc32(name.encode())
            torch.manual_seed(seed)
            path = OUT / f"{stem}.onnx"
            failures.pop(stem, None)
            try:
                with torch.no_grad():
                    onnx_torch.export(randomize(make()), shapes, path, opset, opset in DYNAMO)
            except Exception as error:  # exporters raise whatever they meet
                path.unlink(missing_ok=True)
                path.with_suffix(".golden").unlink(missing_ok=True)
                failures[stem] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
                print(f"{stem}: {failures[stem]}", flush=True)
                continue
            onnx_reference.write_golden(path, np.random.default_rng(seed))
            check_varied(path)
    table["not_exported"] = dict(sorted(failures.items()))
    index.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
