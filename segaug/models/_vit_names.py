"""State dicts of timm's and torchvision's ViT, under timm's names."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from segaug._checks import describe

__all__ = ["PREFIX", "read_state"]

# Tokens before those of the patches, in the order of the position table's rows.
PREFIX = ("cls_token", "dist_token", "reg_token")

_TORCHVISION = (
    (r"class_token", "cls_token"),
    (r"conv_proj\.(weight|bias)", r"patch_embed.proj.\1"),
    (r"encoder\.pos_embedding", "pos_embed"),
    (r"encoder\.ln\.(weight|bias)", r"norm.\1"),
    (r"heads\.head\.(weight|bias)", r"head.\1"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.(weight|bias)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(weight|bias)", r"blocks.\1.attn.qkv.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(weight|bias)", r"blocks.\1.attn.proj.\2"),
    # torchvision's own names, and those before its version 0.13.
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(weight|bias)", r"blocks.\1.mlp.fc1.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(weight|bias)", r"blocks.\1.mlp.fc2.\2"),
)


def read_state(state_dict: Mapping[str, Any]) -> dict[str, tuple[str, Tensor]]:
    """Map timm's names to (the key that was given, its tensor).

    Raises:
        TypeError: If it is no mapping of names to tensors.
        ValueError: If it is empty, holds a weight under two names, or a token of another shape than (1, tokens, D).
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a mapping of names to tensors, got {describe(state_dict)}")
    for wrapper in ("model", "state_dict"):
        if isinstance(state_dict.get(wrapper), Mapping):
            state_dict = state_dict[wrapper]
            break
    if not state_dict:
        raise ValueError("state_dict must hold weights, got an empty one")
    state: dict[str, tuple[str, Tensor]] = {}
    for key, value in state_dict.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise TypeError(f"state_dict must be a mapping of names to tensors, got {describe(value)} for {key!r}")
        name = _timm_name(key.removeprefix("module."))
        if name in state:
            raise ValueError(f"state_dict must hold a weight once, got {state[name][0]} and {key}")
        state[name] = (key, value.detach())
    for name in PREFIX:
        if name in state and (state[name][1].ndim != 3 or state[name][1].shape[0] != 1):
            key, value = state[name]
            raise ValueError(f"{key} must have shape (1, tokens, width), got {tuple(value.shape)}")
    return state


def _timm_name(key: str) -> str:
    for pattern, name in _TORCHVISION:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, name, key)
    return key
