"""Degenerate versions of a sample: as little of it as can be."""

from collections.abc import Iterator
from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.testing._compare import plain
from segaug.testing.properties._pixels import with_leaves

__all__ = ["degenerate_versions"]

# Name, height and width to cut down to.
_CUTS = (("one pixel", 1, 1), ("one row", 1, None), ("one column", None, 1))


def degenerate_versions(sample: Any, min_side: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield (what it is, the sample cut down to it), of the kind, dtype and channels of ``sample``.

    Where ``min_side`` is more than 1, no picture is cut, and only what is empty is left.
    """
    cuts = _CUTS if min_side == 1 else ()
    if isinstance(sample, SegmentTokens):
        yield from _of_tokens(sample, is_cut=bool(cuts))
    elif isinstance(sample, SegmentedImage):
        for name, height, width in cuts:
            yield name, SegmentedImage(sample.image[..., :height, :width], sample.segments[:height, :width])
        yield "no segment", SegmentedImage(sample.image, SegmentMap(torch.zeros_like(plain(sample.segments))))
    elif isinstance(sample, dict):
        for name, height, width in cuts:
            yield name, _cut(sample, height, width)
        yield "no object", {key: value if key == "image" else _first(value, 0) for key, value in sample.items()}
    else:
        for name, height, width in cuts:
            yield name, _retyped(sample, plain(sample)[..., :height, :width])
        if sample.ndim > 3:
            yield "an empty batch", _retyped(sample, plain(sample)[:0])


def _of_tokens(tokens: SegmentTokens, *, is_cut: bool) -> Iterator[tuple[str, SegmentTokens]]:
    if is_cut and tokens.patches.shape[-1]:
        cut = {name: plain(getattr(tokens, name))[..., :1, :1] for name in ("patches", "alpha")}
        yield "patches of one pixel", with_leaves(tokens, cut)
    is_batch = tokens.labels.ndim > 1
    yield "no token", tokens[:, :0] if is_batch else tokens[:0]
    if is_batch:
        yield "an empty batch", tokens[:0]


def _retyped(like: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return tv_tensors.wrap(value, like=like) if isinstance(like, tv_tensors.TVTensor) else value


def _first(value: Any, count: int) -> Any:
    return _retyped(value, plain(value)[:count]) if isinstance(value, torch.Tensor) else value


def _cut(sample: dict[str, Any], height: int | None, width: int | None) -> dict[str, Any]:
    """The top left of an annotated image, all objects clipped to it."""
    image = plain(sample["image"])[..., :height, :width]
    size = (image.shape[-2], image.shape[-1])
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    # A box keeps an edge of one pixel, as the boxes of no area are another story.
    boxes = plain(sample["boxes"]).float()
    low = torch.minimum(boxes[:, :2].floor(), limit - 1)
    high = torch.maximum(torch.minimum(boxes[:, 2:], limit), low + 1)
    return {
        **sample,
        "image": _retyped(sample["image"], image),
        "masks": _retyped(sample["masks"], plain(sample["masks"])[..., :height, :width]),
        "boxes": tv_tensors.BoundingBoxes(torch.cat([low, high], -1), format="XYXY", canvas_size=size),
        "keypoints": tv_tensors.KeyPoints(
            torch.minimum(plain(sample["keypoints"]).float(), limit - 1), canvas_size=size
        ),
    }
