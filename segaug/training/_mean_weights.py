"""A running mean of the weights (EMA)."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["MeanWeights"]

_Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


class MeanWeights:
    """An exponential moving mean of a model's weights, which is a better model than the last weights.

    ``mean <- d mean + (1 - d) weights`` after each step, with ``d = min(decay, (1 + n) / (10 + n))`` after n steps, so
    that the first, bad weights are soon forgotten. Buffers are copied.

    Args:
        model: The model; it is copied.
        decay: In [0, 1); 0 is the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        def update(means: _Tensors, weights: _Tensors, num_averaged: torch.Tensor | int) -> None:
            steps = int(num_averaged)
            torch._foreach_lerp_(means, weights, 1.0 - min(decay, (1 + steps) / (10 + steps)))

        self._averaged = AveragedModel(model, multi_avg_fn=update)
        self._averaged.requires_grad_(False)

    @property
    def model(self) -> nn.Module:
        """A copy of the model with the mean weights."""
        return self._averaged.module

    @property
    def steps(self) -> int:
        """How many steps are in the mean."""
        return int(self._averaged.n_averaged)

    @steps.setter
    def steps(self, steps: int) -> None:
        self._averaged.n_averaged.fill_(steps)

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self._averaged.update_parameters(model)
