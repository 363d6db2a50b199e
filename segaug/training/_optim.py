"""AdamW, and the learning rate's warm-up and cosine."""

import math

import torch
from torch import nn

from segaug._checks import check_int, check_number

__all__ = ["learning_rate", "make_optimizer"]

# Embeddings of places and of the class, which are no weights of a product.
_NO_DECAY = ("cls_token", "pos_embed")


def make_optimizer(model: nn.Module, *, lr: float = 1e-3, weight_decay: float = 0.05) -> torch.optim.AdamW:
    """Make AdamW (arXiv 1711.05101) that decays matrices alone.

    Biases, norms and other parameters of one dimension, ``cls_token`` and ``pos_embed`` are not decayed.

    Args:
        model: The model.
        lr: Learning rate.
        weight_decay: Decay of the matrices.

    Returns:
        The optimizer, with two parameter groups.

    Raises:
        TypeError: If a number is none.
        ValueError: If a number is negative.

    Example:
        >>> decayed, others = make_optimizer(nn.Linear(2, 3)).param_groups
        >>> [p.shape for p in decayed["params"]], [p.shape for p in others["params"]]
        ([torch.Size([3, 2])], [torch.Size([3])])
    """
    check_number("lr", lr, minimum=0.0)
    check_number("weight_decay", weight_decay, minimum=0.0)
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim > 1 and name.rpartition(".")[2] not in _NO_DECAY
            (decayed if is_matrix else others).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr)


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
