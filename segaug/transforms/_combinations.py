"""Every outcome of a finite transform, one after the other."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from segaug._checks import describe
from segaug.structures import SegmentTokens
from segaug.transforms._engine._lowering import Params
from segaug.transforms._engine._nodes import Segments, describe_shape
from segaug.transforms._engine._on_tokens import run_on_tokens
from segaug.transforms._per_segment import PerSegment

__all__ = ["combinations", "count_combinations"]

# Patches of noise that outcomes are told apart by.
_NOISES = 4


def combinations(transform: Any, tokens: SegmentTokens) -> Iterator[SegmentTokens]:
    """Go through every picture that a random transform can make of an image, each once.

    With n segments and one random flip these are 2^n. They are made one at a time, the unchanged one first if the transform
    can leave all as it is; then the last segment changes fastest. For test-time augmentation, and to see what a transform
    does.

    Args:
        transform: A :class:`~segaug.PerSegment`, or what it takes, that has finitely many outcomes: flips, greyscale,
            inversion, equalisation, anything without a random part, and containers of them.
        tokens: The tokens of one image.

    Yields:
        Tokens. Outcomes that two ways lead to whatever the segment, such as two flips and none, count once; but a segment
        that looks the same flipped is there in both versions.

    Raises:
        TypeError: If ``tokens`` are no SegmentTokens.
        ValueError: If ``tokens`` are a batch, or the transform draws from a continuous range; the error names that part.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import Grid, Segment, Tokenize
        >>> image = torch.arange(64, dtype=torch.uint8).repeat(3, 64, 1)
        >>> tokens = Tokenize(background=False)(Segment(Grid(1, 3))(image))
        >>> flip = v2.RandomHorizontalFlip()
        >>> for picture in combinations(flip, tokens):
        ...     print((picture.patches[:, 0, 0, 0] > picture.patches[:, 0, 0, -1]).int().tolist(), end=" ")
        [0, 0, 0] [0, 0, 1] [0, 1, 0] [0, 1, 1] [1, 0, 0] [1, 0, 1] [1, 1, 0] [1, 1, 1]
        >>> count_combinations(flip, tokens)
        8
    """
    per_segment, outcomes, active = _prepare(transform, tokens)
    # Not a generator from its first line on, so that errors come here and not at the first step.
    return _go_through(per_segment, tokens, outcomes, active)


def count_combinations(transform: Any, tokens: SegmentTokens) -> int:
    """Count what :func:`combinations` goes through.

    Args:
        transform: As there.
        tokens: As there.

    Returns:
        The number, which may have more digits than a float holds.

    Raises:
        TypeError: As there.
        ValueError: As there.
    """
    _, outcomes, active = _prepare(transform, tokens)
    return len(outcomes) ** len(active)


def _prepare(transform: Any, tokens: SegmentTokens) -> tuple[PerSegment, list[Params], list[int]]:
    """The transform, its outcomes for one segment, and which slots of ``tokens`` it changes."""
    if not isinstance(tokens, SegmentTokens):
        raise TypeError(f"tokens must be SegmentTokens, got {describe(tokens)}")
    if tokens.labels.ndim != 1:
        raise ValueError(f"tokens must be of one image, labels (N,), got labels {tuple(tokens.labels.shape)}")
    per_segment = transform if isinstance(transform, PerSegment) else PerSegment(transform)
    active = tokens.labels >= 0 if per_segment.background else tokens.labels > 0
    return per_segment, _distinct(per_segment, tokens), active.nonzero().squeeze(1).tolist()


def _distinct(per_segment: PerSegment, tokens: SegmentTokens) -> list[Params]:
    """Outcomes for one segment that differ, as tried on some patches; the unchanged one first."""
    channels, height, width = shape = tokens.patches.shape[-3:]
    outcomes = per_segment._plan.outcomes((channels, height, width))
    # Every level, for what depends on it alone, and noise, which has no symmetry. Floats are fractions that inverting
    # twice gives back exactly.
    full, steps = (255, 256) if tokens.patches.dtype == torch.uint8 else (1, 257)
    count = max(1, -(-steps // (height * width)))
    levels = torch.arange(count * height * width).remainder(steps).view(count, 1, height, width)
    noise = torch.randint(steps, (_NOISES, *shape), generator=torch.Generator().manual_seed(0))
    patches = torch.cat([levels.expand(-1, channels, -1, -1), noise]).double()
    patches = (patches if full == 255 else patches / 256.0).to(tokens.patches.dtype)
    alpha = torch.full_like(patches[:, 0], full)
    # All are rows of one outcome.
    probes = Segments(patches, alpha, lambda index: ["a probe"] * len(index), torch.zeros(len(patches)).long())
    found: dict[bytes, Params] = {}
    kinds = set()
    for outcome in outcomes:
        layers = per_segment._plan.apply(probes, outcome)
        kinds.add(describe_shape(layers[0]))
        found.setdefault(_digest(layers), outcome)
    if len(kinds) > 1 and tokens.num_tokens > 1:
        raise ValueError(
            "transform must give every segment the same size, channels and dtype, its outcomes are "
            + ", ".join(sorted(kinds))
        )
    unchanged = _digest((patches, alpha))
    first = [found.pop(unchanged)] if unchanged in found else []
    return first + list(found.values())


def _digest(layers: tuple[torch.Tensor, torch.Tensor]) -> bytes:
    """Tell results apart, but for the rounding of floats."""
    digest = hashlib.sha256()
    for layer in layers:
        exact = layer.double().mul(1e5).round().to(torch.int32) if layer.is_floating_point() else layer
        digest.update(f"{tuple(layer.shape)} {layer.dtype}".encode() + exact.contiguous().numpy().tobytes())
    return digest.digest()


def _go_through(
    per_segment: PerSegment, tokens: SegmentTokens, outcomes: list[Params], active: list[int]
) -> Iterator[SegmentTokens]:
    # One row per outcome, to be picked for each segment.
    table = pytree.tree_map(lambda *rows: None if rows[0] is None else torch.cat(rows), *outcomes)
    code = torch.zeros(tokens.num_tokens, dtype=torch.int64)
    places = torch.tensor(active, dtype=torch.int64)
    for picked in itertools.product(range(len(outcomes)), repeat=len(active)):
        code[places] = torch.tensor(picked, dtype=torch.int64)
        params = pytree.tree_map(lambda rows: None if rows is None else rows[code], table)
        yield run_on_tokens(per_segment._plan, tokens, params, per_segment.background)
