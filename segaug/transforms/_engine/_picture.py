"""How PerSegment runs on a picture: colours once over all pixels, anything else segment by segment where it lies."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torchvision import tv_tensors

from segaug._checks import check_unit_range
from segaug.functional import composite_segments, fill_holes, paint_order, segment_areas, segment_boxes
from segaug.functional._color import PictureColors
from segaug.functional._labels import find_runs, number_runs, spread_runs
from segaug.structures import SegmentedImage, SegmentMap
from segaug.transforms._engine._containers import Choice, Gated, Sequence
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape, describe_shape
from segaug.transforms._engine._patches import Frame, compare_patches, cut_patch, lay_patch
from segaug.transforms._engine._picture_rules import keeps_places
from segaug.transforms._engine._place import in_picture
from segaug.transforms._random import bernoulli, seeds

__all__ = ["Picture", "draw_for_picture", "run_on_picture"]


@dataclass(frozen=True)
class Picture:
    """A picture and its segments, numbered by rows: 0 is the background, then 1 to S in the order of the labels.

    Rows stay those of the first map while the picture changes, so that parameters stay with their segments.
    """

    image: torch.Tensor  # (C, H, W)
    segments: torch.Tensor  # (H, W), as they came or as rows
    values: torch.Tensor  # (S,) label of each row from 1 on
    run_rows: torch.Tensor  # (R,) row of each horizontal run of pixels
    run_lengths: torch.Tensor  # (R,)
    # None: from the map. Instance masks are larger where they are hidden.
    areas: torch.Tensor | None = None  # (S,)
    frames: tuple[Frame, ...] | None = None
    # What has happened so far: pixels that a moved segment left or now covers, and which rows have moved.
    painted: torch.Tensor | None = None  # (H, W) bool
    moved: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def read(cls, sample: SegmentedImage, areas: torch.Tensor | None = None) -> "Picture":
        """Number the segments of a sample; ``areas``, those of the labels from 1 on, decide what lies on top."""
        image = sample.image.as_subclass(torch.Tensor)
        check_unit_range("image", image)
        segments = sample.segments.as_subclass(torch.Tensor)
        runs = find_runs(segments)
        rows, values = number_runs(runs)
        return cls(image, segments, values[0], rows, runs.lengths, None if areas is None else areas[values[0] - 1])

    @cached_property
    def rows(self) -> torch.Tensor:
        """Row of each pixel, (H, W)."""
        return spread_runs(self.run_rows, self.run_lengths, self.segments.numel()).view(self.segments.shape)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.values) + 1

    def boxes(self) -> tuple[Frame, ...]:
        """The frame of each row from 1 on: its box."""
        boxes = segment_boxes(self.rows, self.count - 1).tolist()
        return tuple((y1, x1, y2 - y1, x2 - x1) for x1, y1, x2, y2 in boxes)

    def with_rows(self, rows: torch.Tensor, **changes: Any) -> "Picture":
        """The same with a new map of rows (H, W)."""
        runs = find_runs(rows)
        return replace(self, segments=rows, run_rows=runs.labels, run_lengths=runs.lengths, **changes)

    def labels(self) -> torch.Tensor:
        """The map with the labels that the segments came with, (H, W)."""
        if self.painted is None:
            return self.segments
        return torch.cat([self.values.new_zeros(1), self.values])[self.rows]

    def name(self, row: int) -> str:
        """What to call a row in an error."""
        return f"the segment with label {int(self.values[row - 1]) if row else 0} in the picture"

    def sample(self) -> SegmentedImage:
        """Both together again."""
        return SegmentedImage(self.image.as_subclass(tv_tensors.Image), self.labels().as_subclass(SegmentMap))


def split_runs(plan: Node) -> list[Node]:
    """Split the steps of a plan into stretches of colours, of others that move no pixels, and of those that may."""
    stretches = groupby(_steps(plan), lambda step: (step.is_color, keeps_places(step)))
    runs = [tuple(steps) for _, steps in stretches]
    return [steps[0] if len(steps) == 1 else Sequence(steps) for steps in runs]


def _steps(node: Node) -> list[Node]:
    if not isinstance(node, Sequence) or node.is_color:
        return [node]
    return [step for child in node.children for step in _steps(child)]


def draw_for_picture(plan: Gated, picture: Picture, generator: torch.Generator | None) -> Params:
    """Draw for every row of a picture: {"count": rows, "gate": (rows,) or None, "runs": one entry for each run}.

    The entry of a run of colours is its node's, with a row for every row of the picture. Of another run it is a list, with
    params for one segment, drawn for the size of its box, for each row; None for the background where pixels may move.
    """
    channels, height, width = picture.image.shape
    gate = None if plan.p >= 1.0 else bernoulli(plan.p, (picture.count,), generator)
    nodes = split_runs(plan.child)
    runs: list[Any] = []
    sizes: list[Shape] | None = None
    for i, node in enumerate(nodes):
        if node.is_color:
            runs.append(node.make_params(Draw(picture.count, channels, height, width, generator, in_picture=True)))
            continue
        if sizes is None:
            sizes = [(channels, tall, wide) for _, _, tall, wide in picture.boxes()]
        own: list[Any] = []
        for row, size in enumerate([(channels, height, width), *sizes]):
            try:
                own.append(_draw_one(node, size, generator) if row or keeps_places(node) else None)
            except Exception as error:
                error.add_note(f"raised while drawing for {picture.name(row)}, of {size[1]} x {size[2]} pixels")
                raise
        runs.append(own)
        if any(not later.is_color for later in nodes[i + 1 :]):
            sizes = [_size_after(node, size, params) or size for size, params in zip(sizes, own[1:], strict=True)]
    return {"count": picture.count, "gate": gate, "runs": runs}


def _draw_one(node: Node, size: Shape, generator: torch.Generator | None) -> Params:
    """Draw for one segment, each step for the size that the one before leaves."""
    if not isinstance(node, Sequence):
        return node.make_params(Draw(1, *size, generator, in_picture=True))
    children: list[Params] = []
    for i, child in enumerate(node.children):
        if i:
            # Not after the last: some steps are tried out for it.
            after = _size_after(node.children[i - 1], size, children[-1])
            if after is None:
                # What follows is drawn when its size is there.
                return {"children": children, "rest": seeds(1, generator)}
            size = after
        children.append(_draw_one(child, size, generator))
    return {"children": children, "rest": None}


def _size_after(node: Node, size: Shape, params: Params) -> Shape | None:
    if isinstance(node, Sequence):
        if params["rest"] is not None:
            return None
        for child, own in zip(node.children, params["children"], strict=True):
            after = _size_after(child, size, own)
            if after is None:
                return None
            size = after
        return size
    if isinstance(node, Gated):
        is_open = params["gate"] is None or bool(params["gate"][0])
        return _size_after(node.child, size, params["child"]) if is_open else size
    if isinstance(node, Choice):
        key = int(params["choice"][0])
        return _size_after(node.children[key], size, params["children"][key])
    new = node.output_shape(size, in_picture=True)
    # Without a height or width: it could not be found out.
    return None if new is None or min(new) == 0 else new


def run_on_picture(plan: Gated, picture: Picture, params: Params, background: bool, fill: str) -> Picture:
    """Apply what was drawn.

    Raises:
        ValueError: If it was drawn for tokens, or for another number of segments.
    """
    if params.get("count") != picture.count:
        drawn = f"{params['count'] - 1} segments" if "count" in params else "tokens"
        raise ValueError(
            f"params must be drawn for this picture, which has {picture.count - 1} segments, got params for {drawn}"
        )
    device = picture.image.device
    gate = None if params["gate"] is None else params["gate"].to(device)
    if not background:
        gate = torch.ones(picture.count, dtype=torch.bool, device=device) if gate is None else gate.clone()
        gate[0] = False
    for node, own in zip(split_runs(plan.child), params["runs"], strict=True):
        picture = _recolor(node, picture, own, gate) if node.is_color else _move(node, picture, own, gate, fill)
    return picture


def _recolor(node: Node, picture: Picture, params: Params, gate: torch.Tensor | None) -> Picture:
    image = picture.image
    levels = image.dtype == torch.uint8
    flat = image.flatten(1)[:, None]
    # A copy, which steps may write to. Half precision is too coarse to compute in.
    work = image.dtype if image.dtype in (torch.float32, torch.float64) else torch.float32
    values = flat.to(work, copy=True, memory_format=torch.contiguous_format)
    colors = PictureColors(values, picture.run_rows, picture.run_lengths, levels)

    def change(part: PictureColors, rows: torch.Tensor) -> torch.Tensor:
        node.recolor(part, params)
        return part.values

    if gate is None:
        node.recolor(colors, params)
    else:
        colors.on(gate, change)
    if colors.values.shape != values.shape:
        raise _retyped(node, f"{len(colors.values)} channels instead of {len(values)}")
    # By way of int16: torch converts floats to bytes directly five times slower.
    changed = colors.values.to(torch.int16).to(torch.uint8) if levels else colors.values.to(image.dtype)
    check_unit_range("the changed image", changed)
    return replace(picture, image=changed.reshape(image.shape))


def _move(node: Node, picture: Picture, params: list[Any], gate: torch.Tensor | None, fill: str) -> Picture:
    rows, full = picture.rows, 255 if picture.image.dtype == torch.uint8 else 1
    areas = segment_areas(rows, picture.count - 1)
    there = (areas > 0 if gate is None else (areas > 0) & gate).nonzero().squeeze(1).tolist()
    frames = [(0, 0, *rows.shape), *(picture.frames or picture.boxes())]
    image, layers, moved = picture.image, [], []
    for row in there:
        if params[row] is None:
            continue
        patch, alpha = cut_patch(picture.image, rows, row, frames[row])
        new_patch, new_alpha = _apply(node, picture, row, patch, alpha, params[row])
        if row == 0:
            # The background lies lowest and stays where it is.
            image = torch.where(rows == 0, new_patch, image)
            continue
        top, left, height, width = frames[row]
        tall, wide = new_alpha.shape
        # Floor division: of an odd difference the larger part comes before.
        frame = (top + (height - tall) // 2, left + (width - wide) // 2, tall, wide)
        covers, shows = compare_patches(patch, alpha, new_patch, new_alpha, frame[0] - top, frame[1] - left)
        if not covers:
            moved.append(row)
        if not shows:
            layers.append(lay_patch(new_patch, new_alpha, frame, rows.shape, row))
        frames[row] = frame
    if not layers:
        return replace(picture, image=image, frames=tuple(frames[1:]))
    has_moved = torch.zeros(picture.count, dtype=torch.bool, device=rows.device)
    has_moved[moved] = True
    left_behind = has_moved[rows]
    colors, alpha, place, owner = (torch.cat(parts, dim=-1) for parts in zip(*layers, strict=True))
    if fill != "keep":
        image = _fill(image, left_behind, place[alpha == full], fill)
    first_areas = areas[1:] if picture.areas is None else picture.areas
    image, rows = composite_segments(
        image, rows.masked_fill(left_behind, 0), paint_order(first_areas), colors, alpha, place, owner
    )
    painted = left_behind | has_moved[rows]
    return picture.with_rows(
        rows,
        image=image,
        areas=first_areas,
        frames=tuple(frames[1:]),
        painted=painted if picture.painted is None else painted | picture.painted,
        moved=picture.moved | frozenset(moved),
    )


def _fill(image: torch.Tensor, holes: torch.Tensor, covered: torch.Tensor, fill: str) -> torch.Tensor:
    """Fill what changed segments leave, unless all of it is covered again."""
    bare = holes.flatten().index_fill(0, covered, False)
    return fill_holes(image, holes, fill) if bool(bare.any()) else image


def _apply(
    node: Node, picture: Picture, row: int, patch: torch.Tensor, alpha: torch.Tensor, params: Params
) -> tuple[torch.Tensor, torch.Tensor]:
    name = picture.name(row)

    def names(chosen: torch.Tensor) -> list[str]:
        return [name] * len(chosen)

    index = torch.zeros(1, dtype=torch.int64, device=patch.device)
    # A copy: the comparison below needs the patch as it was.
    segments = Segments(patch[None].clone(), alpha[None].clone(), names, index, True)
    try:
        with in_picture():
            patches, alphas = node.apply(segments, params)
    except Exception as error:
        if not any(name in note for note in getattr(error, "__notes__", ())):
            error.add_note(f"raised on {name}, of {alpha.shape[0]} x {alpha.shape[1]} pixels")
        raise
    if patches.dtype != patch.dtype or patches.shape[1] != len(patch):
        raise _retyped(node, f"{describe_shape(patches)} instead of {describe_shape(patch[None])}")
    check_unit_range("the changed segment", patches)
    return patches[0], alphas[0]


def _retyped(node: Node, came: str) -> TypeError:
    names = ", ".join(name for name, _ in node.lowered())
    return TypeError(
        f"transform must keep dtype and channels of segments in a picture, {names} made {came}: put it on the whole image, "
        "before PerSegment or behind it"
    )
