"""A segment's pixels as the network takes them: floats about 0, and 0 where there is no segment.

Legend of the dimensions:
    ...  leading shape: (B,) for a batch of images, () for one image
    N    segment tokens of an image, padding included
    C    channels of a patch
    P    height and width of a patch
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segaug._checks import describe

__all__ = ["PixelChannels", "mean_color", "unit_floats"]

# Augmentation and noise may leave [0, 1] by a little; normalised pixels, and those in 0..255, leave it by more.
_TOLERANCE = 1.0


class PixelChannels(nn.Module):
    """Subtract a mean from the segments' own pixels, divide by a standard deviation, and add alpha if it is asked for.

    Patches are premultiplied, so the mean is too: outside the segment 0 stays 0. Alpha goes in less 1, which is 0 where
    the segment is: as 1, it would add the same large amount to all tokens that are covered wholly, as a grid's are.

    There are no parameters and no buffers, so nothing to initialise, save or send to other processes.

    Args:
        pixel_mean: For all channels, or one for each.
        pixel_std: Likewise.
        alpha_channel: Whether alpha becomes a further channel, the last.
        in_chans: Channels of the patches.

    Raises:
        TypeError: If a mean or standard deviation is no number.
        ValueError: If there are too many or too few of them, or one is out of its range.
    """

    def __init__(
        self,
        pixel_mean: float | Sequence[float],
        pixel_std: float | Sequence[float],
        *,
        alpha_channel: bool,
        in_chans: int,
    ) -> None:
        super().__init__()
        self.pixel_mean = _check("pixel_mean", pixel_mean, in_chans)
        self.pixel_std = _check("pixel_std", pixel_std, in_chans)
        if min(self.pixel_std) <= 0.0:
            raise ValueError(f"pixel_std must be above 0, got {describe(pixel_std)}")
        self.alpha_channel = alpha_channel

    def forward(self, patches: Tensor, alpha: Tensor, padding: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Make the network's input.

        Args:
            patches: (..., N, C, P, P), uint8 or float.
            alpha: (..., N, P, P), uint8 or float.
            padding: (..., N) bool.
            dtype: What to compute in.

        Returns:
            The channels (..., N, C or C + 1, P, P), and alpha in [0, 1] (..., N, P, P); both are zero in padding.
        """
        takes_all = self.pixel_mean == (0.0,) and self.pixel_std == (1.0,)
        if patches.is_floating_point() and not takes_all and not torch.compiler.is_compiling():
            _check_range(patches, padding)
        pixels, alpha = unit_floats("patches", patches, dtype), unit_floats("alpha", alpha, dtype)
        mean, std = (self._per_channel(values, pixels) for values in (self.pixel_mean, self.pixel_std))
        channels = torch.addcmul(pixels, alpha.unsqueeze(-3), mean, value=-1).div_(std)
        # Zeros for whatever lies in padding: masking attention alone would let a NaN there into the gradients.
        channels.masked_fill_(padding[..., None, None, None], 0.0)
        alpha = alpha.masked_fill(padding[..., None, None], 0.0)
        if self.alpha_channel:
            holes = (alpha - 1.0).masked_fill(padding[..., None, None], 0.0)
            channels = torch.cat([channels, holes.unsqueeze(-3)], dim=-3)
        return channels, alpha

    @staticmethod
    def _per_channel(values: tuple[float, ...], pixels: Tensor) -> Tensor:
        """As a tensor that broadcasts over (..., C, P, P)."""
        if len(values) == 1:
            return pixels.new_full((1, 1, 1), values[0])
        return torch.stack([pixels.new_full((1, 1), value) for value in values])

    def extra_repr(self) -> str:
        """Show in the printed model what shapes do not tell."""
        return f"pixel_mean={self.pixel_mean}, pixel_std={self.pixel_std}, alpha_channel={self.alpha_channel}"


def mean_color(pixels: Tensor, alpha: Tensor) -> Tensor:
    """The mean colour of a segment's own pixels: (..., C, P, P), 0 outside it, and (..., P, P) to (..., C)."""
    covered = alpha.sum((-2, -1))[..., None]
    return pixels.sum((-2, -1)) / covered.clamp_min(1e-4)


def unit_floats(name: str, pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return floats: uint8 over 255, floats as they are."""
    if pixels.dtype == torch.uint8:
        return pixels.to(dtype).div_(255)  # in place: the conversion has made a copy
    if not pixels.is_floating_point():
        raise TypeError(f"{name} must be uint8 or float, got {pixels.dtype}")
    return pixels.to(dtype)


def _check_range(patches: Tensor, padding: Tensor) -> None:
    """Raise for floats that were normalised already, or are in 0..255."""
    if not padding.numel():
        return
    lowest, highest = patches.detach().flatten(-3).aminmax(dim=-1)
    bounds = torch.stack([lowest.masked_fill(padding, 0.0).amin(), highest.masked_fill(padding, 0.0).amax()])
    low, high = bounds.tolist()
    if low < -_TOLERANCE or high > 1.0 + _TOLERANCE:
        advice = (
            "leave Normalize out, as the model normalises by pixel_mean and pixel_std, or build it with pixel_mean=0.0 and "
            "pixel_std=1.0"
            if low < 0.0
            else "convert with v2.ToDtype(..., scale=True)"
        )
        raise ValueError(
            f"patches must be uint8 or hold floats in [0, 1], got values from {low:g} to {high:g}; {advice}"
        )


def _check(name: str, value: Any, channels: int) -> tuple[float, ...]:
    """One number for all channels, or one for each; equal ones are one."""
    listed = value.tolist() if isinstance(value, np.ndarray | Tensor) else value
    numbers = tuple(listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else (listed,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float | np.integer | np.floating):
            raise TypeError(f"{name} must be a number, or one for each channel, got {describe(value)}")
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, got {describe(value)}")
    if len(numbers) not in (1, channels):
        raise ValueError(f"{name} must be one number, or one for each of {channels} channels, got {describe(value)}")
    floats = tuple(float(number) for number in numbers)
    return floats[:1] if len(set(floats)) == 1 else floats
