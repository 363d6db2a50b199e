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

import torch
from torch import Tensor, nn

__all__ = ["PixelChannels", "mean_color", "unit_floats"]

# Interpolation and augmentation may leave [0, 1] by a little; Normalize leaves it by much more.
_TOLERANCE = 0.1


class PixelChannels(nn.Module):
    """Subtract a mean from the segments' own pixels, divide by a standard deviation, and add alpha if it is asked for.

    Patches are premultiplied, so the mean is too: outside the segment 0 stays 0. Alpha goes in less 1, which is 0 where
    the segment is: as 1, it would add the same large amount to all tokens that are covered wholly, as a grid's are.

    Args:
        mean: For all channels, or one for each.
        std: Likewise.
        alpha_channel: Whether alpha becomes a further channel, the last.
        in_chans: Channels of the patches.

    Raises:
        TypeError: If a mean or standard deviation is no number.
        ValueError: If there are too many or too few of them, or one is out of its range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: float | Sequence[float], std: float | Sequence[float], *, alpha_channel: bool, in_chans: int
    ) -> None:
        super().__init__()
        self.means, self.stds = _check("pixel_mean", mean, in_chans), _check("pixel_std", std, in_chans)
        if min(self.stds) <= 0.0:
            raise ValueError(f"pixel_std must be positive, got {std}")
        self.takes_any_range = set(self.means) == {0.0} and set(self.stds) == {1.0}
        self.alpha_channel = alpha_channel
        # Not in the state dict: a model has a ViT's keys there.
        self.register_buffer("mean", torch.tensor(self.means).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.stds).view(-1, 1, 1), persistent=False)

    def forward(self, patches: Tensor, alpha: Tensor, padding: Tensor, dtype: torch.dtype) -> Tensor:
        """Map patches (..., N, C, P, P), alpha (..., N, P, P) and padding (..., N) to (..., N, C or C + 1, P, P)."""
        padding = padding[..., None, None, None]
        if patches.is_floating_point() and not self.takes_any_range and not torch.compiler.is_compiling():
            _check_range(patches.masked_fill(padding, 0.0))
        pixels, alpha = unit_floats("patches", patches, dtype), unit_floats("alpha", alpha, dtype).unsqueeze(-3)
        x = torch.addcmul(pixels, alpha, self.mean, value=-1).div_(self.std)
        if self.alpha_channel:
            x = torch.cat([x, alpha - 1.0], dim=-3)
        # Zeros for whatever lies in padding: masking alone would let a NaN there into the gradients.
        return x.masked_fill(padding, 0.0)

    def extra_repr(self) -> str:
        """Show in the printed model what shapes do not tell."""
        return f"mean={self.means}, std={self.stds}, alpha_channel={self.alpha_channel}"


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


def _check_range(patches: Tensor) -> None:
    """Raise where somebody has normalised before the model does."""
    if not patches.numel():
        return
    lowest, highest = (float(value) for value in patches.detach().aminmax())
    if lowest < -_TOLERANCE or highest > 1.0 + _TOLERANCE:
        raise ValueError(
            f"patches must be uint8, or float in [0, 1], got {lowest:.3g} to {highest:.3g}; the model normalises them by "
            "pixel_mean and pixel_std, so leave Normalize out, or build it with pixel_mean=0.0, pixel_std=1.0"
        )


def _check(name: str, value: Any, channels: int) -> tuple[float, ...]:
    """One number for all channels, or one for each."""
    numbers = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if len(numbers) not in (1, channels):
        raise ValueError(f"{name} must be one number, or one for each of {channels} channels, got {len(numbers)}")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{name} must be a number, or one for each channel, got {number!r}")
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, got {number}")
    return tuple(float(number) for number in numbers)
