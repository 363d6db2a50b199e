"""What holds for boxes: they stay around what they are boxes of."""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug.functional import mask_boxes
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._affine import Affine, fit_affine
from segaug.testing.properties._coordinates import Movement, trace

__all__ = ["boxes_follow_masks"]

# Pixels of the output.
_EXACT, _STRAIGHT, _TURNED = 0.01, 1.0, 1.5


@declare("annotated_image", is_geometric=True)
def boxes_follow_masks(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """The box of the transformed mask is the transformed box: box(T_s(mask)) = T_s(box(mask)), clipped to the canvas.

    For masks that fill their boxes, since others do not tell where a box ends. If pixels are moved one by one (flips, crops,
    pads, quarter turns), both are equal within 0.01 pixel. If rows stay rows, as by a resize, each side is within 1 pixel of
    the output, 1.5 where the nearest pixels are taken. After a rotation or shear the box holds the mask within 1.5 pixels,
    and after a rotation exceeds it by at most 2, if it is well inside the canvas. Objects that left the canvas, and boxes
    that were taken out (all zeros), are passed over. Boxes are half-open.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: An annotated image.
        seed: Where the draws start.

    Raises:
        PropertyFailed: If a box is not where its mask is.
        NotApplicable: If there are no objects, or pixels do not move by one linear map that can be read from the colours.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug.testing.strategies import annotated_images
        >>> from hypothesis import find
        >>> sample = find(annotated_images(), lambda sample: sample["boxes"].sum() and sample["image"].shape[-1] > 1)
        >>> boxes_follow_masks(v2.RandomHorizontalFlip(1), sample)
    """
    augmentation = Augmentation.of(transform)
    if len(sample["boxes"]) == 0:
        raise NotApplicable("the sample has no objects")
    filled = {**sample, "masks": tv_tensors.Mask(_filled(sample))}
    movement = trace(augmentation, filled, seed)
    output = movement.output
    canvas = tuple(movement.x.shape[-2:])
    if isinstance(output["boxes"], tv_tensors.BoundingBoxes):
        found_canvas = tuple(output["boxes"].canvas_size)
        if found_canvas != canvas:
            raise PropertyFailed(
                f"boxes have canvas_size {found_canvas}, the image is of {canvas[0]}x{canvas[1]} pixels"
            )
    affine = fit_affine(movement)
    before = _corners(movement.given["boxes"])
    # A mask may be filled with ones where the picture is filled, and be mirrored or repeated behind its borders.
    inside = movement.valid[0]
    if affine is not None and affine.is_smooth:
        inside = inside & affine.reaches(movement)
    for number, box, mask in _objects(movement, output):
        mask = mask & inside
        if not mask.any() or not bool(box.any()):
            continue
        expected, moved = mask_boxes(mask).double(), box.double()
        message = f"boxes[{number}] is {_text(moved)}, but its mask is in {_text(expected)}"
        if bool((moved[:2] > moved[2:]).any()):
            raise PropertyFailed(f"boxes[{number}] is {_text(moved)}, which ends before it starts")
        limit = torch.tensor([canvas[1], canvas[0]] * 2, dtype=torch.float64)
        off = _excess(torch.minimum(moved.clamp(min=0), limit), expected)
        inner, outer = _allowed(movement, affine, before[number], moved, limit)
        if bool((off < -inner).any()) or bool((off > outer).any()):
            raise PropertyFailed(message)


def _filled(sample: dict[str, Any]) -> torch.Tensor:
    height, width = sample["image"].shape[-2:]
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    x0, y0, x1, y1 = _corners(sample["boxes"])[..., None, None].unbind(1)
    return (rows > y0) & (rows < y1) & (columns > x0) & (columns < x1)


def _corners(boxes: torch.Tensor) -> torch.Tensor:
    if isinstance(boxes, tv_tensors.BoundingBoxes):
        boxes = F.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    return plain(boxes)


def _objects(movement: Movement, output: dict[str, Any]) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    """Which object, its box and its mask, by the labels that are left."""
    boxes, masks, labels = _corners(output["boxes"]), plain(output["masks"]), plain(output["labels"])
    count = len(movement.given["labels"])
    if len(boxes) not in (len(labels), count) or len(masks) not in (len(labels), count):
        raise NotApplicable("it takes boxes out, and not their labels")
    numbers = (labels - 1).tolist() if len(boxes) == len(labels) else list(range(count))
    found = []
    for place, number in enumerate(numbers):
        if not 0 <= number < count:
            raise NotApplicable("it changes labels, by which boxes are told apart")
        found.append((number, boxes[place], masks[number if len(masks) == count else place]))
    return found


def _excess(box: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """How far each side of the box is outside the expected one."""
    return torch.cat([expected[:2] - box[:2], box[2:] - expected[2:]])


def _allowed(
    movement: Movement, affine: Affine | None, before: torch.Tensor, moved: torch.Tensor, limit: torch.Tensor
) -> tuple[float, float]:
    """How far a side may be inside and outside the mask's."""
    if bool(movement.exact[0]):
        if _is_sure(movement, moved):
            return _EXACT, _EXACT
        return _STRAIGHT, float("inf")
    if affine is None:
        raise NotApplicable("too few pixels are left to tell by which map they move")
    most, least = affine.scales
    if affine.bend > 0:
        raise NotApplicable("pixels do not move by one linear map")
    # The outermost pixels of the source are mixed with fill, and are not counted into the mask.
    size = torch.tensor([movement.size[1], movement.size[0]])
    is_at_edge = bool((before[:2] < 1).any() or (before[2:] > size - 1).any()) and not bool(movement.valid.all())
    if affine.is_axis_aligned:
        slack = _STRAIGHT if affine.is_smooth else _TURNED
        return slack, float("inf") if is_at_edge else slack
    sides = (before[2:] - before[:2]).double()
    reach = affine.box(before)
    is_inside = bool((reach[:2] > 1).all() and (reach[2:] < limit[2:] - 1).all())
    # What is thin, or has sharp corners, has no pixel near its ends.
    is_plump = not is_at_edge and float(sides.min()) * least >= 2 and most < 1.2 * least
    return _TURNED * max(1.0, most), _TURNED + 0.5 if is_inside and is_plump else float("inf")


def _is_sure(movement: Movement, moved: torch.Tensor) -> bool:
    """Whether what looks exact is.

    The nearest pixels are the same ones for a shift of 0.3 pixels, or a turn by a degree; the key points, which
    include the corners, tell.
    """
    given, output = plain(movement.given["keypoints"]), plain(movement.output["keypoints"])
    if given.shape != output.shape or not _is_whole(output):
        return False
    return not torch.equal(given, output.to(given.dtype)) or _is_whole(moved)


def _is_whole(values: torch.Tensor) -> bool:
    return bool(((values - values.round()).abs() < 2e-3).all())


def _text(box: torch.Tensor) -> str:
    return "(" + ", ".join(f"{round(float(value), 3):g}" for value in box) + ")"
