"""Transforms of torchvision's first API, taken as their v2 equals, and those of other packages, with their adapters."""

import copy
import inspect
from typing import Any

import torch
from torchvision.transforms import v2

from segaug.transforms._engine._adapters import adapt

__all__ = ["as_v2"]

_V1_MODULES = ("torchvision.transforms.transforms", "torchvision.transforms.autoaugment")
_CONTAINERS = (v2.Compose, v2.RandomApply, v2.RandomChoice, v2.RandomOrder)


def as_v2(transform: Any) -> Any:
    """Return the v2 equal of a v1 transform, and what stands for another package's, in containers too; else as it is."""
    kind = type(transform)
    if kind is torch.nn.Sequential:
        return v2.Compose([as_v2(child) for child in transform]) if len(transform) else v2.Identity()
    if kind in _CONTAINERS:
        children = [as_v2(child) for child in transform.transforms]
        if all(new is old for new, old in zip(children, transform.transforms, strict=True)):
            return transform
        # A copy: the user's own container stays as it is.
        changed = copy.copy(transform)
        changed.__dict__ = dict(transform.__dict__)
        changed._modules = {name: child for name, child in transform._modules.items() if name != "transforms"}
        changed.transforms = children
        return changed
    if kind.__module__ not in _V1_MODULES:
        return adapt(transform)
    equal = getattr(v2, kind.__name__, None)
    if equal is None:
        raise TypeError(f"{kind.__name__} of torchvision's first API has no equal in torchvision.transforms.v2")
    options = {
        name: getattr(transform, name) for name in inspect.signature(equal).parameters if hasattr(transform, name)
    }
    if "transforms" in options:
        options["transforms"] = [as_v2(child) for child in options["transforms"]]
    return equal(**options)
