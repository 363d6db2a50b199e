"""Sums over an epoch."""

import time

import torch

__all__ = ["Meter"]


class Meter:
    """Mean loss and accuracy over the images seen, and how many are seen per second.

    Sums stay on the device, so that counting does not wait for a GPU.

    Example:
        >>> meter = Meter()
        >>> meter.add(torch.tensor(2.0), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1]))
        >>> meter.loss, meter.accuracy
        (2.0, 0.5)
    """

    def __init__(self) -> None:
        self.images = 0
        self._loss = torch.zeros(())
        self._correct = torch.zeros(())
        self._start = time.perf_counter()

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Count a batch: its mean loss, logits (B, classes) and targets (B,)."""
        count = len(targets)
        self._loss = self._loss.to(loss.device) + loss.detach().double() * count
        self._correct = self._correct.to(loss.device) + (logits.detach().argmax(-1) == targets).sum()
        self.images += count

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self._loss) / max(1, self.images)

    @property
    def accuracy(self) -> float:
        """The share of images whose largest logit is the target's."""
        return float(self._correct) / max(1, self.images)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    @property
    def images_per_second(self) -> float:
        """Images over time."""
        return self.images / max(self.seconds, 1e-9)
