"""What holds for the positions of tokens: a mirrored picture has mirrored positions."""

from typing import Any

import torch

from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._property import declare
from segaug.testing.properties._coordinates import Movement, trace

__all__ = ["positions_follow_pixels"]

_AXES = {(True, False): "x", (False, True): "y", (True, True): "x and y"}
# Other seeds that are tried, to tell a mirror from a move of the boxes that is drawn for itself.
_OTHERS = 8
_TOLERANCE = 1e-5


@declare("segment_tokens", is_geometric=True)
def positions_follow_pixels(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """If T_s mirrors all patches along an axis and moves boxes, it mirrors the boxes along it: x0, x1 -> 1 - x1, 1 - x0.

    It does not apply where boxes stay, as a segment that is flipped has not moved, nor where boxes also move by draws of
    their own.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens of one image.
        seed: Where the draws start.

    Raises:
        PropertyFailed: If the boxes have moved otherwise.
        NotApplicable: If not all patches are mirrored alike, or boxes stay or are moved by other draws.

    Example:
        >>> from segaug import Grid, RandomMirror, SegmentedImage, Tokenize
        >>> image = torch.zeros(3, 8, 8)
        >>> tokens = Tokenize(size=4, background=False)(SegmentedImage(image, Grid(1, 2)(image)))
        >>> positions_follow_pixels(RandomMirror(p=1), tokens)
    """
    augmentation = Augmentation.of(transform)
    movement = trace(augmentation, sample, seed)
    axes = _mirrored(movement)
    if not any(axes):
        raise NotApplicable("it does not mirror all patches along one axis")
    before, after = plain(sample.boxes), plain(movement.output.boxes)
    if torch.equal(before, after):
        raise NotApplicable("it leaves boxes where they are")
    expected = _mirror(before, axes)
    places = sample.labels > 0
    wrong = ((after - expected).abs() > _TOLERANCE).any(-1) & plain(places)
    if wrong.any():
        _check_drawn_alike(augmentation, sample, seed, axes, after)
        i = int(wrong.nonzero()[0])
        raise PropertyFailed(
            f"patches are mirrored along {_AXES[axes]}, and boxes[{i}] {_text(before[i])} has come to {_text(after[i])}, "
            f"not to {_text(expected[i])}"
        )


def _mirrored(movement: Movement) -> tuple[bool, bool]:
    """Along which axes all patches are mirrored; (False, False) if that cannot be told."""
    tokens: SegmentTokens = movement.given
    height, width = movement.size
    kept = [i for i, label in enumerate(plain(tokens.labels).tolist()) if label >= 0]
    if not kept or movement.x.shape != (len(tokens.labels), height, width) or min(height, width) < 2:
        return False, False
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y, valid = movement.x[kept], movement.y[kept], movement.valid[kept]
    if not bool(movement.exact[kept].all()):
        return False, False
    for flip_x, flip_y in _AXES:
        expected_x = width - 1 - columns if flip_x else columns
        expected_y = height - 1 - rows if flip_y else rows
        if bool((((x - expected_x).abs() < 0.25) & ((y - expected_y).abs() < 0.25))[valid].all()):
            return flip_x, flip_y
    return False, False


def _check_drawn_alike(
    augmentation: Augmentation, sample: SegmentTokens, seed: int, axes: tuple[bool, bool], after: torch.Tensor
) -> None:
    """Raise NotApplicable if under other seeds the boxes move although patches are not mirrored, or to other places."""
    for other in range(1, _OTHERS + 1):
        try:
            movement = trace(augmentation, sample, seed + other)
        except (NotApplicable, TransformFailed):
            continue
        boxes = plain(movement.output.boxes)
        found = _mirrored(movement)
        alike = torch.equal(boxes, after if found == axes else plain(sample.boxes))
        if not alike and (found == axes or not any(found)):
            raise NotApplicable("it moves boxes by draws of their own")


def _mirror(boxes: torch.Tensor, axes: tuple[bool, bool]) -> torch.Tensor:
    x0, y0, x1, y1 = boxes.unbind(-1)
    if axes[0]:
        x0, x1 = 1 - x1, 1 - x0
    if axes[1]:
        y0, y1 = 1 - y1, 1 - y0
    return torch.stack([x0, y0, x1, y1], -1)


def _text(box: torch.Tensor) -> str:
    return "(" + ", ".join(f"{float(value):g}" for value in box) + ")"
