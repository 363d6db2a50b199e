"""From a dataset's splits to images to train on and to validate on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from segaug.data._dataset_images import DatasetImages, places_by_class
from segaug.data._pictures import Size, chosen

__all__ = ["Source", "split_images"]

_HELD_OUT = 5


@dataclass(frozen=True)
class Source:
    """A split: a dataset of (PIL image, int), its targets, its classes' names where it has any, and its own name."""

    dataset: Any
    targets: Sequence[int]
    classes: Sequence[str] | None
    name: str


def split_images(
    train: Source, val: Source | None, *, size: Size, limit_per_class: int | None, seed: int
) -> tuple[DatasetImages, DatasetImages]:
    """The images of two splits, or of one: then a fifth of each class, always the same, is to validate on.

    Classes that no image has are left out; one that only a split has is a ValueError.
    """
    val_name = f"the part of {train.name} held out for validation" if val is None else val.name
    if val is None:
        train_places, val_places = _hold_out(train.targets)
        val = train
    else:
        train_places, val_places = list(range(len(train.targets))), list(range(len(val.targets)))
    if train.classes is not None and val.classes is not None and list(train.classes) != list(val.classes):
        only = [sorted(set(a) - set(b)) for a, b in ((train.classes, val.classes), (val.classes, train.classes))]
        raise ValueError(
            f"{train.name} and {val_name} must have the same classes in the same order; "
            f"only in train: {only[0]}, only in val: {only[1]}"
        )
    names = train.classes
    seen = [
        {source.targets[place] for place in places} for source, places in ((train, train_places), (val, val_places))
    ]
    kept = sorted(seen[0] | seen[1])
    strangers = [] if names is None else [target for target in kept if not 0 <= target < len(names)]
    if names is not None and strangers:
        raise ValueError(
            f"targets must be from 0 to {len(names) - 1}, got {strangers[0]} in {train.name} or {val_name}"
        )

    def label(target: int) -> str:
        return str(target) if names is None else names[target]

    for where, mine in ((train.name, seen[0]), (val_name, seen[1])):
        missing = [label(target) for target in kept if target not in mine]
        if missing:
            shown = f"{missing[:8]}" + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            raise ValueError(f"classes must have images to train on and to validate on; none in {where}: {shown}")
    classes = [label(target) for target in kept]
    if len(classes) < 2:
        raise ValueError(f"{train.name} must hold at least two classes, got {classes}")
    index_of = {target: index for index, target in enumerate(kept)}

    def images(source: Source, places: Sequence[int], limit: int | None, name: str) -> DatasetImages:
        # Targets of items that are in neither part are never looked at.
        targets = [index_of.get(target, 0) for target in source.targets]
        return DatasetImages(
            source.dataset,
            classes,
            size=size,
            targets=targets,
            indices=places,
            limit_per_class=limit,
            seed=seed,
            name=name,
        )

    return images(train, train_places, limit_per_class, train.name), images(val, val_places, None, val.name)


def _hold_out(targets: Sequence[int]) -> tuple[list[int], list[int]]:
    held: list[int] = []
    for places in places_by_class(targets).values():
        names = [str(place) for place in places]
        held.extend(places[choice] for choice in chosen(names, max(1, len(places) // _HELD_OUT), "validation"))
    rest = set(range(len(targets))) - set(held)
    return sorted(rest), sorted(held)
