"""Image classification data that the package ``datasets`` of Hugging Face opens."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
from torch.utils.data import Dataset

from segaug._optional import require
from segaug.data._dataset_images import DatasetImages, as_targets
from segaug.data._options import parse_options
from segaug.data._pictures import Size
from segaug.data._splits import Source, split_images

__all__ = ["open_hugging_face"]

_PREFIX = "hf:"
_TRAIN = ("train",)
_VAL = ("validation", "valid", "val", "test")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_OPTIONS = ("image", "label")


def open_hugging_face(
    text: str,
    *,
    root: Path | None,
    download: bool,
    size: Size,
    limit_per_class: int | None,
    seed: int,
    train_split: str | None,
    val_split: str | None,
) -> tuple[DatasetImages, DatasetImages]:
    """Open ``NAME_OR_PATH[:CONFIG][,image=COLUMN][,label=COLUMN]``; see ``open_data``."""
    # A folder's name may hold commas.
    path, options = (text, {}) if Path(text).expanduser().exists() else parse_options(text)
    for option in options:
        if option not in _OPTIONS:
            raise TypeError(f"{_PREFIX}{path} has the options {', '.join(_OPTIONS)}, got {option!r}")
    path, config = _path_and_config(path)
    title = f"{_PREFIX}{path}" + (f":{config}" if config else "")
    splits = _load(path, config, title, root, download)
    if not isinstance(splits, dict):
        # A single dataset, without splits.
        splits = {"all of it": splits}
    train_name, val_name = _split_names(title, list(splits), train_split, val_split)
    image, label = _columns(title, splits[train_name].features, options)
    names = _class_names([splits[split] for split in (train_name, val_name) if split is not None], label)
    train = _source(splits[train_name], f"{title} ({train_name})", image, label, names)
    val = None if val_name is None else _source(splits[val_name], f"{title} ({val_name})", image, label, names)
    return split_images(train, val, size=size, limit_per_class=limit_per_class, seed=seed)


def _path_and_config(path: str) -> tuple[str, str | None]:
    if Path(path).expanduser().exists() or ":" not in path:
        return path, None
    name, _, config = path.rpartition(":")
    return name, config


def _load(path: str, config: str | None, title: str, root: Path | None, download: bool) -> Any:
    datasets = require("datasets", extra="datasets")
    cache = None if root is None else str(root)
    folder = Path(path).expanduser()
    if folder.is_dir():
        if any((folder / name).exists() for name in ("dataset_dict.json", "state.json")):
            return datasets.load_from_disk(str(folder))
        return _load_dataset(str(folder), config, title, cache)
    if folder.exists():
        raise ValueError(f"{title} must be a folder or a dataset's name on the Hugging Face hub, got a file")
    if not _HUB_NAME.fullmatch(path) or path.startswith("."):
        raise FileNotFoundError(f"there is no folder {folder}, and {path!r} is no dataset's name on the hub")
    if not download:
        raise FileNotFoundError(
            f"there is no folder {folder}; if {path} is on the Hugging Face hub, get it with --download (download=True), "
            f"which downloads only what is not there yet"
        )
    return _load_dataset(path, config, title, cache)


def _load_dataset(path: str, config: str | None, title: str, cache: str | None) -> Any:
    datasets = require("datasets", extra="datasets")
    try:
        return datasets.load_dataset(path, config, cache_dir=cache)
    except datasets.exceptions.DatasetGenerationError as error:
        # It says only that it failed; what failed is its cause.
        raise ValueError(f"cannot read {title}: {error.__cause__ or error}") from error


def _split_names(
    title: str, present: Sequence[str], train_split: str | None, val_split: str | None
) -> tuple[str, str | None]:
    for argument, name in (("train_split", train_split), ("val_split", val_split)):
        if name is not None and name not in present:
            raise ValueError(f"{argument} must be a split of {title} ({', '.join(present)}), got {name!r}")
    if train_split is None and len(present) == 1 and val_split is None:
        return present[0], None
    train = train_split or next((name for name in _TRAIN if name in present), None)
    val = val_split or next((name for name in _VAL if name in present and name != train), None)
    if train is None or (val is None and len(present) > 1):
        lacks = f"none named {' or '.join(_TRAIN if train is None else _VAL)}"
        raise ValueError(
            f"{title} has the splits {', '.join(present)}, {lacks}; name yours with train_split and val_split"
        )
    return train, val


def _columns(title: str, features: Any, options: dict[str, Any]) -> tuple[str, str]:
    """The columns of pictures and of classes."""
    datasets = require("datasets", extra="datasets")
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    found = []
    for option, kind, what in (("image", datasets.Image, "pictures"), ("label", datasets.ClassLabel, "classes")):
        if option in options:
            name = str(options[option])
            if name not in kinds:
                raise ValueError(f"{option} must be a column of {title} ({', '.join(kinds)}), got {name!r}")
        else:
            names = [name for name, feature in features.items() if isinstance(feature, kind)]
            if len(names) != 1:
                came = ", ".join(f"{name} ({type_name})" for name, type_name in kinds.items())
                raise ValueError(
                    f"{title} must have one column of {what} ({kind.__name__}), got {len(names)} among {came}; "
                    f"name yours as in {title},{option}=COLUMN"
                )
            name = names[0]
        found.append(name)
    if not isinstance(features[found[0]], datasets.Image):
        raise ValueError(f"image must be a column of type Image, got {found[0]} ({kinds[found[0]]}) of {title}")
    return found[0], found[1]


def _class_names(splits: Sequence[Any], label: str) -> list[str] | None:
    """The names of a ClassLabel; of a column of text, the texts in order; None for one of plain ints."""
    values: set[str] = set()
    for split in splits:
        if label not in split.features:
            continue
        names = getattr(split.features[label], "names", None)
        if names is not None:
            return list(names)
        column = list(split.select_columns([label])[label])
        if not all(isinstance(value, str) for value in column):
            return None
        values.update(column)
    return sorted(values)


def _source(dataset: Any, name: str, image: str, label: str, classes: list[str] | None) -> Source:
    for column in (image, label):
        if column not in dataset.features:
            raise ValueError(f"{name} must have the column {column}, got {', '.join(dataset.features)}")
    own = getattr(dataset.features[label], "names", None)
    if own is not None and classes is not None:
        classes = list(own)
    values: list[Any] = list(dataset.select_columns([label])[label])
    unlabelled = sum(value is None or value == -1 for value in values)
    if unlabelled:
        raise ValueError(
            f"{name} must have a class for every item, {unlabelled} of {len(values)} have none; "
            f"take another split with train_split and val_split"
        )
    if classes is not None and own is None:
        index = {text: place for place, text in enumerate(classes)}
        values = [index.get(value, value) for value in values]
    targets = as_targets(values)
    if targets is None:
        raise ValueError(f"{name} must have ints or texts as classes, got {type(values[0]).__name__} in {label}")
    return Source(_Pairs(dataset.select_columns([image]), image, targets), targets, classes, name)


class _Pairs(Dataset[tuple[Any, int]]):
    def __init__(self, dataset: Any, image: str, targets: list[int]) -> None:
        self._dataset, self._image, self._targets = dataset, image, targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[PIL.Image.Image, int]:
        return self._dataset[index][self._image], self._targets[index]
