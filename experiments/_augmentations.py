"""Augmentations by name, for the rows of the tables."""

from collections.abc import Callable
from typing import Any

from torchvision.transforms import v2

from segaug import BackgroundSwap, PerSegment, PositionJitter, RandomMirror, SegmentDrop, SegmentMix
from segaug.training import Recipe

__all__ = ["make_recipe_by_name"]

_JITTER = (0.3, 0.3, 0.3, 0.05)
# In the order in which they are applied: what leaves tokens out, what changes each of them, what changes their places.
_DROP: dict[str, float] = {"drop": 0.1}
_PER_SEGMENT: dict[str, Callable[[], Any]] = {
    "flip": lambda: v2.RandomHorizontalFlip(),
    "crop": lambda: v2.RandomResizedCrop(16, scale=(0.7, 1.0), antialias=True),
    "color": lambda: v2.RandomApply([v2.ColorJitter(*_JITTER)], p=0.8),
}
_PLACES: dict[str, Callable[[], Any]] = {
    "position": lambda: PositionJitter(0.02, 0.2, mode="translate_scale"),
    "mirror": lambda: RandomMirror(),
}
_BATCH: dict[str, Callable[[int], Any]] = {
    "swap": lambda classes: BackgroundSwap(0.5),
    "mix": lambda classes: SegmentMix(num_classes=classes, p=0.5),
}


def _image(size: tuple[int, int], smallest: float, *rest: Any) -> Any:
    return v2.Compose(
        [v2.RandomResizedCrop(size, scale=(smallest, 1.0), antialias=True), v2.RandomHorizontalFlip(), *rest]
    )


# On the whole picture, before it is tokenised; for Grid, before it is cut.
_IMAGE: dict[str, Callable[[tuple[int, int]], Any]] = {
    "image": lambda size: _image(size, 0.6, v2.ColorJitter(*_JITTER)),
    "image-strong": lambda size: _image(size, 0.35, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "image-weak": lambda size: _image(size, 0.85, v2.ColorJitter(0.2, 0.2, 0.2, 0.02)),
}


def make_recipe_by_name(name: str, *, size: int | tuple[int, int], classes: int) -> Recipe:
    """Make the recipe of a row: ``none``, or names joined by ``+``."""
    height, width = (size, size) if isinstance(size, int) else size
    parts = [] if name == "none" else name.split("+")
    known = [*_IMAGE, *_DROP, *_PER_SEGMENT, *_PLACES, *_BATCH]
    unknown = set(parts) - set(known)
    if unknown:
        raise ValueError(f"augment must be none, or some of {known}, got {sorted(unknown)}")
    images = [make((height, width)) for part, make in _IMAGE.items() if part in parts]
    tokens: list[Any] = [SegmentDrop(share) for part, share in _DROP.items() if part in parts]
    wrapped = [make() for part, make in _PER_SEGMENT.items() if part in parts]
    if wrapped:
        tokens.append(PerSegment(v2.Compose(wrapped)))
    tokens += [make() for part, make in _PLACES.items() if part in parts]
    batch = [make(classes) for part, make in _BATCH.items() if part in parts]
    return Recipe(
        image=images[0] if images else None,
        tokens=v2.Compose(tokens) if tokens else None,
        batch=_in_turn(batch) if batch else None,
    )


def _in_turn(transforms: list[Any]) -> Callable[[Any, Any], Any]:
    def apply(tokens: Any, targets: Any) -> Any:
        for transform in transforms:
            # BackgroundSwap leaves targets alone, and SegmentMix mixes them.
            tokens, targets = transform(tokens, targets)
        return tokens, targets

    return apply
