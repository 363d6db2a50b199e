"""Which other packages' transforms there are ways for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from segaug.transforms._engine._adapted import Adapted
from segaug.transforms._engine._lowering import Draw
from segaug.transforms._engine._nodes import Node, Segments
from segaug.transforms._engine._place import is_in_picture

__all__ = ["adapt", "register_adapter"]

# From a transform of another package to the node that runs it; None if it is but a callable.
Adapter = Callable[[Any], Node | None]
_ADAPTERS: dict[str, Adapter] = {}


def register_adapter(package: str, adapter: Adapter) -> None:
    """Let PerSegment run the transforms of a package."""
    _ADAPTERS[package] = adapter


def adapt(transform: Any) -> Any:
    """Look up by the package that the transform's class, or one that it is derived from, is defined in.

    Returns:
        An ``Adapted``, or the transform itself where there is no way for it.
    """
    packages = (kind.__module__.partition(".")[0] for kind in type(transform).__mro__)
    adapter = next((_ADAPTERS[package] for package in packages if package in _ADAPTERS), None)
    node = None if adapter is None else adapter(transform)
    return transform if node is None else Adapted(transform, node, partial(_run_one, node))


def _run_one(node: Node, patch: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Run one segment by itself, drawing from torch's default generator as it stands."""

    def names(index: torch.Tensor) -> list[str]:
        # The loop around this says which segment it is.
        return ["the segment"] * len(index)

    channels, height, width = patch.shape
    there = is_in_picture()
    params = node.make_params(Draw(1, channels, height, width, None, there))
    index = torch.zeros(1, dtype=torch.int64, device=patch.device)
    patches, alphas = node.apply(Segments(patch[None], alpha[None], names, index, there), params)
    return patches[0], alphas[0]
