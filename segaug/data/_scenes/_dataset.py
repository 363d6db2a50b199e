"""Scenes, the dataset."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from segaug._checks import check_choice, check_int, check_number, describe
from segaug.data._scenes._render import label, paint, relation_holds, stamp
from segaug.data._scenes._stream import Stream
from segaug.data._scenes._tasks import EVERYWHERE, REGIONS, TASKS, Layout, SceneObject, place
from segaug.structures import SegmentedImage, SegmentMap

__all__ = ["Scenes", "draw_scene", "scene_target"]

_MIN_SIZE = 64
# The tasks need 17 at most where objects have their size and the whole canvas.
_TRIES = 1000


class _Scene(NamedTuple):
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    target: int
    objects: list[SceneObject]


def draw_scene(name: str, size: int, seed: int, index: int, layout: Layout = EVERYWHERE) -> _Scene:
    task = TASKS[name]
    stream = Stream(seed, list(TASKS).index(name), index)
    plan = task.plan(stream)
    for _ in range(_TRIES):
        objects = task.draw(plan, stream, layout)
        if name == "relation" and not objects[0].placed:
            continue
        if not place(objects, stream, 1.5 / size, layout):
            continue
        stream.shuffle(objects)
        stamps = [stamp(item, stream, size) for item in objects]
        labels = label(stamps, size)
        if labels is None or (name == "relation" and not relation_holds(labels, objects, plan.target)):
            continue
        return _Scene(paint(stamps, stream, size), labels, plan.target, objects)
    raise ValueError(
        f"scale, region and size must leave room for a scene's objects, and 30 pixels to see of each; scene {index} of "
        f"{name!r} at size {size} found none with scale {layout.scale} in x {layout.x}, y {layout.y}"
    )


def scene_target(scenes: Scenes, index: int) -> int:
    """The answer of scene `index`, without drawing it."""
    task = TASKS[scenes.task]
    return task.plan(Stream(scenes.seed, list(TASKS).index(scenes.task), index)).target


class Scenes(Dataset[tuple[SegmentedImage, int]]):
    """Drawn scenes with their true segments.

    Each scene shows overlapping objects of several kinds, sizes and colours on a textured background, under uneven
    light and with noise. Item ``i`` depends on `task`, `size`, `seed` and ``i`` alone: it is the same on every
    machine and for every `n`. For training and validation data take two seeds.

    The tasks, with the classes equally likely:

    - ``"count"``: how many stars are there, 0 to 4, among 6 to 9 objects? The total tells nothing.
    - ``"majority"``: which of disk, square, triangle and star is the most frequent? One always is.
    - ``"relation"``: is the largest object left of the smallest? The objects themselves tell nothing, only their
      places do, so noise on the boxes costs accuracy.
    - ``"orientation"``: which way do the arrows point? Left, right, up or down, all of them the same way; a flip
      turns one answer into another, so flips cost accuracy.

    Of every object at least 60 % of its pixels, and 30 pixels, can be seen, and no object leaves the canvas.

    Args:
        task: ``"count"``, ``"majority"``, ``"relation"`` or ``"orientation"``.
        n: number of scenes, at least 1.
        size: height and width of the pictures in pixels, at least 64.
        seed: from 0 to 2**64 - 1.
        scale: the objects are so many times as large, from 0.1 to 10; the picture, and how far apart the two objects of
            ``"relation"`` are, stay.
        region: ``"left"``, ``"right"``, ``"top"`` or ``"bottom"``: all objects' centres are in that half. None: anywhere.

    Scale and region are there to train on some scenes and to test on others. Item ``i`` has the same answer with and
    without them.

    Attributes:
        task: as given.
        n: as given.
        size: as given.
        seed: as given.
        scale: as given.
        region: as given.
        classes: the answers' names; a target is an index into them.
        question: the task in one sentence.

    Raises:
        TypeError: if `n`, `size` or `seed` is not an int, or `scale` is no number.
        ValueError: if an argument is not among the allowed values, or `scale`, `region` and `size` leave no room for the
            objects (of item 0; another item says so when it is drawn).

    Example:
        >>> from segaug.data import Scenes
        >>> scenes = Scenes("orientation", n=100)
        >>> scene, target = scenes[0]
        >>> scene.image.shape, scene.image.dtype, scene.segments.shape
        (torch.Size([3, 96, 96]), torch.uint8, torch.Size([96, 96]))
        >>> scenes.question, scenes.classes
        ('Which way do the arrows point?', ['left', 'right', 'up', 'down'])
    """

    def __init__(
        self, task: str, n: int, size: int = 96, seed: int = 0, *, scale: float = 1.0, region: str | None = None
    ) -> None:
        self.task = check_choice("task", task, tuple(TASKS))
        self.n = check_int("n", n, minimum=1)
        self.size = check_int("size", size, minimum=_MIN_SIZE)
        self.seed = check_int("seed", seed, minimum=0)
        # The item's random key has 32 bits for the index and 64 for the seed.
        if self.n > 2**32:
            raise ValueError(f"n must be at most 2**32, got {n}")
        if self.seed >= 2**64:
            raise ValueError(f"seed must be below 2**64, got {seed}")
        self.scale = check_number("scale", scale, minimum=0.1, maximum=10.0)
        self.region = None if region is None else check_choice("region", region, tuple(REGIONS))
        self._layout = (EVERYWHERE if region is None else REGIONS[region])._replace(scale=self.scale)
        if self._layout != EVERYWHERE:
            # Now, and not after an hour of training on others.
            draw_scene(self.task, self.size, self.seed, 0, self._layout)

    @property
    def classes(self) -> list[str]:
        """The answers' names; a target is an index into them."""
        return list(TASKS[self.task].classes)

    @property
    def question(self) -> str:
        """The task in one sentence."""
        return TASKS[self.task].question

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[SegmentedImage, int]:
        """Draws scene `index`.

        Args:
            index: from 0 to ``len(self) - 1``.

        Returns:
            The scene, a uint8 image of shape (3, size, size) and an int64 map of shape (size, size) with one label
            for each object in the order they were drawn (later ones in front), and the target.

        Raises:
            IndexError: if `index` is negative or too large.
            TypeError: if `index` is not an integer.
        """
        # Samplers may yield NumPy or torch integers.
        try:
            place = operator.index(index)
        except TypeError:
            raise TypeError(f"index must be an int, got {describe(index)}") from None
        if not 0 <= place < self.n:
            raise IndexError(f"index must be from 0 to {self.n - 1}, got {place}")
        scene = draw_scene(self.task, self.size, self.seed, place, self._layout)
        image = tv_tensors.Image(torch.from_numpy(scene.image))
        return SegmentedImage(image, SegmentMap(torch.from_numpy(scene.labels))), scene.target

    def __repr__(self) -> str:
        shift = "" if self.scale == 1 else f", scale={self.scale}"
        shift += "" if self.region is None else f", region={self.region!r}"
        return f"Scenes(task={self.task!r}, n={self.n}, size={self.size}, seed={self.seed}{shift})"
