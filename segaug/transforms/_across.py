"""What transforms across the images of a batch share: the tokens and class labels of a sample, and packing."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Literal

import PIL.Image
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug._checks import check_int, describe
from segaug.functional import area_shares, take_tokens
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.transforms._base import SegmentTransform

__all__ = ["AcrossImages", "LabelsGetter", "MixImages", "pack_tokens"]

LabelsGetter = Callable[[Any], Any] | Literal["default"] | None
# What would show or place a segment that has gone to another image.
_STALE = (SegmentedImage, tv_tensors.TVTensor, PIL.Image.Image)


class AcrossImages(SegmentTransform):
    """A transform of a sample that holds one batch of tokens, as ``segaug.collate`` makes it."""

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def forward(self, *inputs: Any) -> Any:
        """Exchange tokens between the images of the batch."""
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, spec = pytree.tree_flatten(
            sample, is_leaf=lambda node: isinstance(node, SegmentTokens | SegmentedImage)
        )
        at = self._find_tokens(leaves)
        self._run_sample(sample, leaves, at)
        return pytree.tree_unflatten(leaves, spec)

    @abstractmethod
    def _run_sample(self, sample: Any, leaves: list[Any], at: int) -> None:
        """Put what changes into ``leaves``; the tokens are at ``at``."""

    def _find_tokens(self, leaves: list[Any]) -> int:
        name = type(self).__name__
        found = [i for i, leaf in enumerate(leaves) if isinstance(leaf, SegmentTokens)]
        stale = next((leaf for leaf in leaves if isinstance(leaf, _STALE)), None)
        if stale is not None:
            raise TypeError(
                f"{name} takes a batch of SegmentTokens without pictures, maps or boxes beside it, as their segments "
                f"would go to other images, got {type(stale).__name__}"
            )
        if len(found) != 1:
            raise ValueError(f"{name} takes a sample with exactly one batch of SegmentTokens, got {len(found)}")
        labels = leaves[found[0]].labels
        if labels.ndim != 2:
            raise ValueError(
                f"{name} takes a batch of SegmentTokens with labels (B, N), got labels {tuple(labels.shape)}: "
                "put it after segaug.collate"
            )
        return found[0]


class MixImages(AcrossImages):
    """A transform across images that mixes their class labels by area."""

    def __init__(self, num_classes: int | None, labels_getter: LabelsGetter) -> None:
        super().__init__()
        self.num_classes = None if num_classes is None else check_int("num_classes", num_classes, minimum=1)
        if labels_getter not in ("default", None) and not callable(labels_getter):
            raise TypeError(f"labels_getter must be 'default', a callable or None, got {describe(labels_getter)}")
        self._labels_getter = labels_getter

    def _run_sample(self, sample: Any, leaves: list[Any], at: int) -> None:
        tokens = leaves[at]
        targets, targets_at = None, at
        if self._labels_getter is not None:
            targets = _labels_of(sample) if self._labels_getter == "default" else self._labels_getter(sample)
            self._check(targets, len(tokens.labels))
            place = next((i for i, leaf in enumerate(leaves) if leaf is targets), None)
            if place is None:
                raise ValueError("labels_getter must return a tensor that the sample holds, got another one")
            targets_at = place
        leaves[at], mixed = self.transform((tokens, targets), self.make_params([tokens]))
        if targets is not None:
            leaves[targets_at] = mixed

    def _check(self, targets: Any, batch: int) -> None:
        if not isinstance(targets, torch.Tensor) or targets.dtype == torch.bool or targets.is_complex():
            raise TypeError(f"class labels must be a tensor of integers or floats, got {describe(targets)}")
        if targets.ndim not in (1, 2) or len(targets) != batch or (targets.ndim == 1 and targets.is_floating_point()):
            raise ValueError(
                f"class labels must be integers of shape ({batch},) or have shape ({batch}, num_classes), "
                f"got {describe(targets)}"
            )
        if targets.ndim == 2:
            if self.num_classes not in (None, targets.shape[1]):
                raise ValueError(
                    f"class labels must have shape ({batch}, {self.num_classes}) (num_classes), got {describe(targets)}"
                )
            return
        if self.num_classes is None:
            raise ValueError("num_classes must be given for class labels of shape (B,), got None")
        wrong = (targets < 0) | (targets >= self.num_classes)
        if bool(wrong.any()):
            raise ValueError(
                f"class labels must be in [0, {self.num_classes}) (num_classes), got {int(targets[wrong][0])}"
            )

    def _mix_targets(self, targets: torch.Tensor | None, areas: torch.Tensor, image: torch.Tensor) -> Any:
        """Mix class labels by the area that came from each image; ``image`` (B, M) as for ``area_shares``."""
        if targets is None:
            return None
        soft = targets
        if targets.ndim == 1:
            classes = torch.arange(self.num_classes or 0, device=targets.device)
            soft = targets[:, None] == classes
        shares = area_shares(areas, image).to(targets.device)
        dtype = targets.dtype if targets.is_floating_point() else torch.float32
        return (shares @ soft.double()).to(dtype)


def pack_tokens(tokens: SegmentTokens, index: torch.Tensor, labels: torch.Tensor) -> SegmentTokens:
    """Make the batch that a plan says (see ``segaug.functional.merge_tokens``), with new labels."""
    taken = {
        field.name: take_tokens(getattr(tokens, field.name).as_subclass(torch.Tensor), index)
        for field in fields(SegmentTokens)
        if field.name != "labels"
    }
    return SegmentTokens(**taken, labels=labels)


def _labels_of(sample: Any) -> Any:
    """Find class labels where torchvision's ``CutMix`` looks for them."""
    second = sample[1] if isinstance(sample, tuple | list) and len(sample) > 1 else sample
    if isinstance(second, Mapping):
        names = [key for key in second if isinstance(key, str)]
        found = [key for key in names if key.lower() == "labels"] + [key for key in names if "label" in key.lower()]
        if found:
            return second[found[0]]
    elif isinstance(second, torch.Tensor):
        return second
    raise TypeError(
        "the sample must hold class labels as its second item, or under the key 'labels' of a dict, for "
        f"labels_getter='default', got {describe(second)}: give a callable, or None to mix tokens without labels"
    )
