"""What is augmented, and how strongly: the numbers to turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms import v2

from segaug._checks import check_choice, check_int
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.transforms import PerSegment, PositionJitter, RandomMirror, SegmentDrop

__all__ = ["RECIPES", "Recipe", "make_recipe"]

RECIPES = ("none", "image", "segment", "both")


@dataclass(frozen=True)
class Recipe:
    """Where a training loop augments.

    Args:
        image: Changes a :class:`~segaug.SegmentedImage` before it is tokenised, each image by its own draw; None leaves
            the stored tokens as they are.
        tokens: Changes a batch of :class:`~segaug.SegmentTokens`; None leaves it as it is.
        batch: Changes a batch and its targets after that: ``(tokens, targets)`` to ``(tokens, targets)``, as
            :class:`~segaug.SegmentMix` and :class:`~segaug.BackgroundSwap` do. Targets are (B,) classes, and may become
            soft, (B, classes). None leaves both as they are.
    """

    image: Callable[[SegmentedImage], SegmentedImage] | None = None
    tokens: Callable[[SegmentTokens], SegmentTokens] | None = None
    batch: Callable[[SegmentTokens, torch.Tensor], tuple[SegmentTokens, torch.Tensor]] | None = None


def make_recipe(name: str, *, image_size: int | tuple[int, int] = 144) -> Recipe:
    """Make one of the recipes that the example offers.

    Args:
        name: ``"none"``; ``"image"``, a flip, crop and colour jitter of the whole picture before it is tokenised;
            ``"segment"``, a flip and colour jitter of every segment by its own draw, noise on the boxes and areas,
            segments left out, and a mirror image of the whole; or ``"both"``, a weaker crop and colour jitter of the whole
            picture and then what ``"segment"`` does. Tokenising anew makes ``"image"`` and ``"both"`` the slower ones.
            There is no crop within a segment: it takes longer and made no difference beyond the spread where it was
            measured (see the docs' report).
        image_size: Height and width of the pictures, or (height, width), for ``"image"`` and ``"both"``.

    Returns:
        The recipe.

    Raises:
        ValueError: If there is no such recipe, or a size is below 1.

    Example:
        >>> make_recipe("none")
        Recipe(image=None, tokens=None, batch=None)
        >>> make_recipe("image").tokens is None, make_recipe("segment").image is None
        (True, True)
    """
    check_choice("name", name, RECIPES)
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if len(sides) != 2:
        raise ValueError(f"image_size must be an int or (height, width), got {image_size}")
    for side in sides:
        check_int("image_size", side, minimum=1)
    if name == "image":
        return Recipe(image=_of_images(sides, smallest=0.6, jitter=(0.3, 0.3, 0.3, 0.05)))
    if name == "segment":
        return Recipe(tokens=_of_segments())
    if name == "both":
        return Recipe(image=_of_images(sides, smallest=0.85, jitter=(0.2, 0.2, 0.2, 0.02)), tokens=_of_segments())
    return Recipe()


def _of_images(sides: tuple[int, int], *, smallest: float, jitter: tuple[float, float, float, float]) -> Any:
    """What changes a whole picture; the smallest crop has that share of its area."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(sides, scale=(smallest, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(*jitter),
        ]
    )


def _of_segments() -> Any:
    """What changes tokens."""
    per_segment = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.3, 0.3, 0.3, 0.05)], p=0.8),
        ]
    )
    return v2.Compose(
        [
            # First, so that no work is spent on segments that are left out.
            SegmentDrop(0.1),
            PerSegment(per_segment),
            PositionJitter(0.02, 0.2, mode="translate_scale"),
            RandomMirror(),
        ]
    )
