"""Torchvision's classification datasets by their class names."""

import difflib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torchvision.datasets

from segaug._checks import describe
from segaug.data._dataset_images import DatasetImages, as_targets, read_targets
from segaug.data._options import parse_options
from segaug.data._pictures import Size
from segaug.data._splits import Source, split_images

__all__ = ["open_torchvision"]

_PREFIX = "torchvision:"
# In the order in which they are looked for; torchvision has no one word.
_TRAIN = ("train", "trainval", "train-standard")
_VAL = ("val", "valid", "validation", "test")
# Where torchvision's datasets keep their targets, if they know them without reading images.
_TARGETS = ("targets", "labels", "_labels", "y")
_SAMPLES = ("samples", "_samples")


def open_torchvision(
    text: str,
    *,
    root: Path,
    download: bool,
    size: Size,
    limit_per_class: int | None,
    seed: int,
    train_split: str | None,
    val_split: str | None,
) -> tuple[DatasetImages, DatasetImages]:
    """Open ``NAME`` or ``NAME,OPTION=VALUE``, options of the dataset's constructor; see ``open_data``."""
    name, options = parse_options(text)
    kind = _find(name)
    parameters = _parameters(kind)
    offered = [word for word in parameters if word != "download"]
    for option in options:
        if option not in offered:
            raise TypeError(f"{_PREFIX}{name} has the options {', '.join(offered)}, got {option!r}")
    if "root" in parameters:
        options.setdefault("root", str(root))
    if "download" in parameters:
        # Said also where it is False: a few datasets would download by default.
        options["download"] = download
    # EMNIST has both, and its `split` is another thing.
    by = next((word for word in ("train", "split", "image_set") if word in parameters), None)
    if by in options:
        by = None
    missing = [
        word for word, parameter in parameters.items()
        if parameter.default is parameter.empty and word not in options and word != by
    ]  # fmt: skip
    if missing:
        raise TypeError(f"{_PREFIX}{name} needs {', '.join(missing)}, as in {_PREFIX}{name},{missing[0]}=...")
    if by in (None, "train") and not (train_split is None and val_split is None):
        has = (
            "has no splits to name" if by is None else "has the splits train=True and train=False, with no other names"
        )
        raise ValueError(f"{_PREFIX}{name} {has}, got train_split={train_split!r}, val_split={val_split!r}")
    if by is None:
        train = _source(kind, name, options, "")
        return split_images(train, None, size=size, limit_per_class=limit_per_class, seed=seed)
    if by == "train":
        sources = [_source(kind, name, {**options, by: flag}, f" (train={flag})") for flag in (True, False)]
    else:
        sources = [
            _source_of_first(kind, name, options, by, split_names)
            for split_names in (
                _TRAIN if train_split is None else (train_split,),
                _VAL if val_split is None else (val_split,),
            )
        ]
    return split_images(sources[0], sources[1], size=size, limit_per_class=limit_per_class, seed=seed)


def _find(name: str) -> type:
    kinds = {
        word: getattr(torchvision.datasets, word)
        for word in torchvision.datasets.__all__
        if inspect.isclass(getattr(torchvision.datasets, word)) and word != "VisionDataset"
    }
    if name in kinds:
        return kinds[name]
    lower = {word.lower(): word for word in kinds}
    close = [lower[word] for word in difflib.get_close_matches(name.lower(), lower, n=3)]
    advice = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f"{_PREFIX}NAME must name a class of torchvision.datasets, got {name!r}{advice}")


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    """The constructor's parameters, those that it hands on to a base class as ``**kwargs`` included."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in own:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return found


def _source_of_first(kind: type, name: str, options: dict[str, Any], by: str, names: Sequence[str]) -> Source:
    """The first split that the dataset has."""
    refusals = []
    for split in names:
        try:
            return _source(kind, name, {**options, by: split}, f" ({by}={split})")
        except _NoSplitError as error:
            refusals.append(str(error))
    words = " or ".join(repr(split) for split in names)
    raise ValueError(f"{_PREFIX}{name} has no {by} {words}; name yours with train_split and val_split ({refusals[0]})")


class _NoSplitError(ValueError):
    """The dataset has no split of that name."""


def _source(kind: type, name: str, options: dict[str, Any], part: str) -> Source:
    dataset = _construct(kind, name, options)
    title = f"{_PREFIX}{name}{part}"
    classes = getattr(dataset, "classes", None)
    names = None
    if isinstance(classes, list | tuple) and classes:
        # ImageNet's are tuples of synonyms.
        names = [entry if isinstance(entry, str) else ", ".join(map(str, entry)) for entry in classes]
    return Source(dataset, _targets(dataset, title), names, title)


def _construct(kind: type, name: str, options: dict[str, Any]) -> Any:
    root = options.get("root")
    try:
        return kind(**options)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        # What torchvision's check of a split's name says.
        if isinstance(error, ValueError) and "for argument " in reason and "Valid values" in reason:
            raise _NoSplitError(reason) from error
        if not isinstance(error, OSError | RuntimeError):
            raise
        if isinstance(error.__context__, ImportError):
            # PCAM hides that a package is missing.
            raise ImportError(f"{_PREFIX}{name} needs a package: {reason}") from error
        if options.get("download"):
            raise OSError(f"cannot download {_PREFIX}{name} to {root}: {reason}") from error
        advice = (
            "download it with --download (download=True)"
            if "download" in _parameters(kind)
            else "torchvision cannot download it: put it there as torchvision's documentation says"
        )
        raise FileNotFoundError(f"{_PREFIX}{name} is not in {root}; {advice} ({reason})") from error


def _targets(dataset: Any, name: str) -> list[int]:
    first: Any = None
    try:
        first = dataset[0]
    # Whatever a broken first image raises: the others, and the stored targets, may be fine.
    except Exception:
        readable = False
    else:
        readable = True
        target = first[1] if isinstance(first, tuple) and len(first) == 2 else None
        if as_targets([target]) is None:
            raise ValueError(
                f"{name} is no classification dataset: its items must be a picture and an int, got {_kinds(first)}"
            )
    for attribute in (*_TARGETS, *_SAMPLES):
        values = getattr(dataset, attribute, None)
        if values is None:
            continue
        if attribute in _SAMPLES:
            values = [sample[-1] if isinstance(sample, tuple) else None for sample in values]
        targets = as_targets(values)
        # An attribute of that name may hold something else.
        if targets and len(targets) == len(dataset) and (not readable or targets[0] == int(first[1])):
            return targets
    return read_targets(dataset, name)


def _kinds(item: Any) -> str:
    if isinstance(item, tuple | list):
        return f"({', '.join(type(part).__name__ for part in item)})"
    return describe(item)
