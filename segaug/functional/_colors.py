"""Views of segments' straight colours, of tokens and of a picture, that colour kernels work on.

Channels come first. uint8 is worked on as whole levels in float, cut off after every step as torchvision's casts do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from segaug._checks import SUPPORTED_CHANNELS, describe
from segaug.functional._alpha import premultiply, unpremultiply
from segaug.functional._labels import spread_runs

__all__ = [
    "Change",
    "Colors",
    "PictureColors",
    "TokenColors",
    "check_pixels",
    "on_tokens",
    "per_segment",
    "per_segment_numbers",
]

_HUGE = 1e30


# From the colours of some segments, and their rows in per-segment tensors, to new values.
Change = Callable[[Any, torch.Tensor], torch.Tensor]


@dataclass
class TokenColors:
    """Straight colours of tokens: values (C, M, K), for M segments of K pixels each.

    Channels come first so that each is one stretch of memory.
    """

    values: torch.Tensor
    weights: torch.Tensor  # (M, K) coverage in [0, 1]
    levels: bool

    def per_pixel(self, per_segment: torch.Tensor) -> torch.Tensor:
        """Spread one value per segment (..., M) over the pixels: (..., M, 1)."""
        return per_segment[..., None]

    def mean(self, gray: torch.Tensor) -> torch.Tensor:
        """Mean of gray (M, K) over each segment's own pixels: (M, 1)."""
        total = self.weights.sum(-1, keepdim=True)
        return (gray * self.weights).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)

    def extremes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Least and largest value of each channel over each segment's own pixels: (C, M) each."""
        outside = (self.weights == 0) * _HUGE
        return (self.values + outside).amin(-1), (self.values - outside).amax(-1)

    def histogram(self, levels: torch.Tensor) -> torch.Tensor:
        """How many of each segment's own pixels have each of 256 levels; levels (C, M, K) int64: (C, M, 256)."""
        counts = levels.new_zeros((*levels.shape[:-1], 256), dtype=torch.int32)
        return counts.scatter_add_(-1, levels, (self.weights > 0).to(counts.dtype).expand_as(levels))

    def look_up(self, table: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """Replace levels (C, M, K) by the entries of each segment's own table (C, M, 256)."""
        return table.gather(-1, levels)

    def on(self, chosen: torch.Tensor, change: Change) -> None:
        """Replace the colours of the chosen segments (M,) by ``change(them, their rows in per-segment tensors)``."""
        self.on_groups(chosen.long(), {1: change})

    def on_groups(self, group: torch.Tensor, changes: dict[int, Change]) -> None:
        """Do so for several groups at once: group (M,) says which of ``changes``, if any, a segment gets."""
        order = group.argsort(stable=True)
        ends = torch.bincount(group, minlength=max(changes, default=0) + 1).cumsum(0).tolist()
        # Groups side by side, so that each is a view, and one gather serves all of them.
        values = self.values.index_select(1, order)
        weights = self.weights.index_select(0, order)
        parts = []
        for key, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            part = values[:, begin:end]
            if key in changes and end > begin:
                part = changes[key](type(self)(part, weights[begin:end], self.levels), order[begin:end])
            parts.append(part)
        self.values = torch.cat(parts, dim=1).index_select(1, order.argsort())


@dataclass
class PictureColors:
    """Colours of a picture: values (C, 1, K) for K pixels, in runs of pixels of one segment each."""

    values: torch.Tensor
    rows: torch.Tensor  # (R,) row of each run's segment in per-segment tensors
    lengths: torch.Tensor  # (R,) pixels of each run
    levels: bool

    @cached_property
    def segment(self) -> torch.Tensor:
        """Row of each pixel's segment in per-segment tensors, (K,) int32."""
        return spread_runs(self.rows.to(torch.int32), self.lengths, self.values.shape[-1])

    def per_pixel(self, per_segment: torch.Tensor) -> torch.Tensor:
        """Spread one value per segment (..., M) over the pixels: (..., 1, K)."""
        if per_segment.ndim == 1:
            return per_segment.index_select(0, self.segment)[None]
        # One by one: index_select along any but the first dimension is many times slower.
        return torch.stack([self.per_pixel(one) for one in per_segment])

    def mean(self, gray: torch.Tensor) -> torch.Tensor:
        """Mean of gray (1, K) over each segment's own pixels, at every pixel: (1, K)."""
        if not len(self.rows):
            return gray
        # Levels of one row of a picture add up exactly in float32. All else is added in double.
        flat = gray.flatten() if self.levels else gray.flatten().double()
        totals = torch.segment_reduce(flat, "sum", lengths=self.lengths).double()
        total = torch.bincount(self.rows, weights=totals)
        count = torch.bincount(self.rows, weights=self.lengths.double()).clamp_(min=1)
        return self.per_pixel((total / count).to(gray.dtype))

    def extremes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Least and largest value of each channel over each segment's own pixels: (C, rows) each."""
        bounds = self.values.new_zeros((len(self.values), self._count()))
        index = self.rows.expand(len(self.values), -1)

        def reduce(kind: str) -> torch.Tensor:
            runs = [torch.segment_reduce(channel, kind, lengths=self.lengths) for channel in self.values[:, 0]]
            return bounds.scatter_reduce(-1, index, torch.stack(runs), f"a{kind}", include_self=False)

        return reduce("min"), reduce("max")

    def histogram(self, levels: torch.Tensor) -> torch.Tensor:
        """How many of each segment's own pixels have each of 256 levels; levels (C, 1, K) int64: (C, rows, 256)."""
        size = self._count() * 256
        counts = [torch.bincount(channel, minlength=size) for channel in self._entries(levels)]
        return torch.stack(counts).view(len(levels), -1, 256).int()

    def look_up(self, table: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """Replace levels (C, 1, K) by the entries of each segment's own table (C, rows, 256)."""
        return table.flatten(1).gather(-1, self._entries(levels))[:, None]

    def _count(self) -> int:
        return int(self.rows.max()) + 1 if len(self.rows) else 0

    def _entries(self, levels: torch.Tensor) -> torch.Tensor:
        """Where each pixel's level is found among the 256 of every segment."""
        return torch.add(levels[:, 0], self.segment, alpha=256)

    def on(self, chosen: torch.Tensor, change: Change) -> None:
        """Replace the colours of the chosen segments by ``change(their pixels, rows in per-segment tensors)``."""
        self.on_groups(chosen.long(), {1: change})

    def on_groups(self, group: torch.Tensor, changes: dict[int, Change]) -> None:
        """Do so for several groups at once: group says which of ``changes``, if any, a segment gets."""
        # The pixels still carry the rows of the whole picture, so all rows stay in use.
        everything = torch.arange(len(group), device=group.device)
        group_of_run = group.index_select(0, self.rows)
        starts = self.lengths.cumsum(0) - self.lengths
        for key, change in changes.items():
            # Runs are far fewer than pixels.
            runs = (group_of_run == key).nonzero().squeeze(1)
            if not len(runs):
                continue
            if len(runs) == len(self.rows):
                self.values = change(self, everything)
                return
            # A copy where one stretch of memory stands for several channels.
            self.values = self.values.contiguous()
            rows, lengths = self.rows[runs], self.lengths[runs]
            count = int(lengths.sum())
            place = spread_runs(starts[runs] - lengths.cumsum(0) + lengths, lengths, count)
            place = place.add_(torch.arange(count, device=place.device))
            # Channel by channel: index_select along any but the first dimension is many times slower.
            channels = torch.stack([channel.index_select(0, place) for channel in self.values[:, 0]])
            part = type(self)(channels[:, None], rows, lengths, self.levels)
            for channel, changed in zip(self.values[:, 0], change(part, everything)[:, 0], strict=True):
                channel.scatter_(0, place, changed)


Colors = TokenColors | PictureColors


def per_segment(name: str, value: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """One number per segment: (...,) as the leading shape of patches, flattened."""
    leading = patches.shape[:-3]
    if value.shape != leading:
        raise ValueError(
            f"{name} must have one value per segment, shape {tuple(leading)} for patches {tuple(patches.shape)}, "
            f"got {describe(value)}"
        )
    return value.reshape(-1).to(patches.device)


def per_segment_numbers(name: str, factor: torch.Tensor, patches: torch.Tensor, low: float = 0.0) -> torch.Tensor:
    """One finite float of at least ``low`` per segment."""
    if factor.dtype == torch.bool or factor.is_complex():
        raise TypeError(f"{name} must be numbers, got {describe(factor)}")
    numbers = per_segment(name, factor, patches)
    # NaN fails the comparisons.
    if not bool(((numbers >= low) & (numbers.abs() < math.inf)).all()):
        allowed = "finite" if low == -math.inf else f"finite and at least {low:g}"
        raise ValueError(f"{name} must be {allowed}, got {numbers.min():g} to {numbers.max():g}")
    return numbers.to(torch.float64 if patches.dtype == torch.float64 else torch.float32)


def check_pixels(patches: torch.Tensor, alpha: torch.Tensor) -> None:
    """Raise an error unless the two are patches and alpha that fit together."""
    if alpha.shape != (*patches.shape[:-3], *patches.shape[-2:]) or alpha.dtype != patches.dtype:
        raise ValueError(f"alpha must fit patches, got {describe(alpha)} for {describe(patches)}")
    if patches.dtype != torch.uint8 and not patches.is_floating_point():
        raise TypeError(f"patches must be uint8 or float in [0, 1], got {describe(patches)}")
    if patches.shape[-3] not in SUPPORTED_CHANNELS:
        raise ValueError(f"patches must have shape (..., C, H, W) with 1 or 3 channels, got {describe(patches)}")


def on_tokens(
    patches: torch.Tensor, alpha: torch.Tensor, change: Callable[[TokenColors], torch.Tensor]
) -> torch.Tensor:
    """Run ``change`` on the straight colours of (..., C, H, W) patches, and put the result under alpha again."""
    check_pixels(patches, alpha)
    levels = patches.dtype == torch.uint8
    flat = patches.reshape(-1, *patches.shape[-3:])
    coverage = alpha.reshape(len(flat), alpha.shape[-2] * alpha.shape[-1])
    if patches.dtype in (torch.float16, torch.bfloat16):
        flat, coverage = flat.float(), coverage.float()
    # (M, C, K) to (C, M, K) and back.
    straight = unpremultiply(flat.flatten(2).transpose(0, 1).contiguous(), coverage)
    colors = TokenColors(straight, coverage / 255.0 if levels else coverage, levels)
    # The number of channels may have changed.
    changed = premultiply(change(colors), coverage).transpose(0, 1).to(patches.dtype)
    return changed.contiguous().view(*patches.shape[:-3], changed.shape[1], *patches.shape[-2:])
