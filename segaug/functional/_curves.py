"""Tone curves on tokens: every segment by its own parameters or its own histogram, all segments at once."""

import torch

from segaug._checks import describe
from segaug.functional import _tone
from segaug.functional._colors import check_pixels, on_tokens, per_segment_numbers

__all__ = ["autocontrast", "equalize", "invert", "posterize", "solarize"]


def autocontrast(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Stretch each channel of each segment over the whole range, from its own darkest to its own brightest pixel.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``. Pixels with any coverage count.

    Returns:
        Patches of the same shape and dtype, black outside the segment. A channel of one value stays.

    Raises:
        TypeError: If patches are neither uint8 nor float.
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.tensor([[[[0.25, 0.75, 0.5, 0.0]]]]), torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
        >>> autocontrast(patches, alpha).tolist()
        [[[[0.0, 1.0, 0.5, 0.0]]]]
    """
    return on_tokens(patches, alpha, _tone.autocontrast)


def equalize(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Spread each channel of each segment so that its levels are about equally frequent, by Pillow's rule.

    By that rule a channel stays unless at least 255 of the segment's pixels are darker than its brightest level: nothing
    changes in patches of less than 256 pixels.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1], taken as 256 levels; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``. Pixels with any coverage count.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        TypeError: If patches are neither uint8 nor float.
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches = (torch.arange(256, dtype=torch.uint8) // 4).view(1, 1, 16, 16)
        >>> int(equalize(patches, torch.full((1, 16, 16), 255, dtype=torch.uint8)).max())
        63
        >>> patches = (torch.arange(1024) // 16).to(torch.uint8).view(1, 1, 32, 32)
        >>> int(equalize(patches, torch.full((1, 32, 32), 255, dtype=torch.uint8)).max())
        255
    """
    return on_tokens(patches, alpha, _tone.equalize)


def invert(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Invert each segment's colours; outside it stays black.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.

    Returns:
        Patches of the same shape and dtype.

    Raises:
        TypeError: If patches are neither uint8 nor float.
        ValueError: If the shapes do not fit together.

    Example:
        >>> invert(torch.tensor([[[[0.25, 0.0]]]]), torch.tensor([[[1.0, 0.0]]])).tolist()
        [[[[0.75, 0.0]]]]
    """
    return on_tokens(patches, alpha, _tone.invert)


def posterize(patches: torch.Tensor, alpha: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keep the highest bits of each segment's values.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        bits: (...,) of an integer type, one per segment, 0 to 8.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        TypeError: If patches are neither uint8 nor float, or ``bits`` are no integers.
        ValueError: If the shapes do not fit together, or bits are not in [0, 8].

    Example:
        >>> patches = torch.tensor([[[[100, 200]]]], dtype=torch.uint8)
        >>> posterize(patches, torch.full((1, 1, 2), 255, dtype=torch.uint8), torch.tensor([1])).tolist()
        [[[[0, 128]]]]
    """
    check_pixels(patches, alpha)
    if bits.is_floating_point():
        raise TypeError(f"bits must be of an integer type, got {describe(bits)}")
    numbers = per_segment_numbers("bits", bits, patches)
    if bool((numbers > 8).any()):
        raise ValueError(f"bits must be at most 8, got {int(numbers.max())}")
    return on_tokens(patches, alpha, lambda colors: _tone.posterize(colors, numbers))


def solarize(patches: torch.Tensor, alpha: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Invert each segment's values from a threshold on.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        threshold: (...,), one per segment, in the range of ``patches``. Above it nothing is inverted.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        TypeError: If patches are neither uint8 nor float, or thresholds are no numbers.
        ValueError: If the shapes do not fit together, or a threshold is negative.

    Example:
        >>> solarize(torch.tensor([[[[0.25, 0.75]]]]), torch.ones(1, 1, 2), torch.tensor([0.5])).tolist()
        [[[[0.25, 0.25]]]]
    """
    check_pixels(patches, alpha)
    numbers = per_segment_numbers("threshold", threshold, patches)
    return on_tokens(patches, alpha, lambda colors: _tone.solarize(colors, numbers))
