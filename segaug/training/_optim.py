"""AdamW, and the learning rate's warm-up and cosine."""

import math
import re

import torch
from torch import nn

from segaug._checks import check_int, check_number, check_probability

__all__ = ["learning_rate", "make_optimizer"]

# Embeddings of places and of the class, which are no weights of a product.
_NO_DECAY = ("cls_token", "dist_token", "pos_embed", "reg_token")
# What comes before the first block.
_EMBEDDINGS = (*_NO_DECAY, "color_embed", "patch_embed", "position_embed", "stem")
# What class attention has behind the blocks.
_CLASS_BLOCKS = "blocks_token_only"
_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")


def make_optimizer(
    model: nn.Module, *, lr: float = 1e-3, weight_decay: float = 0.05, layer_decay: float = 1.0
) -> torch.optim.AdamW:
    """Make AdamW (arXiv 1711.05101) that decays matrices alone.

    Biases, norms and other parameters of one dimension, ``cls_token`` and ``pos_embed`` are not decayed.

    With ``layer_decay`` below 1, for fine-tuning, layers near the input learn more slowly (BEiT, arXiv 2106.08254): of a
    model with n ``blocks``, what comes before them has the rate ``lr * layer_decay**(n + 1)``, block i, from 0,
    ``lr * layer_decay**(n - i)``, and what comes after them ``lr``; so does the class token of S-ViT's class attention.

    Args:
        model: The model.
        lr: Learning rate.
        weight_decay: Decay of the matrices.
        layer_decay: Factor of the rate from a layer to the one before it, in (0, 1]; 1 is the same rate for all.

    Returns:
        The optimizer: two parameter groups, or two for each depth with ``layer_decay`` below 1. A group's ``lr_scale`` is
        its factor of the rate.

    Raises:
        TypeError: If a number is none.
        ValueError: If a number is out of range, all parameters are frozen, or ``layer_decay`` is below 1 and the model has
            no ``blocks``.

    Example:
        >>> decayed, others = make_optimizer(nn.Linear(2, 3)).param_groups
        >>> [p.shape for p in decayed["params"]], [p.shape for p in others["params"]]
        ([torch.Size([3, 2])], [torch.Size([3])])
        >>> model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)]), "head": nn.Linear(2, 3)})
        >>> [group["lr"] for group in make_optimizer(model, lr=1.0, layer_decay=0.5).param_groups]
        [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    """
    check_number("lr", lr, minimum=0.0)
    check_number("weight_decay", weight_decay, minimum=0.0)
    if check_probability("layer_decay", layer_decay) == 0.0:
        raise ValueError(f"layer_decay must be above 0, got {layer_decay}")
    blocks = [int(found[1]) for name, _ in model.named_parameters() if (found := _BLOCK.search(name))]
    if layer_decay < 1.0 and not blocks:
        raise ValueError(
            f"layer_decay must be 1 for a model without `blocks`, got {layer_decay} and a {type(model).__name__}: its "
            "layers have no order to go by"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"model must have a parameter that learns, all of this {type(model).__name__} are frozen")
    last = max(blocks, default=-1) + 2
    # Of class attention, whose class token joins behind the blocks.
    late = ("cls_token",) if any(_CLASS_BLOCKS in name.split(".") for name, _ in model.named_parameters()) else ()
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name.rpartition(".")[2] not in _NO_DECAY
            depth = _depth(name, last, late) if layer_decay < 1.0 else last
            groups.setdefault((depth, not decays), []).append(parameter)
    if layer_decay == 1.0:
        # Both are always there.
        groups = {key: groups.get(key, []) for key in ((last, False), (last, True))}
    return torch.optim.AdamW(
        [
            {
                "params": groups[depth, is_plain],
                "weight_decay": 0.0 if is_plain else weight_decay,
                "lr_scale": layer_decay ** (last - depth),
                "lr": lr * layer_decay ** (last - depth),
            }
            for depth, is_plain in sorted(groups)
        ],
        lr=lr,
    )


def _depth(name: str, last: int, late: tuple[str, ...]) -> int:
    """0 before the blocks, i + 1 in block i, ``last`` after them and for what ``late`` names."""
    found = _BLOCK.search(name)
    if found:
        return int(found[1]) + 1
    parts = name.split(".")
    return 0 if parts[-1] not in late and any(part in _EMBEDDINGS for part in parts) else last


def learning_rate(step: int, steps: int, *, lr: float, warmup: int) -> float:
    """Return the rate of a step: linear up to ``lr``, then a cosine down to 0 (arXiv 1608.03983, one cycle).

    Args:
        step: From 0 to ``steps - 1``.
        steps: All steps of the training.
        lr: The highest rate, reached at the end of the warm-up.
        warmup: Steps of the warm-up.

    Returns:
        The rate.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If a number is out of range.

    Example:
        >>> [round(learning_rate(step, 6, lr=1.0, warmup=2), 3) for step in range(6)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    check_int("step", step, minimum=0)
    check_int("steps", steps, minimum=step + 1)
    check_int("warmup", warmup, minimum=0)
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
