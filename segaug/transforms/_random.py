"""Draws. All on the CPU (or where the generator is), so that a seed gives the same result on every device."""

import torch
from torch.utils.data import get_worker_info

__all__ = [
    "bernoulli",
    "beta",
    "choices",
    "dirichlet",
    "integers",
    "normal",
    "permutations",
    "seeds",
    "stream_here",
    "uniform",
]

# Per generator, the seed of the loader's worker that it was last told apart by.
_told_apart: dict[int, int] = {}


def stream_here(generator: torch.Generator | None) -> torch.Generator | None:
    """Give a generator that a loader copied into its workers a stream of its own in each.

    As they come, all copies draw the same numbers, in every worker and every epoch. The worker's seed, which the loader
    draws from torch's default generator for each epoch, tells them apart.
    """
    worker = get_worker_info()
    if generator is not None and worker is not None and _told_apart.get(id(generator)) != worker.seed:
        generator.manual_seed((generator.initial_seed() + worker.seed) % 2**63)
        _told_apart[id(generator)] = worker.seed
    return generator


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


def beta(alpha: float, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    """Doubles in [0, 1], distributed as Beta(alpha, alpha)."""
    both = (*shape, 2)
    rate = torch.full(both, alpha + 1.0, dtype=torch.float64, device=_device(generator))
    gamma = torch._standard_gamma(rate, generator=generator)
    # Gamma(alpha) is Gamma(alpha + 1) times a root of a uniform number; as logarithms, as for a small alpha both underflow.
    root = (1.0 - torch.rand(both, generator=generator, device=_device(generator), dtype=torch.float64)).log()
    ratio = gamma.log().diff(dim=-1) + root.diff(dim=-1) / alpha
    return ratio.squeeze(-1).sigmoid()


def permutations(n: int, count: int, generator: torch.Generator | None) -> torch.Tensor:
    """``count`` permutations of range(n), (count, n)."""
    # Double: with ties, which argsort breaks by index, some permutations would be likelier.
    keys = torch.rand((count, n), generator=generator, device=_device(generator), dtype=torch.float64)
    return keys.argsort(-1)


def choices(p: tuple[float, ...], count: int, generator: torch.Generator | None) -> torch.Tensor:
    """``count`` indices (count,) into ``p``, each as likely as its ``p``, which need not add up to 1."""
    weights = torch.tensor(p, dtype=torch.float64, device=_device(generator))
    return (
        torch.multinomial(weights, count, replacement=True, generator=generator)
        if count
        else weights.new_zeros(0).long()
    )


def integers(high: int, shape: tuple[int, ...], generator: torch.Generator | None) -> torch.Tensor:
    """Whole numbers in [0, high)."""
    return torch.randint(high, shape, generator=generator, device=_device(generator))


def dirichlet(alpha: float, shape: tuple[int, int], generator: torch.Generator | None) -> torch.Tensor:
    """Rows (count, n) that add up to 1, from the symmetric Dirichlet distribution."""
    return torch._sample_dirichlet(torch.full(shape, alpha, device=_device(generator)), generator)


def seeds(count: int, generator: torch.Generator | None) -> torch.Tensor:
    """``count`` seeds (count,) int64, for streams of their own."""
    return torch.randint(2**63 - 1, (count,), generator=generator, device=_device(generator)).cpu()
