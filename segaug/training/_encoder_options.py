"""What changes an encoder's logits and no parameter's shape, so that a checkpoint has to say it."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from segaug.models import SViT

__all__ = ["encoder_options", "option_differences"]

_OPTIONS = ("alpha_channel", "num_heads", "pixel_mean", "pixel_std", "position")


def encoder_options(model: nn.Module) -> dict[str, Any]:
    """Return the options of the SViT that a model is or holds (compiled, or with adapters), as JSON has them.

    Args:
        model: Any model.

    Returns:
        The options by name; nothing if there is no SViT.
    """
    encoder = next((module for module in model.modules() if isinstance(module, SViT)), None)
    if encoder is None:
        return {}
    options = {name: getattr(encoder, name) for name in _OPTIONS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def option_differences(model: nn.Module, meta: Mapping[str, Any]) -> list[str]:
    """Say in which of these options a model differs from a checkpoint's; what the checkpoint does not say does not count.

    Args:
        model: Any model.
        meta: A checkpoint's.

    Returns:
        A phrase for each difference.
    """
    saved = meta.get("encoder")
    if not isinstance(saved, Mapping):
        return []
    return [
        f"{name} is {saved[name]!r} there and {here!r} here"
        for name, here in encoder_options(model).items()
        if saved.get(name, here) != here
    ]
