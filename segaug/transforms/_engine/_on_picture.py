"""How PerSegment runs on a picture: colours once over all pixels, anything else segment by segment where it lies."""

from dataclasses import replace
from typing import Any

import torch

from segaug._checks import check_unit_range
from segaug.functional import composite_segments, fill_holes, paint_order, segment_areas
from segaug.functional._colors import PictureColors
from segaug.transforms._engine._containers import Gated
from segaug.transforms._engine._lowering import Params
from segaug.transforms._engine._nodes import Node, Segments, describe_shape
from segaug.transforms._engine._patches import compare_patches, cut_patch, lay_patch
from segaug.transforms._engine._picture import Picture
from segaug.transforms._engine._picture_draws import draw_one, split_runs
from segaug.transforms._engine._place import in_picture

__all__ = ["run_on_picture"]


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
        if "later" in params:
            params = draw_one(node, (len(patch), *alpha.shape), torch.Generator().manual_seed(params["later"]))
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
