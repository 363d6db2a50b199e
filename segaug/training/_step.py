"""One step of a training: augment on the device, forward, backward, guard, update."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from segaug.data import Batch, seeded_stream
from segaug.structures import SegmentTokens
from segaug.training._distillation import Distillation
from segaug.training._loss import check_logits, training_loss
from segaug.training._metrics import Meter
from segaug.training._parts import split_by_length
from segaug.training._recipe import Recipe

__all__ = ["Forward", "Stepper", "memory_advice"]

# A stream of its own beside those of `BatchedTokens` (0 and 1) and of pretraining (2).
_IN_STEP = 3
# The scale of fp16 starts at 2**16 and is halved whenever a step is skipped; below 1 it cannot be what overflows.
_MOST_SKIPPED = 20
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
# What a system without memory does to a worker; the second is too little shared memory.
_KILLED_WORKER = re.compile(r"DataLoader worker .* is killed by signal: (Killed|Bus error)")


class Forward(nn.Module):
    """A model in a module of its own: accelerate changes this one's ``forward``, and the caller's stays as it is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: SegmentTokens) -> Any:
        """Call the model."""
        return self.model(tokens)


class Stepper:
    """What does the steps of a training.

    Args:
        accelerator: The ``accelerate.Accelerator``.
        model: The model, as accelerate has prepared it.
        optimizer: The optimizer, as accelerate has prepared it.
        recipe: What is left to augment here; the rest was done where batches are made.
        label_smoothing: As in the loss.
        clip_norm: Longest gradient.
        accumulate: In how many parts each group is worked through at least.
        most_parts: In how many parts a group is cut to save padding, at most.
        classes: How many logits the model must give.
        seed: Decides all draws.
        distillation: How a teacher counts, if there is one.
    """

    def __init__(
        self,
        accelerator: Any,
        model: nn.Module,
        optimizer: Any,
        *,
        recipe: Recipe,
        label_smoothing: float,
        clip_norm: float,
        accumulate: int,
        most_parts: int,
        classes: int,
        seed: int,
        distillation: Distillation | None = None,
    ) -> None:
        self._accelerator = accelerator
        self._model = model
        self._optimizer = optimizer
        self._recipe = recipe
        self._label_smoothing = label_smoothing
        self._clip_norm = clip_norm
        self._accumulate = accumulate
        self._most_parts = most_parts
        self._classes = classes
        self._seed = seed
        self._distillation = distillation
        self._skipped = 0

    def __call__(
        self, groups: Sequence[tuple[Batch, SegmentTokens, torch.Tensor]], meter: Meter, *, where: str, advice: str
    ) -> bool:
        """Do one step with this process's groups of a batch.

        Args:
            groups: The groups, each with its tokens and targets.
            meter: Counts them.
            where: Epoch and step, for messages.
            advice: What to lower if numbers are not finite, for messages.

        Returns:
            Whether the weights were changed; not if the scaler of fp16 found its scale too high.

        Raises:
            FloatingPointError: If the loss or its gradient is not finite, with fp16's scaler the gradient of many steps in
                a row; the weights are as before.
            ValueError: If the model gives another number of logits.
        """
        self._optimizer.zero_grad(set_to_none=True)
        # Reading it waits for a GPU, so it is read once for all parts.
        losses = [
            self._backward(batch, tokens, targets, meter, is_last=batch is groups[-1][0])
            for batch, tokens, targets in groups
        ]
        norm = float(self._accelerator.clip_grad_norm_(self._model.parameters(), self._clip_norm))
        loss = float(torch.stack(losses).sum())
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} in {where}: {advice}")
        if not math.isfinite(norm) and self._accelerator.scaler is None:
            raise FloatingPointError(f"the gradient's norm is {norm} in {where}, the loss {loss:.4g}: {advice}")
        self._optimizer.step()
        skipped = bool(self._optimizer.step_was_skipped)
        meter.add_step(norm, skipped=skipped)
        self._skipped = self._skipped + 1 if skipped else 0
        if self._skipped == _MOST_SKIPPED:
            raise FloatingPointError(
                f"the gradient was not finite in {_MOST_SKIPPED} steps in a row, up to {where}, though fp16's scale was "
                f"lowered each time: use precision 'bf16' or 'no', or {advice}"
            )
        return not skipped

    def _backward(
        self, batch: Batch, tokens: SegmentTokens, targets: torch.Tensor, meter: Meter, *, is_last: bool
    ) -> torch.Tensor:
        """Add one group's gradient, and return its part of the loss."""
        accelerator = self._accelerator
        device = accelerator.device
        meter.tokens += int((tokens.labels >= 0).sum())
        tokens, targets = tokens.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        total = torch.zeros((), device=device)
        with seeded_stream(self._seed, _IN_STEP, batch.epoch, batch.step, batch.group):
            if self._recipe.tokens is not None:
                tokens = self._recipe.tokens(tokens)
            if self._recipe.batch is not None:
                tokens, targets = self._recipe.batch(tokens, targets)
            teacher = None
            if self._distillation is not None:
                teacher = self._distillation.logits[list(batch.indices)].to(device, non_blocking=True)
            parts = split_by_length(
                tokens,
                targets if teacher is None else torch.arange(len(targets), device=device),
                # Whatever the number of processes: how a group is cut decides what drop path draws.
                most_parts=max(self._most_parts, self._accumulate),
                least_parts=self._accumulate,
            )
            for number, (part, answers) in enumerate(parts):
                of_teacher = None
                if teacher is not None:
                    of_teacher, answers = teacher[answers], targets[answers]
                # Processes exchange gradients in the last backward pass of a step alone.
                exchanges = is_last and number == len(parts) - 1
                with nullcontext() if exchanges else accelerator.no_sync(self._model):
                    output = self._model(part)
                    check_logits(output, self._classes)
                    loss, logits = training_loss(
                        output,
                        answers,
                        label_smoothing=self._label_smoothing,
                        distillation=self._distillation,
                        teacher=of_teacher,
                    )
                    # Weighted, so that the gradient is that of the whole batch; DDP takes the processes' mean.
                    share = batch.share * (len(answers) / len(targets)) * accelerator.num_processes
                    accelerator.backward(loss * share)
                meter.add(loss, logits, answers)
                total = total + loss.detach()
        return total


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Turn torch's several ways to be out of memory into a MemoryError that says what to lower.

    A worker of a loader that was killed is one of them.
    """
    try:
        yield
    except RuntimeError as error:
        first = (str(error).splitlines() or [""])[0]
        # The loader's own error only says that a worker is gone; what killed it is in the cause.
        if any(_KILLED_WORKER.search(str(one)) for one in (error, error.__cause__)):
            raise MemoryError(
                f"a worker was killed, as happens where there is not enough memory: lower workers, or {advice} ({first})"
            ) from error
        if isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
            raise MemoryError(f"there is not enough memory: {advice} ({first})") from error
        raise
