"""What geometry acts on: colour, premultiplied, with its coverage as one more channel behind it."""

from collections.abc import Callable

import torch

__all__ = ["on_layers"]


def on_layers(
    change: Callable[[torch.Tensor], torch.Tensor],
    patches: torch.Tensor,
    alpha: torch.Tensor,
    *,
    interpolates: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply ``change`` to colour and coverage in step.

    ``interpolates`` tells that it mixes pixels. Weights add up to 1 only nearly, and some are below 0: then floats are kept
    in their range, full coverage full, and no colour above its coverage.
    """
    layers = change(torch.cat([patches, alpha[:, None]], dim=1))
    patches, alpha = layers[:, :-1], layers[:, -1]
    if interpolates and alpha.is_floating_point():
        alpha = torch.where(alpha > 1.0 - 1e-6, 1.0, alpha.clamp(min=0.0))
        patches = patches.clamp(min=0.0).minimum(alpha[:, None])
    return patches, alpha
