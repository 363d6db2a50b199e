"""Sizes of S-ViT, with alpha fed: what that is worth is in the docs' report."""

from typing import Any

from segaug.models.svit import SViT

__all__ = ["svit_base", "svit_micro", "svit_small", "svit_tiny"]


def svit_micro(num_classes: int, **options: Any) -> SViT:
    """S-ViT for a few hundred pictures and a CPU: width 128, 4 blocks, 4 heads, alpha fed, mean pooling, drop path.

    Pixels are centred and not scaled (``pixel_std=1.0``): with few photos that measured better than the scale that is usual
    for ViT (the docs' report has the figures).

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 1,078,504 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_micro(1000).parameters())
        1078504
    """
    preset = {
        "embed_dim": 128,
        "depth": 4,
        "num_heads": 4,
        "pool": "mean",
        "alpha_channel": True,
        "pixel_std": 1.0,
        "drop_path_rate": 0.1,
    }
    return SViT(num_classes, **{**preset, **options})


def svit_tiny(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Tiny: width 192, 12 blocks, 3 heads, alpha fed.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 5,778,472 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_tiny(1000).parameters())
        5778472
    """
    return SViT(num_classes, **{"embed_dim": 192, "depth": 12, "num_heads": 3, "alpha_channel": True, **options})


def svit_small(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Small: width 384, 12 blocks, 6 heads, alpha fed.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 22,246,504 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> sum(p.numel() for p in svit_small(1000).parameters())
        22246504
    """
    return SViT(num_classes, **{"embed_dim": 384, "depth": 12, "num_heads": 6, "alpha_channel": True, **options})


def svit_base(num_classes: int, **options: Any) -> SViT:
    """S-ViT with the size of ViT-Base: width 768, 12 blocks, 12 heads, alpha fed.

    Args:
        num_classes: Number of logits.
        **options: Further arguments of :class:`SViT`; they come before the ones above.

    Returns:
        A model with 87,254,248 parameters at 1,000 classes and the other options at their defaults.

    Raises:
        TypeError: As :class:`SViT` does.
        ValueError: As :class:`SViT` does.

    Example:
        >>> import torch
        >>> with torch.device("meta"):  # count without allocating
        ...     model = svit_base(1000)
        >>> sum(p.numel() for p in model.parameters())
        87254248
    """
    return SViT(num_classes, **{"embed_dim": 768, "depth": 12, "num_heads": 12, "alpha_channel": True, **options})
