"""Uniform draws that are the same on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Stream"]

Floats = npt.NDArray[np.float32]


class Stream:
    """Uniform draws from the raw output of PCG64."""

    def __init__(self, seed: int, task: int, index: int) -> None:
        # Fixed-width words: SeedSequence joins the words of its integers, so (2**32, 1) and (0, 1, 1) would collide.
        words = [seed & 0xFFFFFFFF, seed >> 32, task, index]
        self._bits = np.random.PCG64(np.random.SeedSequence(words))
        self._buffer: list[int] = []

    def unit(self) -> float:
        """A float in [0, 1), a multiple of 2**-53."""
        if not self._buffer:
            self._buffer = self._bits.random_raw(256).tolist()
        return (self._buffer.pop() >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return low + int((high - low + 1) * self.unit())

    def choice(self, options: Sequence[str]) -> str:
        return options[self.integer(0, len(options) - 1)]

    def shuffle(self, items: list[Any]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.integer(0, last)
            items[last], items[other] = items[other], items[last]

    def centred(self, *shape: int) -> Floats:
        """An array uniform in [-0.5, 0.5)."""
        raw = self._bits.random_raw(int(np.prod(shape))).reshape(shape)
        return (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24) - np.float32(0.5)

    def noise(self, *shape: int) -> Floats:
        """An array of mean 0 and standard deviation 1: sums of two bytes, so the density is a triangle."""
        count = int(np.prod(shape))
        # Little-endian by name, so that the bytes come in the same order on every processor.
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8").view(np.uint8)
        total = raw[0::2].astype(np.int16) + raw[1::2]
        # Each byte has variance (256**2 - 1) / 12, so the sum of two has standard deviation 104.51.
        return (total[:count].reshape(shape).astype(np.float32) - np.float32(255.0)) * np.float32(1 / 104.51)
