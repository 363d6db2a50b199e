"""SegmentTokens: the segments of an image, each as a small patch with a place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Self, cast

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug._checks import SUPPORTED_CHANNELS, describe
from segaug.structures._token_leaves import TokenAlpha, TokenBoxes, TokenPatches

__all__ = ["SegmentTokens"]


@dataclass(frozen=True, eq=False)
class SegmentTokens:
    """The segments of one image (N tokens) or of a batch (B, N), as a transformer takes them.

    Order: foreground by ascending label, then the background token; in a batch padding comes last.

    torchvision's ``ToDtype`` and ``Normalize`` act on all patches, and a flip mirrors patches and boxes; any other
    functional of torchvision raises: it goes before ``Tokenize``, or into ``PerSegment``.

    Args:
        patches: (..., N, C, P, P), uint8, or float in [0, 1]: the segment's pixels, black outside it (premultiplied by
            alpha). C is 1 or 3.
        alpha: (..., N, P, P): coverage, in the dtype and range of ``patches``.
        boxes: (..., N, 4) float32: XYXY over the canvas's width and height, in [0, 1], half-open. Background: all -1;
            padding: all 0.
        areas: (..., N) float32: pixels of the segment over pixels of the canvas.
        labels: (..., N) int64: label in the SegmentMap; 0 for the background token, -1 for padding.

    Raises:
        TypeError: If a field is no tensor, or of another dtype.
        ValueError: If the shapes do not fit together.

    Example:
        >>> tokens = SegmentTokens(
        ...     patches=torch.zeros(2, 3, 16, 16, dtype=torch.uint8),
        ...     alpha=torch.zeros(2, 16, 16, dtype=torch.uint8),
        ...     boxes=torch.tensor([[0.0, 0.0, 0.5, 1.0], [-1.0, -1.0, -1.0, -1.0]]),
        ...     areas=torch.tensor([0.5, 0.5]),
        ...     labels=torch.tensor([7, 0]),
        ... )
        >>> tokens
        SegmentTokens(num_tokens=2, batch=(), patch=(3, 16, 16), dtype=torch.uint8, device=cpu)
        >>> tokens.is_background.tolist()
        [False, True]
    """

    patches: tv_tensors.Image
    alpha: tv_tensors.Mask
    boxes: torch.Tensor
    areas: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, torch.Tensor):
                raise TypeError(f"{field.name} must be a tensor, got {describe(value)}")
        patches, alpha = self.patches, self.alpha
        if patches.dtype != torch.uint8 and not patches.is_floating_point():
            raise TypeError(f"patches must be uint8 or float, got {describe(patches)}")
        if alpha.dtype != patches.dtype:
            raise TypeError(f"alpha must have the dtype of patches ({patches.dtype}), got {describe(alpha)}")
        if patches.ndim < 4 or patches.shape[-3] not in SUPPORTED_CHANNELS:
            raise ValueError(f"patches must have shape (..., N, C, P, P) with 1 or 3 channels, got {describe(patches)}")
        leading = patches.shape[:-3]
        for name, shape in (
            ("alpha", (*leading, *patches.shape[-2:])),
            ("boxes", (*leading, 4)),
            ("areas", leading),
            ("labels", leading),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} must have shape {tuple(shape)} to fit patches {tuple(patches.shape)}, "
                    f"got {describe(getattr(self, name))}"
                )
        for name in ("boxes", "areas"):
            if getattr(self, name).dtype != torch.float32:
                raise TypeError(f"{name} must be float32, got {describe(getattr(self, name))}")
        if self.labels.dtype != torch.int64:
            raise TypeError(f"labels must be int64, got {describe(self.labels)}")
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if type(value) is not kind:
                object.__setattr__(self, name, value.as_subclass(kind))

    @property
    def is_background(self) -> torch.Tensor:
        """(..., N) bool: which tokens are the background."""
        return self.labels == 0

    @property
    def is_padding(self) -> torch.Tensor:
        """(..., N) bool: which slots hold no token."""
        return self.labels < 0

    @property
    def positions(self) -> torch.Tensor:
        """(..., N, 5) float32: the box's corners and the area."""
        return torch.cat([self.boxes.as_subclass(torch.Tensor), self.areas[..., None]], dim=-1)

    @property
    def num_tokens(self) -> int:
        """How many slots per image there are, padding included."""
        return int(self.labels.shape[-1])

    @property
    def device(self) -> torch.device:
        """Where the tokens are."""
        return self.labels.device

    def to(self, device: torch.device | str | int, *, non_blocking: bool = False) -> Self:
        """Move every field to a device; for another dtype use ``v2.ToDtype``."""
        return self._map(lambda leaf: leaf.to(device=device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Copy every field to pinned memory; ``DataLoader(pin_memory=True)`` calls this."""
        return self._map(lambda leaf: leaf.pin_memory())

    def __getitem__(self, index: Any) -> Self:
        """Index the leading dimensions (..., N): an image of a batch, or some tokens of an image.

        Raises:
            IndexError: If the token dimension would go (for one token use a slice), or the index reaches further.
        """
        items = _leading_index(index, self.labels)
        return self._map(lambda leaf: leaf[items])

    def __iter__(self) -> Iterator[Self]:
        """Go through the images of a batch.

        Raises:
            TypeError: If these are the tokens of one image.
        """
        if self.labels.ndim == 1:
            raise TypeError("SegmentTokens of one image are no sequence of images: for one token use tokens[i : i + 1]")
        return (self[i] for i in range(len(self.labels)))

    def __repr__(self) -> str:
        patches = self.patches
        if not isinstance(patches, torch.Tensor):
            return f"SegmentTokens({patches!r}, ...)"
        return (
            f"SegmentTokens(num_tokens={self.num_tokens}, batch={tuple(self.labels.shape[:-1])}, "
            f"patch={tuple(patches.shape[-3:])}, dtype={patches.dtype}, device={patches.device})"
        )

    def _map(self, function: Any) -> Self:
        return cast(Self, pytree.tree_map(function, self))


_KINDS: dict[str, type[torch.Tensor]] = {"patches": TokenPatches, "alpha": TokenAlpha, "boxes": TokenBoxes}


def _leading_index(index: Any, labels: torch.Tensor) -> tuple[Any, ...]:
    """Write an index of ``labels`` (..., N) so that it means the same for fields with more dimensions behind."""
    items = [_as_index(item) for item in (index if isinstance(index, tuple) else (index,))]
    # How many dimensions each item takes away or picks from.
    reach = [
        item.ndim if isinstance(item, torch.Tensor) and item.dtype == torch.bool else int(not _adds_nothing(item))
        for item in items
    ]
    if sum(reach) > labels.ndim:
        raise IndexError(f"an index may only reach the leading dimensions {tuple(labels.shape)}, got {index!r}")
    reaching = [item for item, count in zip(items, reach, strict=True) if count or item is Ellipsis]
    last = reaching[-1] if reaching else Ellipsis
    is_number = hasattr(last, "__index__") and not (isinstance(last, torch.Tensor) and last.ndim)
    if is_number and (sum(reach) == labels.ndim or any(item is Ellipsis for item in items)):
        raise IndexError("an index must leave the token dimension: for one token use tokens[i : i + 1]")
    for i, item in enumerate(items):
        if item is Ellipsis:
            items[i : i + 1] = [slice(None)] * (labels.ndim - sum(reach))
            break
    return tuple(items)


def _as_index(item: Any) -> Any:
    if isinstance(item, list | np.ndarray):
        return torch.as_tensor(item, dtype=None if len(item) else torch.int64)
    return item


def _adds_nothing(item: Any) -> bool:
    """Whether an index reaches no dimension."""
    return item is None or item is Ellipsis or isinstance(item, bool)


def _flatten(tokens: SegmentTokens) -> tuple[list[Any], None]:
    return [getattr(tokens, field.name) for field in fields(SegmentTokens)], None


def _unflatten(leaves: Iterable[Any], context: None) -> SegmentTokens:
    # No checks: pytree also rebuilds with leaves that are no tensors.
    tokens = object.__new__(SegmentTokens)
    for field, leaf in zip(fields(SegmentTokens), leaves, strict=True):
        # torch's operations, and v2.ToPureTensor, return plain tensors; v2's flips tell the fields apart by their type.
        wrapped = leaf.as_subclass(_KINDS[field.name]) if type(leaf) is torch.Tensor and field.name in _KINDS else leaf
        object.__setattr__(tokens, field.name, wrapped)
    patches, alpha = tokens.patches, tokens.alpha
    if isinstance(patches, torch.Tensor) and isinstance(alpha, torch.Tensor) and patches.dtype != alpha.dtype:
        # v2.ToDtype converts images and leaves masks; alpha is coverage, and keeps the dtype and range of patches.
        if not alpha.is_floating_point() and patches.is_floating_point() and patches.numel() and patches.max() > 1:
            raise ValueError(
                f"patches must be scaled to [0, 1] when they become float, got {float(patches.max()):g}: "
                "use v2.ToDtype(..., scale=True)"
            )
        coverage = F.to_dtype_image(alpha.as_subclass(torch.Tensor), patches.dtype, scale=True)
        object.__setattr__(tokens, "alpha", coverage.as_subclass(type(alpha)))
    return tokens


pytree.register_pytree_node(SegmentTokens, _flatten, _unflatten, serialized_type_name="segaug.structures.SegmentTokens")
