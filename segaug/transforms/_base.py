"""What all transforms share: finding the segments in a sample."""

from typing import Any, ClassVar

import PIL.Image
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug._checks import describe
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.transforms._random import stream_here

__all__ = ["SegmentTransform", "join_pair"]

Structure = SegmentedImage | SegmentTokens


class SegmentTransform(v2.Transform):
    """A v2 transform that acts on whole structures instead of on single leaves.

    Subclasses override ``make_params`` and ``transform``, as of any v2 transform; both get structures.
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentedImage, SegmentTokens)
    _generator: torch.Generator | None = None

    @property
    def _stream(self) -> torch.Generator | None:
        """Where to draw."""
        return stream_here(self._generator)

    def forward(self, *inputs: Any) -> Any:
        """Transform every structure of the sample; everything else passes through."""
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, spec = pytree.tree_flatten(sample, is_leaf=lambda node: isinstance(node, Structure))
        found = [i for i, leaf in enumerate(leaves) if isinstance(leaf, self._structures)]
        if found:
            for i in found:
                leaves[i] = self._run(leaves[i])
            return pytree.tree_unflatten(leaves, spec)
        wrong = next((leaf for leaf in leaves if isinstance(leaf, Structure)), None)
        if wrong is not None:
            raise TypeError(f"{type(self).__name__} takes {self._allowed()}, got {type(wrong).__name__}")
        if SegmentedImage not in self._structures:
            raise TypeError(f"{type(self).__name__} takes {self._allowed()}, got {_list(leaves)}")
        return self._run_pair(leaves, spec)

    def _run(self, structure: Any) -> Any:
        return self.transform(structure, self.make_params([structure]))

    def _run_pair(self, leaves: list[Any], spec: Any) -> Any:
        """Act on a sample that holds one image and one map side by side, as torchvision's detection samples do."""
        image_at, map_at = join_pair(type(self).__name__, leaves, self._allowed())
        output = self._run(self._join(leaves[image_at], leaves[map_at]))
        if isinstance(output, SegmentedImage):
            leaves[image_at] = output.image
        else:
            leaves[image_at] = output
        return pytree.tree_unflatten(leaves, spec)

    def _join(self, image: Any, segments: torch.Tensor) -> Any:
        labels = segments.as_subclass(torch.Tensor)
        if segments.ndim == 3 and not isinstance(segments, SegmentMap):
            return SegmentedImage(image, SegmentMap.from_masks(labels))
        return SegmentedImage(image, segments if isinstance(segments, SegmentMap) else SegmentMap(labels))

    def _allowed(self) -> str:
        return " or ".join(kind.__name__ for kind in self._structures)


def join_pair(name: str, leaves: list[Any], allowed: str) -> tuple[int, int]:
    """Find the one image and the one map of a flattened sample, or say what is there."""
    images = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tv_tensors.Image | PIL.Image.Image)]
    maps = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tv_tensors.Mask)]
    if len(images) != 1 or len(maps) != 1:
        raise ValueError(
            f"{name} takes {allowed}, or a sample with exactly one image and one SegmentMap or Mask, "
            f"got {len(images)} images and {len(maps)} maps: {_list(leaves)}"
        )
    return images[0], maps[0]


def _list(leaves: list[Any]) -> str:
    return ", ".join(describe(leaf) for leaf in leaves[:6]) + (", ..." if len(leaves) > 6 else "")
