"""Filters that mix neighbours, but only those of the same segment.

They are normalised convolutions (Knutsson and Westin, "Normalized and differential convolution", CVPR 1993, section 2):
weights are coverage, and the filtered colours are divided by the filtered coverage. So neither the black around a segment
nor its neighbours leak in. With a full mask they are the torchvision functionals of their names.
"""

from collections.abc import Callable

import torch

from segaug._checks import check_int, describe
from segaug.functional._alpha import premultiply, unpremultiply
from segaug.functional._colors import check_pixels, per_segment_numbers

__all__ = ["adjust_sharpness", "gaussian_blur"]

_TINY = 1e-30


def adjust_sharpness(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Sharpen or soften each segment: away from or towards the mean of each pixel and its neighbours.

    As in torchvision, the outermost pixels of the patch stay.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing, 0 softens.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        TypeError: If patches are neither uint8 nor float, or factors are no numbers.
        ValueError: If the shapes do not fit together, or a factor is negative.

    Example:
        >>> patches = torch.zeros(1, 1, 3, 3)
        >>> patches[..., 1, 1] = 0.13
        >>> adjust_sharpness(patches, torch.ones(1, 3, 3), torch.tensor([0.0]))[0, 0, 1].mul(100).round().tolist()
        [0.0, 5.0, 0.0]
    """
    check_pixels(patches, alpha)
    per_segment_numbers("factor", factor, patches)
    # In double first, as a Python float would be.
    rest = 1.0 - factor.reshape(-1, 1, 1, 1).to(patches.device, torch.float64)
    if min(patches.shape[-2:]) <= 2:
        return patches

    def sharpen(straight: torch.Tensor, coverage: torch.Tensor, levels: bool) -> torch.Tensor:
        # Ones around a five, not divided by 13: sums of levels are exact then, and halves are rounded alike everywhere.
        layers = _layers(straight, coverage)
        rows = layers[..., :-2, :] + layers[..., 1:-1, :] + layers[..., 2:, :]
        sums = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(_inner(layers), alpha=4.0)
        soft = sums[:, :-1] / sums[:, -1:].clamp(min=_TINY)
        if levels:
            soft = soft.round_()
        inner = _inner(straight)
        inner.addcmul_(soft.sub_(inner), rest.to(straight.dtype))
        straight.clamp_(0.0, 255.0 if levels else 1.0)
        return straight.floor_() if levels else straight

    return _on_pixels(patches, alpha, sharpen)


def gaussian_blur(
    patches: torch.Tensor, alpha: torch.Tensor, kernel_size: tuple[int, int], sigma: torch.Tensor
) -> torch.Tensor:
    """Blur each segment within its own outline.

    Beyond the edge of the patch it is reflected, as in torchvision.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        kernel_size: Width and height of the window in pixels, odd; at most 2 W - 1 and 2 H - 1.
        sigma: (..., 2), standard deviations in x and y in pixels, per segment, above 0.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        TypeError: If patches are neither uint8 nor float, or sigmas are no numbers.
        ValueError: If the shapes do not fit together, the window is even or too large, or a sigma is not above 0.

    Example:
        >>> patches, alpha = torch.tensor([[[[0.2, 0.6, 0.0]]]]), torch.tensor([[[1.0, 1.0, 0.0]]])
        >>> gaussian_blur(patches, alpha, (3, 1), torch.tensor([[100.0, 100.0]])).mul(10).round().tolist()
        [[[[5.0, 4.0, 0.0]]]]
    """
    check_pixels(patches, alpha)
    for name, length, side in zip(
        ("width", "height"), kernel_size, (patches.shape[-1], patches.shape[-2]), strict=True
    ):
        if check_int("kernel_size", length, minimum=1) % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {tuple(kernel_size)}")
        if length // 2 >= max(side, 1):
            raise ValueError(
                f"kernel_size must be at most twice the {name} of a patch less 1, got {length} for a {name} of {side}"
            )
    if sigma.ndim == 0 or sigma.shape[-1] != 2:
        raise ValueError(f"sigma must have shape {(*patches.shape[:-3], 2)}, got {describe(sigma)}")
    spread = torch.stack([per_segment_numbers("sigma", one, patches) for one in sigma.unbind(-1)])
    if not bool((spread > 0).all()):
        raise ValueError(f"sigma must be above 0, got {spread.min():g}")

    def blur(straight: torch.Tensor, coverage: torch.Tensor, levels: bool) -> torch.Tensor:
        layers = _layers(straight, coverage)
        across, down = (
            _blur_matrix(side, length, one.to(straight.dtype))
            for side, length, one in zip((layers.shape[-1], layers.shape[-2]), kernel_size, spread, strict=True)
        )
        # (M, (C + 1) H, W) by (M, W, W), then (M, 1, H, H) by (M, C + 1, H, W).
        blurred = down[:, None] @ torch.bmm(layers.flatten(1, 2), across.mT).view(layers.shape)
        mixed = blurred[:, :-1] / blurred[:, -1:].clamp(min=_TINY)
        return mixed.round_() if levels else mixed

    return _on_pixels(patches, alpha, blur)


def _blur_matrix(side: int, length: int, sigma: torch.Tensor) -> torch.Tensor:
    """Blurring along one axis as a matrix per segment, reflection at the ends included: sigma (M,) -> (M, side, side)."""
    # torchvision's spacing of the taps: the reach is (length - 1) / 2, and the exponent lacks a factor of 1/2.
    limit = (length - 1) / (2.0 * 2.0**0.5)
    taps = torch.linspace(-limit, limit, length, dtype=sigma.dtype, device=sigma.device)
    weights = (taps / sigma[:, None]).square().neg().softmax(-1)
    place = torch.arange(side, device=sigma.device)[:, None] + torch.arange(length, device=sigma.device) - length // 2
    place = place.abs()
    place = torch.where(place >= side, 2 * (side - 1) - place, place)
    matrix = sigma.new_zeros((len(sigma), side, side))
    return matrix.scatter_add_(-1, place.expand(len(sigma), side, length), weights[:, None].expand(-1, side, -1))


def _layers(straight: torch.Tensor, coverage: torch.Tensor) -> torch.Tensor:
    """Weighted colours, and their weights behind them: (M, C + 1, H, W)."""
    weights = coverage[:, None].to(straight.dtype)
    return torch.cat([straight * weights, weights], dim=1)


def _inner(pixels: torch.Tensor) -> torch.Tensor:
    return pixels[..., 1:-1, 1:-1]


def _on_pixels(
    patches: torch.Tensor, alpha: torch.Tensor, change: Callable[[torch.Tensor, torch.Tensor, bool], torch.Tensor]
) -> torch.Tensor:
    """Run ``change(straight (M, C, H, W), coverage (M, H, W), levels)``, and put the result under alpha again."""
    flat, coverage = patches.reshape(-1, *patches.shape[-3:]), alpha.reshape(-1, *alpha.shape[-2:])
    if patches.dtype in (torch.float16, torch.bfloat16):
        flat, coverage = flat.float(), coverage.float()
    changed = change(unpremultiply(flat, coverage), coverage, patches.dtype == torch.uint8)
    return premultiply(changed, coverage).to(patches.dtype).view(patches.shape)
