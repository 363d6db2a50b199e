"""Watch what is drawn from torch, or decide it: the draws of a transform as a value that a property can choose."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from segaug.testing._errors import NotApplicable

__all__ = ["LARGEST_UNIFORM", "PinnedDraws", "RecordedDraws"]

# The largest float32 that torch.rand returns.
LARGEST_UNIFORM = 1.0 - 2.0**-24
# Rejection sampling never ends if each draw is the same; no transform draws that often for a small picture.
_MOST_DRAWS = 20_000
# Whole numbers of so wide a range are seeds.
_SEEDS = 2**31 - 1


class PinnedDraws(TorchFunctionMode):
    """Replace every draw from torch by the quantile ``u`` of what is drawn from, in all elements.

    So a transform becomes a function of its input alone, however it batches its draws, and the ends of a distribution
    can be tried: ``u = 0`` is the smallest number that ``torch.rand`` returns. A permutation is the identity for
    ``u < 0.5``, else the reversal. A draw of seeds raises
    :class:`NotApplicable`, as what is drawn with them stays random. Draws from elsewhere (Python's ``random``, numpy) are
    not replaced.

    Args:
        u: The quantile, in [0, 1).

    Example:
        >>> with PinnedDraws(0.25):
        ...     torch.rand(2), torch.randint(0, 8, (2,)), torch.empty(1).uniform_(2, 4)
        (tensor([0.2500, 0.2500]), tensor([2, 2]), tensor([2.5000]))
    """

    def __init__(self, u: float) -> None:
        super().__init__()
        self.u = u
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, then write the pinned value over what it drew."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        pin = _PINS.get(name)
        if pin is None or name == "multinomial":
            return func(*args, **kwargs) if pin is None else _multinomial(self.u, *args, **kwargs)
        self.count += 1
        if self.count > _MOST_DRAWS:
            raise NotApplicable("it draws until a draw is accepted, and here all draws are the same")
        with torch._C.DisableTorchFunction():
            drawn = func(*args, **kwargs)
            return pin(drawn, self.u, args, kwargs)


class RecordedDraws(TorchFunctionMode):
    """Note which of torch's functions draws, and how many numbers.

    Example:
        >>> with RecordedDraws() as draws:
        ...     _ = torch.rand(2), torch.ones(2), torch.empty(3).normal_()
        >>> draws.calls
        [('rand', 2), ('normal_', 3)]
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, and note it if it draws."""
        drawn = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _PINS:
            self.calls.append((name, drawn.numel()))
        return drawn


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _uniform(drawn: torch.Tensor, u: float, low: Any = 0.0, high: Any = 1.0) -> torch.Tensor:
    return drawn.fill_(low + (high - low) * u)


def _normal_quantile(u: float) -> float:
    # The smallest uniform number has no finite quantile; five standard deviations stand for it.
    return float(torch.special.ndtri(torch.tensor(min(max(u, 3e-7), 1 - 3e-7), dtype=torch.float64)))


def _normal(drawn: torch.Tensor, u: float, mean: Any = 0.0, std: Any = 1.0) -> torch.Tensor:
    return drawn.copy_(torch.as_tensor(mean + std * _normal_quantile(u)).expand_as(drawn))


def _randint(drawn: torch.Tensor, u: float, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    numbers = [value for value in args if isinstance(value, int)]
    high = kwargs.get("high", numbers[-1] if numbers else 1)
    low = kwargs.get("low", numbers[0] if len(numbers) > 1 else 0)
    if high - low >= _SEEDS:
        raise NotApplicable("it seeds streams of its own with what it draws, and pinning does not reach those")
    return drawn.fill_(low + math.floor((high - low) * u))


def _randint_like(drawn: torch.Tensor, u: float, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    return _randint(drawn, u, args[1:], kwargs)


def _random(drawn: torch.Tensor, u: float, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    numbers = [value for value in args[1:] if isinstance(value, int)]
    if not numbers and "to" not in kwargs:
        return drawn.fill_(math.floor(2**7 * u))
    return _randint(drawn, u, tuple(numbers), {"high": kwargs["to"]} if "to" in kwargs else {})


def _bernoulli(drawn: torch.Tensor, u: float, p: Any) -> torch.Tensor:
    return drawn.copy_(torch.as_tensor(u < p, device=drawn.device).expand_as(drawn))


def _permutation(drawn: torch.Tensor, u: float) -> torch.Tensor:
    order = torch.arange(drawn.numel(), device=drawn.device)
    return drawn.copy_(order if u < 0.5 else order.flip(0))


def _multinomial(
    u: float, weights: torch.Tensor, num_samples: int, replacement: bool = False, **_: Any
) -> torch.Tensor:
    if replacement:
        share = weights.double().cumsum(-1) / weights.double().sum(-1, keepdim=True)
        index = (share <= u).sum(-1, keepdim=True).clamp_(max=weights.shape[-1] - 1)
        return index.expand(*index.shape[:-1], num_samples).clone()
    order = (weights > 0).to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return order[..., :num_samples].clone()


Pin = Callable[[torch.Tensor, float, tuple[Any, ...], Mapping[str, Any]], torch.Tensor]
# By the function's name, as torch's functions and the methods of its tensors both come here.
_PINS: dict[str, Pin] = {
    "_sample_dirichlet": lambda out, u, args, kw: out.copy_(args[0] / args[0].sum(-1, keepdim=True)),
    "_standard_gamma": lambda out, u, args, kw: out.copy_(args[0]),
    "bernoulli": lambda out, u, args, kw: _bernoulli(out, u, args[1] if isinstance(args[-1], float) else args[0]),
    "bernoulli_": lambda out, u, args, kw: _bernoulli(out, u, _argument(args, kw, 1, "p", 0.5)),
    "exponential_": lambda out, u, args, kw: out.fill_(-math.log1p(-u) / _argument(args, kw, 1, "lambd", 1.0)),
    "multinomial": lambda out, u, args, kw: out,
    "normal": lambda out, u, args, kw: _normal(
        out, u, _argument(args, kw, 0, "mean", 0.0), _argument(args, kw, 1, "std", 1.0)
    ),
    "normal_": lambda out, u, args, kw: _normal(
        out, u, _argument(args, kw, 1, "mean", 0.0), _argument(args, kw, 2, "std", 1.0)
    ),
    "rand": lambda out, u, args, kw: _uniform(out, u),
    "rand_like": lambda out, u, args, kw: _uniform(out, u),
    "randint": _randint,
    "randint_like": _randint_like,
    "randn": lambda out, u, args, kw: _normal(out, u),
    "randn_like": lambda out, u, args, kw: _normal(out, u),
    "random_": _random,
    "randperm": lambda out, u, args, kw: _permutation(out, u),
    "uniform_": lambda out, u, args, kw: _uniform(
        out, u, _argument(args, kw, 1, "from", 0.0), _argument(args, kw, 2, "to", 1.0)
    ),
}
