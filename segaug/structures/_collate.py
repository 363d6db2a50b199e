"""Make a batch of samples that hold SegmentTokens."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch.utils.data import default_collate
from torchvision import tv_tensors

from segaug._checks import describe
from segaug.structures._segment_tokens import SegmentTokens

__all__ = ["collate"]

# What a padded slot holds; everything else in it is 0.
_PADDING_LABEL = -1


def collate(samples: Sequence[Any]) -> Any:
    """Stack samples into a batch, padding the tokens to the longest image of the batch.

    For ``DataLoader(collate_fn=collate)``. Tuples, lists and dicts are kept; :class:`SegmentTokens` (N, ...) become
    (B, N_max, ...), where padded slots have label -1 and hold zeros; tv_tensors are stacked and keep their type, but
    bounding boxes and key points become a list, one entry per image; anything else goes through torch's
    ``default_collate``.

    Args:
        samples: One or more samples of the same structure.

    Returns:
        The batch, in the structure of one sample.

    Raises:
        ValueError: If there is no sample, patches differ in channels, size or dtype, or tv_tensors in shape.
        TypeError: If samples differ in structure.

    Example:
        >>> from segaug import Grid, SegmentedImage, Tokenize
        >>> def sample(rows):
        ...     image = torch.zeros(3, 32, 32, dtype=torch.uint8)
        ...     return Tokenize(background=False)(SegmentedImage(image, Grid(rows, 2)(image))), rows
        >>> tokens, targets = collate([sample(1), sample(3)])
        >>> tokens.labels.tolist(), targets.tolist()
        ([[1, 2, -1, -1, -1, -1], [1, 2, 3, 4, 5, 6]], [1, 3])
    """
    if not samples:
        raise ValueError("samples must hold at least one sample, got none")
    first = samples[0]
    if any(isinstance(sample, SegmentTokens) for sample in samples):
        return _collate_tokens(samples)
    if isinstance(first, Mapping):
        if any(not isinstance(sample, Mapping) or sample.keys() != first.keys() for sample in samples):
            raise TypeError(f"samples must be dicts with the same keys, the first has {sorted(map(str, first))}")
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, list | tuple):
        if any(not isinstance(sample, list | tuple) or len(sample) != len(first) for sample in samples):
            raise TypeError(f"samples must be sequences of the same length, the first has {len(first)} parts")
        parts = [collate(list(part)) for part in zip(*samples, strict=True)]
        if isinstance(first, tuple):
            return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
        return parts
    if isinstance(first, tv_tensors.TVTensor):
        for sample in samples:
            if type(sample) is not type(first):
                raise TypeError(f"samples must all be {type(first).__name__}, got {describe(sample)}")
        # Images differ in how many they have, and torchvision knows no batch of them.
        if isinstance(first, tv_tensors.BoundingBoxes | tv_tensors.KeyPoints):
            return list(samples)
        for sample in samples:
            if sample.shape != first.shape:
                raise ValueError(
                    f"samples must have one shape to be stacked, got {describe(first)} and {describe(sample)}"
                )
        return tv_tensors.wrap(torch.stack([sample.as_subclass(torch.Tensor) for sample in samples]), like=first)
    return default_collate(list(samples))


def _collate_tokens(samples: Sequence[Any]) -> SegmentTokens:
    first = samples[0]
    for sample in samples:
        if not isinstance(sample, SegmentTokens):
            raise TypeError(f"samples must all be SegmentTokens, got {describe(sample)}")
        if sample.labels.ndim != 1:
            raise ValueError(f"samples must be single images with labels (N,), got labels {tuple(sample.labels.shape)}")
        if sample.patches.shape[1:] != first.patches.shape[1:] or sample.patches.dtype != first.patches.dtype:
            raise ValueError(f"patches must agree in channels, size and dtype, got {first!r} and {sample!r}")
    shape = (len(samples), max(sample.num_tokens for sample in samples))
    batch = {}
    for field in fields(SegmentTokens):
        parts = [getattr(sample, field.name).as_subclass(torch.Tensor) for sample in samples]
        fill = _PADDING_LABEL if field.name == "labels" else 0
        out = parts[0].new_full((*shape, *parts[0].shape[1:]), fill)
        for i, part in enumerate(parts):
            out[i, : len(part)] = part
        batch[field.name] = out
    return SegmentTokens(**batch)
