"""Checks of what a user gives: one clear error each, with the argument, what is allowed and what came."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

__all__ = [
    "check_choice",
    "check_flag",
    "check_generator",
    "check_int",
    "check_number",
    "check_probability",
    "check_unit_range",
    "describe",
]

SUPPORTED_CHANNELS = (1, 3)


def describe(value: Any) -> str:
    """Say in a few words what a value is: shape and dtype for tensors and arrays, the value itself if it is short."""
    if isinstance(value, torch.Tensor):
        return f"{type(value).__name__} of shape {tuple(value.shape)} and dtype {value.dtype}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of shape {tuple(value.shape)} and dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def check_int(name: str, value: Any, *, minimum: int) -> int:
    """Return ``value`` if it is an int (no bool) of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {describe(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    return int(value)


def check_number(name: str, value: Any, *, minimum: float, maximum: float | None = None) -> float:
    """Return ``value`` as a float if it is a finite number in [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    upper = float("inf") if maximum is None else maximum
    if not minimum <= value <= upper or value == float("inf"):
        allowed = f"at least {minimum}" if maximum is None else f"in [{minimum}, {maximum}]"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return float(value)


def check_probability(name: str, value: Any) -> float:
    """Return ``value`` as a float if it is a number in [0, 1]."""
    return check_number(name, value, minimum=0.0, maximum=1.0)


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return value


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(repr(c) for c in choices)}, got {describe(value)}")
    return str(value)


def check_generator(generator: Any) -> torch.Generator | None:
    """Return ``generator`` if it is a ``torch.Generator`` or None."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator or None, got {describe(generator)}")
    return generator


def check_unit_range(name: str, image: torch.Tensor) -> None:
    """Raise ValueError if a floating-point ``image`` holds NaN or a value outside [0, 1]; integer images pass."""
    if not image.is_floating_point() or image.numel() == 0:
        return
    low, high = (float(bound) for bound in torch.aminmax(image))
    # NaN fails both comparisons.
    if not (low >= 0.0 and high <= 1.0):
        is_nan = low != low or high != high
        came = "NaN" if is_nan else f"values from {low:g} to {high:g}"
        # The two usual ways of getting there.
        advice = "" if is_nan else "; put Normalize last" if low < 0 else "; convert with v2.ToDtype(..., scale=True)"
        raise ValueError(f"{name} must hold floats in [0, 1], got {came}{advice}")
