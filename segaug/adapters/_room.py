"""Room around a segment in a picture that is too small for what changes its colours."""

from collections.abc import Callable

import torch
from torch.nn.functional import pad

__all__ = ["run_with_room"]

_SIDES = (4, 8, 16, 32, 64)
_Run = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def run_with_room(run: _Run, patches: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Run on patches (M, C, H, W) and alpha (M, H, W), whose shapes stay; where that raises, with room without coverage.

    A blur, say, takes no picture that is smaller than half of its window. The least room that helps is used, so that what
    fits is left as it is. If none does, the first error is raised.
    """
    height, width = alpha.shape[-2:]
    try:
        return run(patches, alpha)
    except Exception:
        for side in _SIDES:
            below, beside = max(side - height, 0), max(side - width, 0)
            if not below and not beside:
                continue
            top, left = below // 2, beside // 2
            frame = [left, beside - left, top, below - top]
            inner = (..., slice(top, top + height), slice(left, left + width))
            try:
                wide_patches, wide_alpha = run(pad(patches, frame), pad(alpha, frame))
            except Exception:
                # More may do.
                continue
            return wide_patches[inner], wide_alpha[inner]
        raise
