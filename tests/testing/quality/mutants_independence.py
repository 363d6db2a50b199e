"""Planted bugs: draws that are shared, repeated or skewed."""

import random
from typing import Any

import numpy as np
import torch
from mutant import Mutant
from torch.utils.data import get_worker_info

from segaug import SegmentTokens

__all__ = ["MUTANTS"]


class FlipTokens:
    """Flip each segment's patch and coverage left to right with probability ``p``."""

    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    def draw(self, shape: torch.Size) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator) < self.p

    def __call__(self, tokens: SegmentTokens) -> SegmentTokens:
        is_flipped = self.draw(tokens.labels.shape)
        patches, alpha = (leaf.as_subclass(torch.Tensor) for leaf in (tokens.patches, tokens.alpha))
        return SegmentTokens(
            torch.where(is_flipped[..., None, None, None], patches.flip(-1), patches),
            torch.where(is_flipped[..., None, None], alpha.flip(-1), alpha),
            tokens.boxes,
            tokens.areas,
            tokens.labels,
        )


class FlipTokensOncePerCall(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        return (torch.rand(1, generator=self.generator) < self.p).expand(shape)


class FlipTokensOncePerImage(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        return (torch.rand(*shape[:-1], 1, generator=self.generator) < self.p).expand(shape)


class FlipTokensInPairs(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        half = torch.rand(*shape[:-1], -(-shape[-1] // 2), generator=self.generator)
        return half.repeat_interleave(2, dim=-1)[..., : shape[-1]] < self.p


class FlipTokensAntithetic(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        half = torch.rand(*shape[:-1], -(-shape[-1] // 2), generator=self.generator)
        return torch.stack([half, 1 - half], -1).flatten(-2)[..., : shape[-1]] < self.p


class FlipTokensCheckedTwice(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        return super().draw(shape) & super().draw(shape)


class FlipTokensNeverAll(FlipTokens):
    def draw(self, shape: torch.Size) -> torch.Tensor:
        # Foreground patterns as binary numbers; randint leaves out its upper end, and one more is taken off here.
        foreground = shape[-1] - 1
        number = torch.randint(0, max(1, 2**foreground - 1), shape[:-1], generator=self.generator)
        bits = number[..., None] >> torch.arange(foreground) & 1
        return torch.cat([bits.bool(), super().draw(torch.Size((*shape[:-1], 1)))], -1)


class FlipBatch(torch.nn.Module):
    """Flip each picture of a batch (B, C, H, W) with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def draw(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.rand(batch.shape[0], 1, 1, 1) < self.p

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if batch.ndim != 4:
            raise ValueError(f"batch must have shape (B, C, H, W), got {tuple(batch.shape)}")
        return torch.where(self.draw(batch), batch.flip(-1), batch)


class FlipBatchOnce(FlipBatch):
    def draw(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.rand(1, 1, 1, 1) < self.p


class Flip:
    """Flip a picture along ``dim`` with probability ``p``."""

    def __init__(self, p: float = 0.5, *, dim: int = -1, generator: torch.Generator | None = None) -> None:
        self.p = p
        self.dim = dim
        self.generator = generator

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image.flip(self.dim) if torch.rand((), generator=self.generator) < self.p else image


class FlipReseeded(Flip):
    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        self.generator = torch.Generator().manual_seed(0)
        return super().__call__(image)


class FlipDrawnWhenMade(Flip):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        self.is_flipped = bool(torch.rand(()) < p)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image.flip(self.dim) if self.is_flipped else image


class FlipCheckedTwice(Flip):
    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return super().__call__(image) if torch.rand((), generator=self.generator) < self.p else image


class NumpyFlip:
    """Flip an array (H, W, C) with probability ``p``, drawing from numpy's default stream."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def uniform(self) -> float:
        return float(np.random.random_sample())  # noqa: NPY002

    def __call__(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return image[:, ::-1] if self.uniform() < self.p else image


class NumpyFlipOwnStream(NumpyFlip):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        self.rng = np.random.default_rng()

    def uniform(self) -> float:
        return float(self.rng.random())


class FlipSeededByWorker(Flip):
    """Meant to set workers apart, and does the same in every epoch."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        worker = get_worker_info()
        if worker is not None and getattr(self, "worker", None) != worker.id:
            self.worker = worker.id
            self.generator = torch.Generator().manual_seed(1000 + worker.id)
        return super().__call__(image)


class FlipBoth:
    """Two flips, one after the other."""

    def __init__(self, transforms: list[Flip]) -> None:
        self.transforms = transforms

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        for transform in self.transforms:
            image = transform(image)
        return image


def flip_both(p: float = 0.5) -> FlipBoth:
    return FlipBoth([Flip(p, dim=-1), Flip(p, dim=-2)])


def flip_both_with_one_seed(p: float = 0.5, seed: int = 42) -> FlipBoth:
    streams = [torch.Generator().manual_seed(seed) for _ in range(2)]
    return FlipBoth([Flip(p, dim=dim, generator=stream) for dim, stream in zip((-1, -2), streams, strict=True)])


class AnyOrder:
    """Darken and invert a picture, in a random order."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return self.apply(image, random.random() < 0.5)

    def apply(self, image: torch.Tensor, is_dark_first: bool) -> torch.Tensor:
        top = 1 if image.is_floating_point() else 255
        half = image / 2 if image.is_floating_point() else image // 2
        return top - half if is_dark_first else ((top - image) / 2 if image.is_floating_point() else (top - image) // 2)


class OrderDrawnOnce(AnyOrder):
    def __init__(self) -> None:
        self.is_dark_first = bool(torch.rand(()) < 0.5)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return self.apply(image, self.is_dark_first)


_IMAGE = {"accepts": "image"}
_TOKENS = {"accepts": "segment_tokens"}

MUTANTS = [
    Mutant(
        "one flip for all segments",
        "Draw for each segment, not once per call",
        "segments_are_independent",
        FlipTokens,
        FlipTokensOncePerCall,
        _TOKENS,
    ),
    Mutant(
        "p applied per image of a batch",
        "Apply p to each segment of a batch, not to each image",
        "segments_are_independent",
        FlipTokens,
        FlipTokensOncePerImage,
        {"accepts": "token_batch"},
    ),
    Mutant(
        "neighbours share a draw",
        "Draw for every segment instead of every other",
        "segments_are_independent",
        FlipTokens,
        FlipTokensInPairs,
        _TOKENS,
    ),
    Mutant(
        "antithetic neighbours",
        "Do not use u and 1 - u for neighbours",
        "segments_are_independent",
        FlipTokens,
        FlipTokensAntithetic,
        _TOKENS,
    ),
    Mutant(
        "p checked twice per segment",
        "Check p once, so that a segment is flipped with p and not with p squared",
        "patterns_have_right_frequencies",
        FlipTokens,
        FlipTokensCheckedTwice,
        _TOKENS,
    ),
    Mutant(
        "one pattern is never drawn",
        "Draw from all 2^n patterns: randint leaves out its upper end already",
        "patterns_have_right_frequencies",
        FlipTokens,
        FlipTokensNeverAll,
        _TOKENS,
    ),
    Mutant(
        "p checked twice for a picture",
        "Check p in the subclass alone, as the base class checks it too",
        "patterns_have_right_frequencies",
        Flip,
        FlipCheckedTwice,
        _IMAGE,
    ),
    Mutant(
        "one draw per batch of pictures",
        "Draw for each picture of a batch",
        "batch_elements_are_independent",
        FlipBatch,
        FlipBatchOnce,
        {"accepts": "image_batch"},
    ),
    Mutant(
        "generator seeded at each call",
        "Make the generator when the transform is made, not at each call",
        "calls_are_independent",
        Flip,
        FlipReseeded,
        _IMAGE,
    ),
    Mutant(
        "drawn in the constructor",
        "Draw whether to flip at each call",
        "calls_are_independent",
        Flip,
        FlipDrawnWhenMade,
        _IMAGE,
    ),
    Mutant(
        "the order of the constructor",
        "Draw the order at each call, not when the transform is made",
        "calls_are_independent",
        AnyOrder,
        OrderDrawnOnce,
        _IMAGE,
    ),
    Mutant(
        "two members with one seed",
        "Give the members of a composition streams of their own",
        "members_are_independent",
        flip_both,
        flip_both_with_one_seed,
        _IMAGE,
    ),
    Mutant(
        "a numpy generator in the object",
        "Draw from numpy's default stream, which the loader seeds in each worker",
        "workers_and_epochs_are_independent",
        NumpyFlip,
        NumpyFlipOwnStream,
        {"accepts": "image", "input": "numpy"},
    ),
    Mutant(
        "seeded by the worker alone",
        "Seed a worker's stream by the epoch too, as every epoch drew the same",
        "workers_and_epochs_are_independent",
        Flip,
        FlipSeededByWorker,
        _IMAGE,
    ),
]
