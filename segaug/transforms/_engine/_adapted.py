"""A transform of another package, together with the way to run it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Adapted"]


@dataclass(frozen=True)
class Adapted:
    """Stands for the transform among torchvision's. Apart from the nodes, which need the loop, which needs this."""

    transform: Any
    node: Any  # a Node
    # What ``vectorized=False`` calls: patch (C, H, W), premultiplied, and alpha (H, W) of one segment to the new ones.
    on_one: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

    def __repr__(self) -> str:
        return repr(self.transform)
