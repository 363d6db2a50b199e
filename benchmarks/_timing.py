"""Time ways of doing the same thing side by side, in turn, so that the machine's moods reach all of them alike."""

import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata

import torch


def print_machine() -> None:
    """Say what the figures were measured on."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision"))
    print(f"{platform.machine()}, {torch.get_num_threads()} thread(s), Python {platform.python_version()}, {versions}")


def measure(ways: dict[str, Callable[[], object]], *, rounds: int = 11, block: float = 0.05) -> dict[str, list[float]]:
    """Milliseconds per run of each way, of ``rounds`` rounds in which the ways take turns.

    In a round each way runs for ``block`` seconds, at least once, and counts with the mean of its runs: a way's figure is
    that of steady use, as in an epoch, and not of a single call after another way has emptied the caches.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        _block(way, block)
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(_block(way, block))
    return times


def ratio_quartiles(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """Quartiles of the ratio of two ways, round by round."""
    low, median, high = statistics.quantiles((a / b for a, b in zip(times, base, strict=True)), n=4)
    return low, median, high


def compare(title: str, ways: dict[str, Callable[[], object]], *, rounds: int = 11, block: float = 0.05) -> None:
    """Print median, quartiles and the ratio to the first way, as :func:`measure` takes them."""
    times = measure(ways, rounds=rounds, block=block)
    first = next(iter(ways))
    print(f"\n{title} ({rounds} rounds, blocks of {block * 1e3:.0f} ms in turn)")
    print(f"{'way':<52}{'median ms':>11}{'quartiles':>18}{'ratio':>8}{'of rounds':>16}")
    for name, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        ratio_low, ratio, ratio_high = ratio_quartiles(values, times[first])
        spread, pairs = f"{low:.2f} .. {high:.2f}", f"{ratio_low:.1f} .. {ratio_high:.1f}"
        print(f"{name:<52}{median:>11.2f}{spread:>18}{ratio:>8.1f}{pairs:>16}")


def _block(way: Callable[[], object], seconds: float) -> float:
    """Run for a while; milliseconds per run."""
    runs, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds or not runs:
        way()
        runs += 1
    return passed / runs * 1e3
