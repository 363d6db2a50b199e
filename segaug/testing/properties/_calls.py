"""Successive calls of a transform draw on, and draw anew."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from segaug._checks import check_int
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._outcomes import FEWEST_CALLS, fresh_stream, outcome, play, varying
from segaug.testing._own_streams import snapshot_defaults
from segaug.testing._property import declare
from segaug.testing._statistics import ERROR_LEVEL, dependence_p

__all__ = ["calls_are_independent"]

# Of so many makes two have one result each at all calls, but not the same: by chance less often than once in 1e11.
_MAKES, _CALLS_PER_MAKE = 40, 24
# Draws that are never alike by chance.
_CONTINUOUS = ("rand", "rand_like", "randn", "randn_like")


@declare(statistical=True)
def calls_are_independent(transform: Any, sample: Any, *, seed: int = 0, calls: int = 200) -> None:
    """P(T_k(x) in A, T_k+d(x) in B) = P(T(x) in A) P(T(x) in B) for calls k and k + d of one T, d = 1, 2.

    Where all results are the same it is looked at why: whether T seeds a stream anew at each call, or drew when it was made
    (which takes a factory to see). Not applicable to a transform that draws nothing.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample.
        seed: Seeds the default streams.
        calls: How often to call it.

    Raises:
        PropertyFailed: If successive results depend on each other; a right transform's do so once in 1e9 times.
        NotApplicable: If all results are the same.

    Example:
        >>> from torchvision.transforms import v2
        >>> calls_are_independent(v2.RandomHorizontalFlip(), torch.rand(3, 2, 2))
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    _check_streams_go_on(augmentation, sample, seed)
    results = [outcome(result) for result in play(augmentation, sample, seed, calls)]
    if not varying([results]):
        _check_not_drawn_once(augmentation, sample, seed)
        raise NotApplicable("its result is the same at every call")
    for lag in (1, 2):
        # Pairs that share no call.
        starts = [k for k in range(calls - lag) if k % (2 * lag) < lag]
        value = 2 * dependence_p([results[k] for k in starts], [results[k + lag] for k in starts])
        if value < ERROR_LEVEL:
            raise PropertyFailed(f"expected calls to be independent, got p = {value:.1e} for calls {lag} apart")


class _DrawnValues(TorchFunctionMode):
    """Note the numbers that are drawn from continuous distributions."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[bytes] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``func``, and note what it drew."""
        drawn = func(*args, **(kwargs or {}))
        if _is_continuous(getattr(func, "__name__", ""), args[1:], dict(kwargs or {})) and drawn.numel():
            with torch._C.DisableTorchFunction():
                self.values.append(plain(drawn).detach().cpu().double().numpy().tobytes())
        return drawn


def _is_continuous(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if name == "uniform_":
        # A range of one number is drawn from as well, by transforms that leave something as it is.
        bounds = (*args, *(kwargs[name] for name in ("from", "to") if name in kwargs))
        return not bounds or (len(bounds) == 2 and bounds[0] != bounds[1])
    return name in _CONTINUOUS


def _check_streams_go_on(augmentation: Augmentation, sample: Any, seed: int) -> None:
    """Raise PropertyFailed if calls draw the same numbers again, or leave a default stream where it does not belong."""
    drawn, ends = [], []
    for call in range(4):
        mode = _DrawnValues()
        with fresh_stream(seed + call):
            if call == 0:
                copied = augmentation.fresh()
            starts = snapshot_defaults()
            copied.under(mode, sample, None)
            ends.append([end if end != start else None for start, end in zip(starts, snapshot_defaults(), strict=True)])
        drawn.append(tuple(mode.values))
    if drawn[0] and len(set(drawn)) == 1:
        raise PropertyFailed(
            f"expected every call to draw anew, got the same {len(drawn[0])} draws in {len(drawn)} calls"
        )
    for name, *states in zip(("torch", "Python's random", "numpy"), *ends, strict=True):
        if None not in states and len(set(states)) == 1:
            raise PropertyFailed(f"expected calls to draw on, got the stream of {name} set to one state by every call")


def _check_not_drawn_once(augmentation: Augmentation, sample: Any, seed: int) -> None:
    if augmentation.factory is None:
        return
    first = None
    for number in range(_MAKES):
        with fresh_stream(seed + 1 + number):
            made = augmentation.variant()
            value = outcome(made(sample))[0]
            first = first or (made, value)
            if value == first[1]:
                continue
            # Rare draws differ too, but not at each call of the one and at none of the other.
            for one, expected in (first, (made, value)):
                if any(outcome(one(sample))[0] != expected for _ in range(_CALLS_PER_MAKE - 1)):
                    return
        raise PropertyFailed(
            "expected draws at each call, got two that were made alike, with one result at all calls of each, which differ"
        )
