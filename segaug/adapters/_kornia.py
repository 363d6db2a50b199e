"""kornia's augmentations, with the segments as kornia's batch.

Containers become segaug's nodes, and each augmentation a leaf, so that the gates (``p``), choices and orders that kornia
draws for a batch are drawn for each segment.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import kornia.augmentation as K
import torch
from kornia.augmentation import auto
from kornia.augmentation.auto.operations.base import OperationBase
from kornia.augmentation.auto.operations.policy import PolicySequential
from kornia.constants import DataKey, SamplePadding

from segaug._checks import check_unit_range
from segaug.adapters import _kornia_rules as rules
from segaug.adapters._kornia_rules import support
from segaug.adapters._picked import Picked
from segaug.adapters._room import run_with_room
from segaug.functional import premultiply
from segaug.functional._alpha import fill_outside
from segaug.transforms._engine._containers import Choice, Gated, Sequence
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape, own_stream
from segaug.transforms._engine._plan import make_plan
from segaug.transforms._engine._v1 import as_v2

__all__ = ["KorniaLeaf", "plan", "support"]

# From a batch's shape to kornia's parameters.
Sample = Callable[[Any], dict[str, Any]]
_CPU = torch.device("cpu")


def plan(transform: Any) -> Node | None:
    """Return the node that runs a transform of kornia, None if it is none of its augmentations.

    Raises:
        TypeError: If it cannot be applied to segments.
        ValueError: If it asks for what contradicts a draw per segment.
    """
    if not rules.is_ours(transform):
        return None
    name = type(transform).__name__
    reason = rules.why_not(type(transform))
    if reason is not None:
        raise TypeError(f"transform must give one picture per segment, got {name}: {reason}")
    if isinstance(transform, K.ImageSequential):
        return _plan_sequential(transform)
    if isinstance(transform, auto.RandAugment):
        each = tuple(_plan_rand_augment(transform, key) for key in range(len(transform)))
        return Picked(each, (1.0,) * len(each), transform.n, transform.n)
    if isinstance(transform, rules.POLICIES):
        return Choice(tuple(map(_plan_child, transform)), (1.0,) * len(transform))
    if isinstance(transform, PolicySequential):
        return Sequence(tuple(map(_plan_child, transform)))
    if isinstance(transform, OperationBase):
        own = copy.deepcopy(transform)
        return _gated(own.op, name, own.forward_parameters)
    own = copy.deepcopy(transform)
    return _gated(own, name, own.forward_parameters)


def _plan_child(transform: Any) -> Node:
    return plan(transform) or make_plan(as_v2(transform), Interface())


def _plan_sequential(transform: Any) -> Node:
    keys = getattr(transform, "data_keys", None) or [DataKey.INPUT]
    if list(keys) != [DataKey.INPUT]:
        raise ValueError(
            "data_keys of AugmentationSequential must be the picture alone, got "
            f"{', '.join(key.name.lower() for key in keys)}: coverage goes along by itself"
        )
    children = tuple(map(_plan_child, transform))
    if not transform.random_apply:
        return Sequence(children)
    if any(isinstance(child, K.MixAugmentationBaseV2) for child in transform):
        raise ValueError("random_apply must have no RandomJigsaw among its transforms: kornia draws that one apart")
    fewest, end = transform.random_apply
    return Picked(children, tuple(transform.random_apply_weights.tolist()), fewest, end - 1)


def _plan_rand_augment(transform: Any, key: int) -> Node:
    """Plan one operation, with the magnitude that RandAugment gives it."""
    # RandAugment sets the magnitude while it draws; one that has but this operation draws just that.
    alone = copy.copy(transform)
    alone.__dict__ = dict(transform.__dict__)
    name, policy = list(transform.named_children())[key]
    policy = copy.deepcopy(policy)
    alone._modules = {name: policy}
    alone.n = 1
    return _gated(policy[0].op, type(policy[0]).__name__, _FirstOf(alone))


@dataclass(frozen=True)
class _FirstOf:
    """The parameters of the one operation of a policy; a class, so that it can be pickled."""

    policy: Any

    def __call__(self, shape: tuple[int, ...]) -> dict[str, Any]:
        return self.policy.forward_parameters(torch.Size(shape))[0].data[0].data


def _gated(augmentation: Any, name: str, sample: Sample) -> Node:
    """Plan one augmentation, which is ours to change."""
    # Those that draw nothing but whether to run set it themselves.
    fixed = isinstance(augmentation, K.CenterCrop | K.Denormalize | K.Normalize | K.PadTo | K.Resize)
    if augmentation.same_on_batch and not fixed:
        raise ValueError(f"same_on_batch of {name} must be False, got True: each segment has its own draw")
    # A segment passes both gates by its own draw, not the batch.
    p = float(augmentation.p) * float(augmentation.p_batch)
    augmentation.p = augmentation.p_batch = 1.0
    augmentation.keepdim = False
    # What a transform fills in belongs to no segment: no colour, no coverage.
    flags = dict(augmentation.flags)
    flags.update({key: 0 for key in ("fill", "pad_value") if key in flags})
    if flags.get("padding_mode") == SamplePadding.FILL:
        flags.update(padding_mode=SamplePadding.ZEROS, fill_value=None)
    augmentation.flags = flags
    leaf = KorniaLeaf(augmentation, name, sample, rules.moves(type(augmentation)))
    return leaf if p >= 1.0 else Gated(leaf, p)


@dataclass(frozen=True, eq=False)
class KorniaLeaf(Node):
    """One augmentation. Its parameters have a row for each segment, all drawn before any is applied."""

    augmentation: Any
    name: str
    sample: Sample
    moves: bool
    # Found out once: the size that comes out of a size, and which parameters have rows.
    _sizes: dict[Shape, Shape] = field(default_factory=dict)
    _rows: dict[Shape, set[str]] = field(default_factory=dict)

    def make_params(self, draw: Draw) -> Params:
        # kornia draws from torch's default generator and takes no other.
        device = _CPU if draw.generator is None else draw.generator.device
        seed = int(torch.randint(2**63 - 1, (), generator=draw.generator, device=device))
        state = torch.Generator().manual_seed(seed).get_state()
        return self._draw(state, draw.count, (draw.channels + self.moves, draw.height, draw.width))

    def _draw(self, state: torch.Tensor, count: int, shape: Shape) -> Params:
        if not count:
            return {"state": state, "count": 0, "rows": {}, "whole": {}}
        try:
            with own_stream(state, _CPU), torch.no_grad():
                params = self.sample((count, *shape))
                if isinstance(self.augmentation, rules.JITTERS):
                    params["order"] = torch.rand((count, 4), dtype=torch.float64).argsort(-1)
            if shape not in self._rows:
                self._rows[shape] = self._find_rows(shape)
        except Exception as error:
            error.add_note(f"raised by {self.name} of kornia, drawing for segments of {shape[1]} x {shape[2]} pixels")
            raise
        rows = {key for key in params if key in self._rows[shape] or key == "order"}
        return {
            "state": state,
            "count": count,
            "rows": {key: params[key] for key in rows},
            "whole": {key: value for key, value in params.items() if key not in rows},
        }

    def _find_rows(self, shape: Shape) -> set[str]:
        # Aside, as this is done once and must not move any stream.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            few, more = self.sample((2, *shape)), self.sample((3, *shape))
        return {
            key for key, value in few.items() if value.ndim and value.shape[:1] == (2,) and more[key].shape[:1] == (3,)
        }

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape:
        if not self.moves:
            return shape
        if shape not in self._sizes:
            channels, height, width = shape
            blank = torch.zeros((1, channels + 1, height, width))
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                try:
                    found = self.augmentation(blank, params=self.sample(tuple(blank.shape)))
                    self._sizes[shape] = (channels, *found.shape[-2:])
                except Exception:
                    # Too small for it, say; the real thing says so. No size that any other has.
                    self._sizes[shape] = (channels, 0, 0)
        return self._sizes[shape]

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        patches, alpha = segments.patches, segments.alpha
        if not len(segments.index):
            shape = self.output_shape((patches.shape[-3], patches.shape[-2], patches.shape[-1]))
            return patches.new_zeros((0, *shape)), alpha.new_zeros((0, *shape[1:]))
        if rules.leaves_unit_range(type(self.augmentation)) and not patches.is_floating_point():
            raise TypeError(
                f"patches must be float for {self.name}, got {patches.dtype}: convert them with "
                "v2.ToDtype(torch.float32, scale=True)"
            )
        check_unit_range("patches", patches)
        index = segments.index.cpu()
        change = self._move if self.moves else self._recolor

        def run(patches: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            own = params
            if alpha.shape != segments.alpha.shape:
                # With room around it: drawn for that.
                own = self._draw(params["state"], params["count"], (patches.shape[-3], *alpha.shape[-2:]))
            own = {**own, "rows": {key: value[index] for key, value in own["rows"].items()}, "index": index}
            with own_stream(params["state"], patches.device):
                return change(patches, alpha, own)

        try:
            if segments.in_picture and not self.moves:
                return run_with_room(run, patches, alpha)
            if segments.in_picture and isinstance(self.augmentation, K.RandomJigsaw):
                patches, alpha = _fit_grid(self.augmentation.flags["grid"], patches, alpha)
                # Nothing is drawn for a size.
                segments = replace(segments, patches=patches, alpha=alpha)
            return run(patches, alpha)
        except Exception as error:
            first = segments.names(segments.index[:1])[0]
            error.add_note(f"raised by {self.name} of kornia on {len(index)} segments at once, the first {first}")
            raise

    def _move(self, patches: torch.Tensor, alpha: torch.Tensor, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        """Colour premultiplied, and coverage as one more channel."""
        packed = torch.cat([patches, alpha.unsqueeze(1)], 1)
        full = 255.0 if packed.dtype == torch.uint8 else 1.0
        moved = self._run(packed.float() / full, params).clamp(0.0, 1.0)
        # Some filters overshoot; where there is no coverage there is no colour.
        moved = torch.minimum(moved, moved[:, -1:]) * full
        moved = (moved.round() if packed.dtype == torch.uint8 else moved).to(packed.dtype)
        return moved[:, :-1], moved[:, -1]

    def _recolor(self, patches: torch.Tensor, alpha: torch.Tensor, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        """Straight colours, and the segment's mean colour outside it; coverage stays."""
        full = 255.0 if patches.dtype == torch.uint8 else 1.0
        filled = fill_outside(patches, alpha)
        if rules.takes_statistics(type(self.augmentation)):
            filled = _repeat_own(filled, alpha)
        colors = self._run(filled.float() / full, params)
        if colors.shape != patches.shape:
            raise ValueError(
                f"{self.name} must keep the shape {tuple(patches.shape[1:])} of a segment, got {tuple(colors.shape[1:])}"
            )
        if not rules.leaves_unit_range(type(self.augmentation)):
            colors = colors.clamp(0.0, 1.0) * full
        return premultiply(colors, alpha), alpha

    def _run(self, pixels: torch.Tensor, params: Params) -> torch.Tensor:
        rows, whole = params["rows"], params["whole"]
        if isinstance(self.augmentation, rules.JITTERS) and self.augmentation._fixed_order is None:
            # Four rounds of one step each, instead of one batch for each of the 24 orders.
            for step in rows["order"].unbind(-1):
                for kind in step.unique():
                    own = {**rows, "order": kind.expand(len(step), 1)}
                    pixels = self._run_part(pixels, (step == kind).nonzero().squeeze(1), own, whole, "order")
            return pixels
        if isinstance(self.augmentation, K.RandomMotionBlur):
            sizes = rows["ksize_factor"]
            for size in sizes.unique():
                alike = (sizes == size).nonzero().squeeze(1)
                pixels = self._run_part(pixels, alike, rows, {**whole, "idx": torch.zeros(1, dtype=torch.int64)})
            return pixels
        if type(self.augmentation).__module__.startswith("kornia."):
            return self._call(pixels, rows, whole)
        # Whether a user's own augmentation may get some rows of its batch is not known: it gets all.
        everything = pixels.new_zeros((params["count"], *pixels.shape[1:]))
        index = params["index"].to(pixels.device)
        everything[index] = pixels
        full = {key: value.new_zeros((params["count"], *value.shape[1:])) for key, value in rows.items()}
        for key, value in rows.items():
            full[key][params["index"]] = value
        return self._call(everything, full, whole)[index]

    def _run_part(
        self, pixels: torch.Tensor, chosen: torch.Tensor, rows: Params, whole: Params, alike: str | None = None
    ) -> torch.Tensor:
        """Run some of the segments; of ``alike`` they share one row."""
        own = {key: value[chosen] for key, value in rows.items()}
        if alike is not None:
            own[alike] = own[alike][0]
        here = chosen.to(pixels.device)
        return pixels.index_copy(0, here, self._call(pixels[here], own, whole))

    def _call(self, pixels: torch.Tensor, rows: Params, whole: Params) -> torch.Tensor:
        params = {**whole, **rows}
        if "batch_idx" in params:
            params["batch_idx"] = torch.arange(len(pixels)).unsqueeze(1)
        if "forward_input_shape" in params:
            params["forward_input_shape"] = torch.tensor(pixels.shape)
        return self.augmentation(pixels, params=params)

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield self.name, "batched"

    def outcomes(self, shape: Shape) -> list[Params]:
        raise ValueError(f"transform must have finitely many outcomes that are known, {self.name} of kornia has not")


def _fit_grid(grid: tuple[int, int], *layers: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Put room without coverage around layers (..., H, W), so that a grid of (rows, columns) divides them."""
    below, beside = (-side % parts for side, parts in zip(layers[0].shape[-2:], grid, strict=True))
    frame = [beside // 2, beside - beside // 2, below // 2, below - below // 2]
    return tuple(torch.nn.functional.pad(layer, frame) for layer in layers)


def _repeat_own(filled: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Put the segment's own pixels outside it, over and over, so that counts of colours stay as they are inside."""
    own = alpha.flatten(1) > 0
    order = own.logical_not().byte().argsort(dim=-1, stable=True)
    number = own.sum(-1, keepdim=True).clamp(min=1)
    rank = own.logical_not().cumsum(-1) - 1
    here = torch.arange(own.shape[-1], device=own.device)
    source = torch.where(own, here, order.gather(-1, rank.clamp(min=0) % number))
    flat = filled.flatten(2)
    return flat.gather(-1, source.unsqueeze(1).expand_as(flat)).view(filled.shape)
