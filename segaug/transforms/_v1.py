"""Transforms of torchvision's first API, taken as their v2 equals."""

import inspect
from typing import Any

from torchvision.transforms import v2

__all__ = ["as_v2"]

_V1_MODULES = ("torchvision.transforms.transforms", "torchvision.transforms.autoaugment")


def as_v2(transform: Any) -> Any:
    """Return the v2 equal of a v1 transform, children included; anything else as it is."""
    kind = type(transform)
    if kind.__module__ not in _V1_MODULES:
        return transform
    equal = getattr(v2, kind.__name__, None)
    if equal is None:
        raise TypeError(f"{kind.__name__} of torchvision's first API has no equal in torchvision.transforms.v2")
    options = {
        name: getattr(transform, name) for name in inspect.signature(equal).parameters if hasattr(transform, name)
    }
    if "transforms" in options:
        options["transforms"] = [as_v2(child) for child in options["transforms"]]
    return equal(**options)
