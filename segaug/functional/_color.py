"""Colour kernels that see a segment's own pixels only: every segment its own factor, all segments at once.

Each follows the arithmetic of the torchvision functional of its name, so that a segment with a full mask comes out as
from there. uint8 is worked on as whole levels in float, cut off after every step as torchvision's casts do.
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
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "color_jitter",
    "rgb_to_grayscale",
]

_TINY, _HUGE = 1e-30, 1e30
# ColorJitter's order of the four, as indices of its permutation.
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


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


def _quantize(values: torch.Tensor, levels: bool) -> torch.Tensor:
    return values.floor_() if levels else values


def _gray(values: torch.Tensor, levels: bool) -> torch.Tensor:
    """Luma of (C, ...)."""
    if len(values) == 1:
        return values[0]
    red, green, blue = values
    return _quantize(red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114), levels)


def _blend(colors: Colors, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with ``other``, which gets 1 - factor."""
    ratio = colors.per_pixel(factor.to(colors.values.dtype))
    # In double first, as a Python float would be: gray pixels must come out exactly.
    rest = colors.per_pixel((1.0 - factor.double()).to(colors.values.dtype))
    mixed = (colors.values * ratio).addcmul_(other, rest)
    return _quantize(mixed.clamp_(0, 255 if colors.levels else 1), colors.levels)


def brighten(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Scale the values."""
    scaled = colors.values * colors.per_pixel(factor.to(colors.values.dtype))
    return _quantize(scaled.clamp_(0, 255 if colors.levels else 1), colors.levels)


def change_contrast(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the segment's mean luma."""
    return _blend(colors, colors.mean(_gray(colors.values, colors.levels)), factor)


def saturate(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the luma; a single channel stays."""
    if len(colors.values) == 1:
        return colors.values
    return _blend(colors, _gray(colors.values, colors.levels), factor)


def shift_hue(colors: Colors, shift: torch.Tensor) -> torch.Tensor:
    """Turn the hue by ``shift`` of the circle; a single channel stays."""
    values = colors.values
    if len(values) == 1:
        return values
    if colors.levels:
        values = values * (1.0 / 255.0)
    red, green, blue = values
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    # Gray has neither hue nor saturation: 0 over anything. Comparing and selecting is slow next to arithmetic, so below
    # choices are products with 0 or 1, which are exact.
    saturation = spread / value.clamp(min=_TINY)
    away = (value - values).div_(spread.clamp_(min=_TINY))
    not_red, not_green = away[:2].mul(_HUGE).clamp_(max=1.0)
    hue = (away[1] + 4.0).sub_(away[0]).mul_(not_green)
    hue = hue.addcmul_((away[0] + 2.0).sub_(away[2]), 1.0 - not_green).mul_(not_red)
    hue = hue.addcmul_(away[2] - away[1], 1.0 - not_red)
    # As fmod and remainder by 1 of operands for which this is exact.
    hue = hue.mul_(1.0 / 6.0).add_(1.0)
    hue = hue.sub_(hue.floor()).add_(colors.per_pixel(shift))
    hue = hue.sub_(hue.floor()).mul_(6.0)
    sextant = hue.floor()
    part = hue.sub_(sextant).mul_(saturation)
    rest = saturation.neg_().add_(1.0)
    low = (rest * value).clamp_(0.0, 1.0)
    # One channel is the value, one is the lowest, and one on its way down (odd sextants) or up (even ones).
    odd = sextant.mul(0.5)
    odd = odd.sub_(odd.floor()).mul_(2.0)
    ramp = (1.0 - part).mul_(odd).addcmul_(part.add_(rest), 1.0 - odd).mul_(value).clamp_(0.0, 1.0)
    out = torch.empty_like(values)
    # Above 0 where a channel is the value, below where it is the lowest.
    torch.sub(sextant, 2.5, out=out[0]).abs_().sub_(1.5)
    torch.sub(sextant, 1.5, out=out[1]).abs_().neg_().add_(1.5)
    torch.sub(sextant, 3.5, out=out[2]).abs_().neg_().add_(1.5)
    out.mul_(4.0).add_(ramp)
    out = torch.minimum(torch.maximum(out, low), value)
    return out.mul_(255.999).floor_() if colors.levels else out


def luma(colors: Colors) -> torch.Tensor:
    """The luma, without a dimension of channels."""
    return _gray(colors.values, colors.levels)


def permute_channels(colors: Colors, permutation: torch.Tensor) -> torch.Tensor:
    """Put channel ``permutation[:, i]`` of each segment in place i: permutation (M, C)."""
    values = colors.values
    if permutation.shape[-1] != len(values):
        raise ValueError(f"permutation must have one entry per channel ({len(values)}), got {describe(permutation)}")
    return values.gather(0, colors.per_pixel(permutation.T).expand_as(values))


def grayscale(colors: Colors) -> torch.Tensor:
    """Put the luma in every channel."""
    return _gray(colors.values, colors.levels).expand(colors.values.shape)


_OPERATIONS = {BRIGHTNESS: brighten, CONTRAST: change_contrast, SATURATION: saturate, HUE: shift_hue}


def jitter(colors: Colors, order: torch.Tensor, factors: dict[int, torch.Tensor]) -> None:
    """Apply the four in each segment's own order: order (M, 4), factors {operation: (M,)}."""

    def make_change(operations: tuple[int, ...]) -> Change:
        def change(part: Any, rows: torch.Tensor) -> torch.Tensor:
            for operation in operations:
                part.values = _OPERATIONS[operation](part, factors[operation][rows])
            return part.values

        return change

    if len(factors) <= 1:
        for operation, factor in factors.items():
            colors.values = _OPERATIONS[operation](colors, factor)
        return
    used = torch.tensor(sorted(factors), device=order.device)
    order = order[torch.isin(order, used)].view(len(order), len(factors))
    if isinstance(colors, PictureColors) or len(factors) <= 2:
        # Segments of one order together; pixels of a picture are then moved once only.
        digits = 4 ** torch.arange(len(factors), device=order.device)
        codes, group = torch.unique((order * digits).sum(-1), return_inverse=True)
        orders = (codes[:, None] // digits % 4).tolist()
        colors.on_groups(group, {key: make_change(tuple(own)) for key, own in enumerate(orders)})
        return
    changes = {operation: make_change((operation,)) for operation in factors}
    for step in order.unbind(-1):
        colors.on_groups(step, changes)


def _per_segment(name: str, value: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
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
    numbers = _per_segment(name, factor, patches)
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


def adjust_brightness(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's brightness.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.full((2, 3, 4, 4), 0.25), torch.ones(2, 4, 4)
        >>> adjust_brightness(patches, alpha, torch.tensor([1.0, 2.0]))[:, 0, 0, 0].tolist()
        [0.25, 0.5]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: brighten(colors, numbers))


def adjust_contrast(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's contrast about the mean luma of its own pixels.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing, 0 leaves the mean.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches = torch.tensor([[[[0.25, 0.75, 0.0]]]])
        >>> alpha = torch.tensor([[[1.0, 1.0, 0.0]]])
        >>> adjust_contrast(patches, alpha, torch.tensor([0.0])).tolist()
        [[[[0.5, 0.5, 0.0]]]]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: change_contrast(colors, numbers))


def adjust_saturation(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's saturation.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; with one channel nothing changes.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing, 0 leaves the luma.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> adjust_saturation(red, torch.ones(1, 1, 1), torch.tensor([0.0])).flatten().mul(100).int().tolist()
        [29, 29, 29]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: saturate(colors, numbers))


def adjust_hue(patches: torch.Tensor, alpha: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Turn each segment's hue.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; with one channel nothing changes.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        shift: (...,), one per segment, in turns of the circle: 0.5 gives the complementary hue.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
        >>> alpha = torch.full((1, 1, 1), 255, dtype=torch.uint8)
        >>> adjust_hue(red, alpha, torch.tensor([0.5])).flatten().tolist()
        [0, 255, 255]
    """
    numbers = per_segment_numbers("shift", shift, patches, -math.inf)
    return on_tokens(patches, alpha, lambda colors: shift_hue(colors, numbers))


def rgb_to_grayscale(patches: torch.Tensor, alpha: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Turn the chosen segments grey, in as many channels as before.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        which: (...,) bool, one per segment.

    Returns:
        Patches of the same shape and dtype.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> green = torch.tensor([0, 200, 0], dtype=torch.uint8).view(1, 3, 1, 1)
        >>> alpha = torch.full((1, 1, 1), 255, dtype=torch.uint8)
        >>> rgb_to_grayscale(green, alpha, torch.tensor([True])).flatten().tolist()
        [117, 117, 117]
    """
    if which.dtype != torch.bool:
        raise TypeError(f"which must be bool, got {describe(which)}")
    chosen = _per_segment("which", which, patches)
    gray = on_tokens(patches, alpha, grayscale)
    return torch.where(chosen.view(*patches.shape[:-3], 1, 1, 1), gray, patches)


def color_jitter(
    patches: torch.Tensor,
    alpha: torch.Tensor,
    order: torch.Tensor,
    brightness: torch.Tensor | None = None,
    contrast: torch.Tensor | None = None,
    saturation: torch.Tensor | None = None,
    hue: torch.Tensor | None = None,
) -> torch.Tensor:
    """Apply brightness, contrast, saturation and hue, each segment in its own order, as ``v2.ColorJitter`` does.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        order: (..., 4) int64: a permutation of 0 (brightness), 1 (contrast), 2 (saturation) and 3 (hue) per segment.
        brightness: (...,) factor per segment; None leaves it out, as for the others.
        contrast: (...,) factor per segment.
        saturation: (...,) factor per segment.
        hue: (...,) shift per segment.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.full((1, 3, 2, 2), 0.25), torch.ones(1, 2, 2)
        >>> color_jitter(patches, alpha, torch.tensor([[0, 1, 2, 3]]), brightness=torch.tensor([2.0])).max().item()
        0.5
    """
    given = {BRIGHTNESS: brightness, CONTRAST: contrast, SATURATION: saturation, HUE: hue}
    names = {BRIGHTNESS: "brightness", CONTRAST: "contrast", SATURATION: "saturation", HUE: "hue"}
    factors = {
        key: per_segment_numbers(names[key], value, patches, -math.inf if key == HUE else 0.0)
        for key, value in given.items()
        if value is not None
    }
    if order.shape != (*patches.shape[:-3], 4):
        raise ValueError(f"order must have shape {(*patches.shape[:-3], 4)}, got {describe(order)}")
    if not bool((order.sort(-1).values == torch.arange(4, device=order.device)).all()):
        raise ValueError("order must hold permutations of 0, 1, 2 and 3")
    steps = order.reshape(-1, 4).to(patches.device)

    def change(colors: TokenColors) -> torch.Tensor:
        jitter(colors, steps, factors)
        return colors.values

    return on_tokens(patches, alpha, change)
