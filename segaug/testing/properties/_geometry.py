"""What holds for transforms that move pixels: the parts of a sample move together."""

from typing import Any

import torch

from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._affine import fit_affine
from segaug.testing.properties._coordinates import Movement, trace
from segaug.testing.properties._pictures import picture_name

__all__ = ["moves_everything_together"]


@declare("annotated_image", "segmented_image", "segment_tokens", is_geometric=True)
def moves_everything_together(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For y = T_s(x): if y's pixel q is x's pixel p, so are q and p in masks, maps, alpha and key points.

    Where pixels come from is read from pictures whose grey is a coordinate, transformed with the sample's other parts. What
    has moved pixel by pixel (flips, crops, pads, quarter turns) must be equal; else a mask must be what it was within a pixel
    around the source, and a key point within a pixel, of the input or the output, whichever is larger. Fill is not looked at,
    nor what the map leaves in no segment. Boxes are for ``boxes_follow_masks``.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: An annotated image, a segmented image, or tokens.
        seed: Where the draws start.

    Raises:
        PropertyFailed: If a part moves otherwise than the picture.
        NotApplicable: If the transform changes colours too, so that coordinates cannot be read, or draws by other streams.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import SegmentedImage
        >>> sample = SegmentedImage(torch.zeros(1, 1, 3), torch.tensor([[1, 1, 0]]))
        >>> moves_everything_together(v2.RandomHorizontalFlip(1), sample)
        >>> def flip_picture(sample):
        ...     return SegmentedImage(sample.image.flip(-1), sample.segments)
        >>> moves_everything_together(flip_picture, sample)
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: segments[0, 0] is 1, but its pixel comes from [0, 2], where it was 0
    """
    augmentation = Augmentation.of(transform)
    movement = trace(augmentation, sample, seed)
    given, output = movement.given, movement.output
    size = movement.x.shape[-2:]
    parts = named_leaves(output)
    for name in ("masks", "segments", "alpha"):
        if name in parts and parts[name].shape[-2:] != size:
            raise PropertyFailed(
                f"{name} are of {_by(parts[name].shape[-2:])} pixels, the {picture_name(sample)} of {_by(size)}"
            )
    if isinstance(sample, SegmentedImage):
        _check_map(movement, plain(given.segments), plain(output.segments))
    elif isinstance(sample, SegmentTokens):
        _check_alpha(movement, given, output)
    else:
        before, after = plain(given["masks"]), plain(output["masks"])
        if len(before) == len(after):
            for i, (mask, moved) in enumerate(zip(before, after, strict=True)):
                _check_mask(movement, 0, mask, moved, f"masks[{i}]")
        _check_points(movement, given["keypoints"], output["keypoints"])


def _by(shape: Any) -> str:
    return "x".join(map(str, shape))


def _windows(movement: Movement, item: int, slack: float) -> tuple[torch.Tensor, ...]:
    """First and last row and column of where each pixel's source may lie, (H', W') int64 each."""
    x, y = movement.x[item], movement.y[item]
    if movement.exact[item]:
        x, y, radius = x.round(), y.round(), 0.0
    else:
        radius = 1 + movement.step / 2 + slack
    height, width = movement.size
    return (
        (y - radius).ceil().clamp(0, height - 1).long(),
        (y + radius).floor().clamp(0, height - 1).long(),
        (x - radius).ceil().clamp(0, width - 1).long(),
        (x + radius).floor().clamp(0, width - 1).long(),
    )


def _share(mask: torch.Tensor, window: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """How much of each window a mask (H, W) covers, from 0 to 1."""
    top, bottom, left, right = window
    sums = torch.nn.functional.pad(mask.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    inside = sums[bottom + 1, right + 1] - sums[top, right + 1] - sums[bottom + 1, left] + sums[top, left]
    return inside / ((bottom - top + 1) * (right - left + 1))


def _check_mask(
    movement: Movement, item: int, mask: torch.Tensor, moved: torch.Tensor, name: str, slack: float = 0.0
) -> None:
    share = _share(mask, _windows(movement, item, slack))
    wrong = movement.valid[item] & ((moved & (share == 0)) | (~moved & (share == 1)))
    if wrong.any():
        place = wrong.nonzero()[0].tolist()
        was = bool(share[tuple(place)] > 0)
        _fail(movement, item, place, name, bool(moved[tuple(place)]), was)


def _check_map(movement: Movement, before: torch.Tensor, after: torch.Tensor) -> None:
    window = _windows(movement, 0, movement.blur)
    for label in before.unique().tolist():
        # A label that came new, or a pixel that left its segment, is no movement.
        share = _share(before == label, window)
        wrong = movement.valid[0] & (after == label) & (share == 0)
        if label and wrong.any():
            place = wrong.nonzero()[0].tolist()
            top, bottom, left, right = (side[tuple(place)] for side in window)
            was = before[top : bottom + 1, left : right + 1].unique().tolist()
            _fail(movement, 0, place, "segments", label, was[0] if len(was) == 1 else was)


def _check_alpha(movement: Movement, given: SegmentTokens, output: SegmentTokens) -> None:
    if plain(given.labels).shape != plain(output.labels).shape:
        raise NotApplicable("it changes the number of tokens")
    before, after = plain(given.alpha), plain(output.alpha).double()
    full = 1 if output.alpha.is_floating_point() else 255
    for i, label in enumerate(plain(given.labels).tolist()):
        if label >= 0:
            _check_mask(movement, i, before[i] > 0, after[i] * 2 >= full, f"alpha[{i}]", movement.blur)


def _fail(movement: Movement, item: int, place: list[int], name: str, found: Any, was: Any) -> None:
    row, column = (round(float(where[item, place[0], place[1]]), 1) for where in (movement.y, movement.x))
    raise PropertyFailed(
        f"{name}[{place[0]}, {place[1]}] is {found}, but its pixel comes from [{row:g}, {column:g}], where it was {was}"
    )


def _check_points(movement: Movement, given: Any, output: Any) -> None:
    if plain(given).shape != plain(output).shape:
        # Those outside may have been taken out, and nothing tells which.
        return
    size = movement.x.shape[-2:]
    if (canvas := getattr(output, "canvas_size", None)) is not None and tuple(canvas) != tuple(size):
        raise PropertyFailed(f"keypoints have canvas_size {tuple(canvas)}, the image is of {_by(size)} pixels")
    rows, columns = movement.valid[0].nonzero(as_tuple=True)
    x, y = movement.x[0][rows, columns], movement.y[0][rows, columns]
    exact = bool(movement.exact[0])
    # A bent map may be known at its start only, as by a field of displacements.
    affine = None if exact else fit_affine(movement)
    bend = 0.0 if exact else float("inf") if affine is None else affine.bend
    if bend > 0.75:
        return
    # Nearest pixels on an exact grid may stand for points up to half a pixel off; the others then are between pixels.
    is_sure = exact and bool(((output - output.round()).abs() < 2e-3).all())
    # By how much half a pixel of the input may grow, which libraries take for the edge or the centre.
    growth = max(movement.size) / min(movement.size) if affine is None else max(1.0, affine.scales[0])
    reach = 0.75 if is_sure else 1.5 * growth
    for i, (before, after) in enumerate(
        zip(plain(given).reshape(-1, 2).double(), plain(output).reshape(-1, 2).double(), strict=True)
    ):
        away = torch.maximum((x - before[0]).abs(), (y - before[1]).abs())
        # Where several pixels come from one, as in mirrored borders, any will do.
        nearest = away <= away.min() + (0.0 if exact else 0.25)
        if float(away.min()) > (0.25 if exact else 0.5):
            continue
        distance = torch.maximum((columns - after[0]).abs(), (rows - after[1]).abs())
        allowed = reach + 2 * bend
        near = distance <= allowed
        if bool((distance[nearest] <= allowed).any()) or (
            not exact and bool((away[near] <= movement.step + 0.5).any())
        ):
            continue
        k = int(away.argmin())
        raise PropertyFailed(
            f"keypoints[{i}] at ({before[0]:g}, {before[1]:g}) is at ({after[0]:g}, {after[1]:g}) now, but its pixel "
            f"at ({int(columns[k])}, {int(rows[k])})"
        )
