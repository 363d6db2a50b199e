"""The loss of a part of a batch."""

from typing import Any

import torch
import torch.nn.functional as F

from segaug._checks import describe
from segaug.training._distillation import Distillation

__all__ = ["check_logits", "training_loss"]


def check_logits(output: Any, classes: int) -> None:
    """Raise a ValueError unless a model's output, or each of a pair, has a logit for each class: (B, classes)."""
    for logits in output if isinstance(output, tuple) else (output,):
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
            raise ValueError(f"model must give logits (B, {classes}), got {describe(logits)}")
        if logits.shape[-1] != classes:
            raise ValueError(
                f"model must give a logit for each of the {classes} classes of the data, got {logits.shape[-1]} logits"
            )


def training_loss(
    output: torch.Tensor | tuple[torch.Tensor, torch.Tensor],
    targets: torch.Tensor,
    *,
    label_smoothing: float,
    distillation: Distillation | None = None,
    teacher: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the mean loss.

    Args:
        output: Logits (B, classes), or a pair of them, of a class token and a distillation token.
        targets: Classes (B,), or their probabilities (B, classes).
        label_smoothing: Probability that is spread over all classes.
        distillation: How a teacher counts; None if there is none.
        teacher: Its logits (B, classes).

    Returns:
        The loss, and the logits to measure accuracy with.
    """
    logits, distilled = output if isinstance(output, tuple) else (output, output)
    loss = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    if distillation is not None and teacher is not None:
        loss = (1 - distillation.alpha) * loss + distillation.alpha * distillation.loss(distilled, teacher)
    elif isinstance(output, tuple):
        raise ValueError(
            "distillation must be given to train a model that returns two logits, of a class and a distillation token"
        )
    # Of both tokens together, as such a model predicts.
    return loss, logits if distilled is logits else (logits + distilled) / 2
