"""albumentations' transforms, which take one picture at a time, each with a random stream of its own for each segment."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import albumentations as A
import numpy as np
import torch

from segaug._checks import SUPPORTED_CHANNELS, describe
from segaug.adapters import _albumentations_rules as rules
from segaug.adapters._albumentations_rules import support
from segaug.adapters._room import run_with_room
from segaug.functional import premultiply
from segaug.functional._alpha import fill_outside
from segaug.functional._dtype import to_dtype
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape

__all__ = ["AlbumentationsNode", "plan", "support"]

# Any odd number: streams start at random places of one sequence of 2^128 numbers.
_INCREMENT = 0x5851F42D4C957F2D14057B7EF767814F
_TYPES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.float32): torch.float32}


def plan(transform: Any) -> Node | None:
    """Return the node that runs a transform of albumentations, None if it is none.

    Raises:
        TypeError: If it cannot be applied to a picture alone.
        ValueError: If it asks for boxes or key points.
    """
    if not rules.is_ours(transform):
        return None
    rules.check(transform)
    # A copy, as its random state, fill and the like are ours to set.
    own = copy.deepcopy(transform)
    steps = tuple({id(step): step for step in rules.all_steps(own)}.values())
    framed = tuple(filter(rules.fills_the_frame, steps))
    for step in steps:
        if hasattr(step, "interpolation") and hasattr(step, "mask_interpolation"):
            # Coverage is no mask of labels: it is resampled as the picture is.
            step.mask_interpolation = step.interpolation
        if getattr(step, "area_for_downscale", None) == "image":
            step.area_for_downscale = "image_mask"
    for step in framed:
        step.fill_mask = 0
    moves = any(rules.may_move(step) for step in steps)
    return AlbumentationsNode(own, type(transform).__name__, tuple(map(_Stream, steps)), framed, moves)


class _Stream:
    """The random stream of one transform or container, which can be set to start anywhere."""

    def __init__(self, step: Any) -> None:
        self._bits = np.random.PCG64(0)
        self._python = random.Random(0)
        # Outer containers come first, and set those inside them too; these set theirs again.
        step.set_random_state(np.random.Generator(self._bits), self._python)

    def start(self, high: int, low: int, python: int) -> None:
        # Many times faster than to make new ones.
        place = {"state": high << 64 | low, "inc": _INCREMENT}
        state: Any = {"bit_generator": "PCG64", "state": place, "has_uint32": 0, "uinteger": 0}
        self._bits.state = state
        self._python.seed(python)


@dataclass(frozen=True, eq=False)
class AlbumentationsNode(Node):
    """A transform, or a container with all that is in it, called once per segment."""

    transform: Any
    name: str
    streams: tuple[_Stream, ...]
    framed: tuple[Any, ...]  # those that fill in what no pixel comes to
    moves: bool
    _sizes: dict[Shape, Shape] = field(default_factory=dict)

    def make_params(self, draw: Draw) -> Params:
        device = "cpu" if draw.generator is None else draw.generator.device
        return {"seed": torch.randint(2**63 - 1, (), generator=draw.generator, device=device).cpu()}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape:
        if shape not in self._sizes:
            self._sizes[shape] = self._try_size(shape)
        return self._sizes[shape]

    def _try_size(self, shape: Shape) -> Shape:
        channels, height, width = shape
        for dtype in (np.uint8, np.float32):
            try:
                self._start([0] * 3 * len(self.streams))
                blank = np.zeros((height, width, channels), dtype)
                image, _ = self._call(blank, blank[..., 0].copy(), np.zeros(channels, dtype))
                return (image.shape[2], *image.shape[:2])
            except Exception:
                continue
        # Too small for it, say; the real thing says so. If it sets the size, no size that any other has.
        return (channels, 0, 0) if self.moves else shape

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        patches, alpha = segments.patches, segments.alpha
        if not len(segments.index):
            shape = self.output_shape((patches.shape[-3], patches.shape[-2], patches.shape[-1]))
            return patches.new_zeros((0, *shape)), alpha.new_zeros((0, *shape[1:]))
        if segments.in_picture and not self.moves:
            return run_with_room(lambda image, cover: self._run(segments, image, cover, params), patches, alpha)
        return self._run(segments, patches, alpha, params)

    def _run(
        self, segments: Segments, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype, device = patches.dtype, patches.device
        kind = torch.uint8 if dtype == torch.uint8 else torch.float32
        filled = fill_outside(patches, alpha)
        weights = alpha.double().unsqueeze(1)
        means = (filled * weights).sum((-2, -1)) / weights.sum((-2, -1)).clamp(min=1e-12)
        pictures = filled.to(kind).movedim(1, -1).contiguous().cpu().numpy()
        # A copy: a transform that works in place must not change the input.
        coverage = alpha.to(kind, copy=True).contiguous().cpu().numpy()
        streams = self._streams(int(params["seed"]), segments.index.cpu().numpy())
        outputs = []
        for i, (picture, cover, mean) in enumerate(zip(pictures, coverage, means.cpu().numpy(), strict=True)):
            self._start(streams[i])
            try:
                outputs.append(self._call(picture, cover, mean))
            except Exception as error:
                error.add_note(f"raised by {self.name} of albumentations on {segments.names(segments.index[[i]])[0]}")
                raise
        kinds = sorted({(image.shape, str(image.dtype)) for image, _ in outputs})
        if len(kinds) > 1:
            raise ValueError(
                f"transform must give every segment the same size, channels and dtype, {self.name} of albumentations gave "
                + ", ".join(f"{height} x {width} x {channels} {name}" for (height, width, channels), name in kinds)
            )
        images = torch.from_numpy(np.stack([image for image, _ in outputs])).to(device)
        covers = torch.from_numpy(np.stack([cover for _, cover in outputs])).to(device)
        return self._cut(images.movedim(-1, 1), covers, dtype)

    def _cut(self, images: torch.Tensor, covers: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut off what lies outside the segments: images straight; the dtype is the old one unless it was changed."""
        if images.dtype == torch.uint8:
            alpha = to_dtype(covers, torch.uint8, scale=True) if covers.dtype != torch.uint8 else covers
            return premultiply(images.float(), alpha), alpha
        alpha = to_dtype(covers, torch.float32, scale=True) if covers.dtype == torch.uint8 else covers.clamp(0.0, 1.0)
        # GridElasticDeform leaves some floats undefined where it folds the grid.
        undefined = images.isnan().any(1) | alpha.isnan()
        alpha, images = alpha.masked_fill(undefined, 0.0), images.masked_fill(undefined.unsqueeze(1), 0.0)
        if not any(isinstance(step, A.Normalize) for step in rules.all_steps(self.transform)):
            images = images.clamp(0.0, 1.0)
        kept = dtype if dtype.is_floating_point else torch.float32
        return premultiply(images, alpha).to(kept), alpha.to(kept)

    def _streams(self, seed: int, index: np.ndarray[Any, Any]) -> list[list[int]]:
        """Three numbers for each segment and transform. They depend on the segment's row, not on which others there are."""
        draw = np.random.Generator(np.random.PCG64(seed)).integers
        table = draw(2**64, size=(int(index.max()) + 1, 3 * len(self.streams)), dtype=np.uint64)
        return table[index].tolist()

    def _start(self, numbers: list[int]) -> None:
        for i, stream in enumerate(self.streams):
            stream.start(*numbers[3 * i : 3 * i + 3])

    def _call(self, picture: Any, cover: Any, mean: Any) -> tuple[Any, Any]:
        """Call on straight colours (H, W, C) and coverage (H, W), and check what comes."""
        for step in self.framed:
            # What it fills in has no coverage; the mean colour is there so that nothing black is blended in.
            one = len(mean) == 1 or isinstance(step, A.CropAndPad)
            step.fill = float(mean.mean()) if one else tuple(mean.tolist())
        output = self.transform(image=picture, mask=cover)
        image, new_cover = output["image"], output["mask"]
        if not isinstance(image, np.ndarray) or image.dtype not in _TYPES:
            raise TypeError(f"transform must give an array of uint8 or float32, got {describe(image)}")
        if image.ndim == 2:
            image = image[..., None]
        if image.ndim != 3 or image.shape[2] not in SUPPORTED_CHANNELS:
            raise ValueError(f"transform must give an array (H, W, 1) or (H, W, 3), got {describe(image)}")
        if new_cover.shape != image.shape[:2]:
            raise ValueError(
                f"transform must move coverage with the picture, got {new_cover.shape} for a picture {image.shape[:2]}"
            )
        return image, new_cover

    def lowered(self) -> Iterator[tuple[str, str]]:
        for step in rules.all_steps(self.transform):
            if not hasattr(step, "transforms"):
                yield type(step).__name__, "looped: albumentations works on one picture at a time"

    def outcomes(self, shape: Shape) -> list[Params]:
        raise ValueError(
            f"transform must have finitely many outcomes that are known, {self.name} of albumentations is called once per "
            "segment"
        )
