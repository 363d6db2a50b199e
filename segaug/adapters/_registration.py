"""Tells PerSegment about other packages, which are imported when one of their transforms comes, not before."""

import importlib
import os
import re
from types import ModuleType
from typing import Any, Literal, NamedTuple

from segaug._optional import require
from segaug.transforms._engine._adapters import register_adapter
from segaug.transforms._engine._nodes import Node

__all__ = ["Support", "albumentations_support", "kornia_support"]


class Support(NamedTuple):
    """How PerSegment runs a class of another package: ``reason`` says why it is refused, or what is special."""

    name: str
    how: Literal["batched", "looped", "refused"]
    reason: str


def _check_version(package: str, installed: str, fits: bool, wanted: str) -> None:
    if not fits:
        raise ImportError(
            f"{package} must be {wanted}, got {installed}; install it with: pip install 'segaug[{package}]'"
        )


def _kornia() -> ModuleType:
    version = require("kornia", extra="kornia").__version__
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    _check_version("kornia", version, (0, 8) <= numbers < (1,), "at least 0.8 and below 1")
    return importlib.import_module("segaug.adapters._kornia")


def _albumentations() -> ModuleType:
    version = require("albumentations", extra="albumentations").__version__
    _check_version("albumentations", version, version == "2.0.8", "2.0.8")
    return importlib.import_module("segaug.adapters._albumentations")


def _plan_kornia(transform: Any) -> Node | None:
    return _kornia().plan(transform)


def _plan_albumentations(transform: Any) -> Node | None:
    return _albumentations().plan(transform)


def kornia_support() -> list[Support]:
    """List every class of ``kornia.augmentation``, and kornia's three policies, by name.

    Raises:
        ImportError: If kornia is not installed or of a version that is not supported.

    Example:
        >>> {row.name: row.how for row in kornia_support()}["RandomPerspective"]
        'batched'
    """
    return [Support(*row) for row in _kornia().support()]


def albumentations_support() -> list[Support]:
    """List every transform and container of albumentations by name.

    Raises:
        ImportError: If albumentations is not installed or of a version that is not supported.

    Example:
        >>> {row.name: row.how for row in albumentations_support()}["GridDistortion"]
        'looped'
    """
    return [Support(*row) for row in _albumentations().support()]


# Read by albumentations when it is imported, which may be long after this.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
register_adapter("kornia", _plan_kornia)
register_adapter("albumentations", _plan_albumentations)
