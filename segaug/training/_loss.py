"""The loss of a part of a batch."""

import torch
import torch.nn.functional as F

from segaug.training._distillation import Distillation

__all__ = ["training_loss"]


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
