"""Draws. All on the CPU (or where the generator is), so that a seed gives the same result on every device."""

import torch

__all__ = ["bernoulli", "normal", "permutations", "uniform"]


def _device(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device


def uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    """Floats in [low, high)."""
    return torch.empty(shape, device=_device(generator)).uniform_(low, high, generator=generator)


def normal(std: float, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    """Floats of mean 0."""
    return torch.randn(shape, generator=generator, device=_device(generator)) * std


def bernoulli(p: float, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    """Bools that are True with probability ``p``."""
    return torch.rand(shape, generator=generator, device=_device(generator)) < p


def permutations(n: int, count: int, generator: torch.Generator | None) -> torch.Tensor:
    """``count`` permutations of range(n), (count, n)."""
    # Double: with ties, which argsort breaks by index, some permutations would be likelier.
    keys = torch.rand((count, n), generator=generator, device=_device(generator), dtype=torch.float64)
    return keys.argsort(-1)
