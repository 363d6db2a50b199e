"""Loss and accuracy of a model."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from segaug.training._loss import check_logits
from segaug.training._metrics import Meter

__all__ = ["evaluate"]


def evaluate(model: nn.Module, loader: Any, *, device: torch.device | str = "cpu", classes: int | None = None) -> Meter:
    """Measure a model's loss (without label smoothing) and accuracy.

    Args:
        model: Maps a batch of :class:`~segaug.SegmentTokens` to logits; it is left in eval mode.
        loader: Gives batches of tokens and targets.
        device: Where the model is.
        classes: How many logits the model must give; None takes what it gives.

    Returns:
        The sums.

    Raises:
        ValueError: If the model gives another number of logits than ``classes``.

    Example:
        >>> from segaug import Grid, Segment, Tokenize, collate
        >>> from segaug.models import SViT
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> model = SViT(2, embed_dim=8, depth=1, num_heads=1)
        >>> evaluate(model, [(collate([tokens, tokens]), torch.tensor([0, 1]))]).accuracy
        0.5
    """
    meter = Meter()
    model.eval()
    with torch.inference_mode():
        for tokens, targets in loader:
            logits = model(tokens.to(device, non_blocking=True))
            if classes is not None:
                check_logits(logits, classes)
            targets = targets.to(device, non_blocking=True)
            meter.add(F.cross_entropy(logits, targets), logits, targets)
    return meter
