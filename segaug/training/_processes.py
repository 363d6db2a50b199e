"""The processes of a training, and what accelerate knows about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from segaug._checks import check_choice
from segaug._optional import require

__all__ = ["PRECISIONS", "check_device", "open_accelerator"]

PRECISIONS = ("no", "bf16", "fp16")


def check_device(device: torch.device | str, precision: str) -> torch.device:
    """Check where a training runs and in which precision.

    Args:
        device: The device, or its name.
        precision: One of :data:`PRECISIONS`.

    Returns:
        The device.

    Raises:
        ValueError: If there is no such device here, or it cannot compute in this precision.
    """
    check_choice("precision", precision, PRECISIONS)
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device must name a device of torch, got {device!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device must be there, got {str(device)!r}, and torch finds no GPU")
    if precision == "fp16" and device.type == "cpu":
        raise ValueError("precision must be 'no' or 'bf16' on the CPU, got 'fp16'")
    return device


@contextmanager
def open_accelerator(device: torch.device, precision: str) -> Iterator[Any]:
    """Make an ``accelerate.Accelerator`` for one training.

    accelerate keeps its state per process, so a second Accelerator would silently have the first one's precision. Inside
    the block there is fresh state; after it what was there before, so a caller's own Accelerator goes on.

    Args:
        device: Where to train. With several processes each has its own device of this type.
        precision: As for :func:`check_device`.

    Yields:
        The Accelerator.
    """
    accelerate = require("accelerate", extra="train")
    state = require("accelerate.state", extra="train")
    shared = [kind._shared_state for kind in (state.PartialState, state.AcceleratorState, state.GradientState)]
    before = [dict(values) for values in shared]
    for values in shared:
        values.clear()
    try:
        accelerator = accelerate.Accelerator(
            cpu=device.type == "cpu",
            mixed_precision=precision,
            # Said outright, as a number in the environment would divide the loss once more.
            gradient_accumulation_plugin=accelerate.utils.GradientAccumulationPlugin(num_steps=1),
        )
        if accelerator.num_processes == 1 and device.index is not None:
            accelerator.state.device = device
        if accelerator.device.type != device.type:
            raise ValueError(f"device must be {accelerator.device.type!r}, which accelerate found, got {str(device)!r}")
        yield accelerator
    finally:
        for values, old in zip(shared, before, strict=True):
            values.clear()
            values.update(old)
