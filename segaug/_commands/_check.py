"""``segaug check``: hold properties against a transform, from the shell."""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["add_check", "run_check"]

_DTYPES = ("uint8", "float16", "float32", "float64")


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enter the command and its options."""
    check = commands.add_parser(
        "check",
        help="hold properties against an augmentation, and show the smallest example of each that fails",
        description="Hold properties against an augmentation, and show the smallest example of each that fails. "
        "Exit status: 0 if none failed, 1 if one did or none could be checked, 2 if something is wrong with what was "
        "asked for.",
    )
    check.add_argument(
        "target",
        metavar="MODULE:OBJECT",
        help="the transform, or its class if that needs no arguments; "
        "MODULE is a dotted name or a file, as in my_package.transforms:MyFlip or flips.py:flip",
    )
    check.add_argument(
        "--accepts",
        action="append",
        metavar="KIND",
        help="image, image_batch, annotated_image, segmented_image, segment_tokens or token_batch; several times, or with "
        "commas; found by trying if left out",
    )
    moves = check.add_mutually_exclusive_group()
    moves.add_argument("--geometric", dest="is_geometric", action="store_true", default=None, help="it moves pixels")
    moves.add_argument(
        "--not-geometric", dest="is_geometric", action="store_false", default=None, help="it moves no pixels"
    )
    check.add_argument(
        "--input", default="tensor", choices=("tensor", "numpy", "pil"), help="what a function of no library takes"
    )
    check.add_argument("--dtype", action="append", choices=_DTYPES, help="dtypes of images; several times")
    check.add_argument(
        "--channels", action="append", type=int, choices=(1, 3), help="channels of images; several times"
    )
    check.add_argument("--min-side", type=int, metavar="PIXELS", help="the shortest side of an image that it takes")
    check.add_argument("--max-examples", type=int, default=100, help="samples per property (default: 100)")
    check.add_argument("--seed", type=int, default=0, help="decides all draws (default: 0)")
    check.add_argument("--deadline", type=float, default=10.0, help="seconds that one call may take (default: 10)")
    check.add_argument("--only", action="append", metavar="PROPERTY", help="check these only; several times")
    check.add_argument(
        "--skip", action="append", metavar="PROPERTY=REASON", help="do not check it, and say why; several times"
    )
    check.set_defaults(run=run_check)


def run_check(options: argparse.Namespace) -> int:
    """Check, print the report, and return 1 if a property failed."""
    # Here, as it needs an extra that the other commands do not need.
    import torch

    from segaug.testing import check_augmentation

    transform, factory = _load(options.target)
    report = check_augmentation(
        transform,
        accepts=_split(options.accepts),
        is_geometric=options.is_geometric,
        max_examples=options.max_examples,
        seed=options.seed,
        factory=factory,
        input=options.input,
        dtypes=[getattr(torch, name) for name in options.dtype] if options.dtype else None,
        channels=options.channels,
        min_side=options.min_side,
        only=_split(options.only),
        skip=dict(_reason(entry) for entry in options.skip or []),
        deadline=options.deadline,
    )
    print(report)
    return 0 if report.ok else 1


def _split(values: list[str] | None) -> list[str] | None:
    return None if values is None else [part.strip() for value in values for part in value.split(",")]


def _reason(entry: str) -> tuple[str, str]:
    name, found, reason = entry.partition("=")
    if not found or not reason.strip():
        raise ValueError(f"--skip must be PROPERTY=REASON, got {entry}")
    return name.strip(), reason.strip()


def _load(target: str) -> tuple[Any, Any]:
    """The transform that is named, and its class if one was."""
    where, found, name = target.rpartition(":")
    if not found or not where or not name:
        raise ValueError(f"MODULE:OBJECT must name a module and an object in it, as in flips.py:flip, got {target}")
    value: Any = _import(where)
    for part in name.split("."):
        if not hasattr(value, part):
            raise ValueError(f"{where} has no {name}")
        value = getattr(value, part)
    if not isinstance(value, type):
        return value, None
    try:
        return value(), value
    except TypeError as error:
        raise TypeError(
            f"{target} is a class that needs arguments: make an instance in the module ({error})"
        ) from error


def _import(where: str) -> ModuleType:
    # As python -m does: a module of the folder that one stands in.
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 (sys.path holds strings)
        sys.path.insert(0, here)
    if not where.endswith(".py"):
        return _run_import(where, lambda: importlib.import_module(where))
    path = Path(where)
    if not path.is_file():
        raise FileNotFoundError(f"MODULE must be a dotted name or a file, found none at {where}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {where}")
    module = importlib.util.module_from_spec(spec)
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise ValueError(
            f"MODULE must have a name of its own, and {path.stem} is that of a module in use: rename {where}"
        )
    # Pickle looks a class up by its module's name.
    sys.modules[path.stem] = module
    loader = spec.loader
    _run_import(where, lambda: loader.exec_module(module))
    return module


def _run_import(where: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise ImportError(f"importing {where} raised {type(error).__name__}: {error}") from error
