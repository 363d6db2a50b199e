"""Drawn scenes with their true segments: data to train and to break a model on, with nothing to download.

An item must be the same on every machine, for ever, so these files keep three rules:

- Random numbers come from the raw 64-bit output of ``PCG64``. NumPy promises that this stream never changes; it
  makes no such promise for the distributions of ``numpy.random.Generator``.
- Arithmetic is ``+ - * /``, ``sqrt`` and comparisons, one NumPy call each. IEEE 754 fixes their last bit. ``sin``,
  ``exp`` and the like differ between C libraries, and sums or matrix products between processors; one differing bit
  can turn a pixel. Rotations come from the rational points of the circle instead.
- Every item has a stream of its own, keyed by (seed, task, index).
"""

from segaug.data._scenes._dataset import Scenes, scene_target

__all__ = ["Scenes", "scene_target"]
