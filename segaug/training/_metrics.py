"""Sums over an epoch."""

import time
from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["Meter"]


class Meter:
    """Mean loss and accuracy over the images seen, the gradients' norms, and how many images are seen per second.

    Sums stay on the device, so that counting does not wait for a GPU.

    Attributes:
        images: Images seen.
        tokens: Tokens seen, without padding where they were counted.
        skipped: Steps that were skipped.

    Example:
        >>> meter = Meter()
        >>> meter.add(torch.tensor(2.0), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1]))
        >>> meter.loss, meter.accuracy
        (2.0, 0.5)
    """

    def __init__(self) -> None:
        self.images = 0
        self.tokens = 0
        self.skipped = 0
        self._loss = torch.zeros(())
        # No float32: it counts to 2**24 and no further.
        self._correct = torch.zeros((), dtype=torch.int64)
        self._steps, self._norm_sum, self._norm_max = 0, 0.0, 0.0
        self._start = time.perf_counter()

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Count a batch: its mean loss, logits (B, classes) and targets, (B,) or soft (B, classes)."""
        count = len(targets)
        classes = targets.argmax(-1) if targets.ndim == 2 else targets
        self._loss = self._loss.to(loss.device) + loss.detach().double() * count
        self._correct = self._correct.to(loss.device) + (logits.detach().argmax(-1) == classes).sum()
        self.images += count

    def add_step(self, norm: float, *, skipped: bool = False) -> None:
        """Count a step: the norm of its gradient before clipping, and whether it was skipped."""
        if skipped:
            self.skipped += 1
            return
        self._steps += 1
        self._norm_sum += norm
        self._norm_max = max(self._norm_max, norm)

    def reduce(self, accelerator: Any) -> None:
        """Add up what the processes have seen; steps and norms are the same in all of them."""
        if accelerator.num_processes > 1:
            values = [float(self._loss), float(self._correct), float(self.images), float(self.tokens)]
            sums = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
            loss, correct, images, tokens = accelerator.reduce(sums, reduction="sum").tolist()
            self._loss, self._correct = torch.tensor(loss, dtype=torch.float64), torch.tensor(int(correct))
            self.images, self.tokens = int(images), int(tokens)

    def state(self) -> dict[str, Any]:
        """Everything that was counted, as JSON can hold it."""
        return {
            "loss": float(self._loss),
            "correct": int(self._correct),
            "images": self.images,
            "tokens": self.tokens,
            "skipped": self.skipped,
            "steps": self._steps,
            "norm_sum": self._norm_sum,
            "norm_max": self._norm_max,
            "seconds": self.seconds,
        }

    def load(self, state: Mapping[str, Any], *, is_main: bool = True) -> None:
        """Go on from :meth:`state`; sums over the processes are kept by the main one."""
        if is_main:
            self._loss = torch.tensor(state["loss"], dtype=torch.float64)
            self._correct = torch.tensor(int(state["correct"]))
            self.images, self.tokens = state["images"], state["tokens"]
        self.skipped, self._steps = state["skipped"], state["steps"]
        self._norm_sum, self._norm_max = state["norm_sum"], state["norm_max"]
        self._start -= state["seconds"]

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self._loss) / max(1, self.images)

    @property
    def accuracy(self) -> float:
        """The share of images whose largest logit is the target's; of a soft target, of its largest probability's."""
        return float(self._correct) / max(1, self.images)

    @property
    def grad_norm(self) -> float:
        """The mean norm of the gradients; 0 before the first step."""
        return self._norm_sum / max(1, self._steps)

    @property
    def largest_grad_norm(self) -> float:
        """The largest norm of a gradient."""
        return self._norm_max

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._start

    @property
    def images_per_second(self) -> float:
        """Images over time."""
        return self.images / max(self.seconds, 1e-9)

    @property
    def tokens_per_second(self) -> float:
        """Tokens over time."""
        return self.tokens / max(self.seconds, 1e-9)
