"""How PerSegment runs on tokens: all slots of all images at once."""

import torch
from torchvision import tv_tensors

from segaug._checks import check_unit_range
from segaug.structures import SegmentTokens
from segaug.transforms._engine._lowering import Params
from segaug.transforms._engine._nodes import Node, Segments, put_back

__all__ = ["run_on_tokens"]


def run_on_tokens(plan: Node, tokens: SegmentTokens, params: Params, background: bool) -> SegmentTokens:
    """Apply what was drawn.

    Raises:
        ValueError: If it was drawn for a picture.
    """
    if "runs" in params:
        raise ValueError("params must be drawn for these tokens, got params for a picture")
    patches = tokens.patches.as_subclass(torch.Tensor)
    alpha = tokens.alpha.as_subclass(torch.Tensor)
    check_unit_range("patches", patches)
    leading = tokens.labels.shape
    labels = tokens.labels.reshape(-1)
    active = labels >= 0 if background else labels > 0
    index = torch.arange(len(labels), device=labels.device)

    def names(chosen: torch.Tensor) -> list[str]:
        width = leading[-1]
        return [
            f"the segment with label {label} (token {i % width} of image {i // width})"
            for i, label in zip(chosen.tolist(), labels[chosen].tolist(), strict=True)
        ]

    everything = Segments(patches.flatten(0, -4), alpha.flatten(0, -3), names, index)
    chosen = active.nonzero().squeeze(1)
    new_patches, new_alpha = plan.apply(everything.only(chosen), params)
    changed = new_patches.shape[1:] != everything.patches.shape[1:] or new_patches.dtype != everything.patches.dtype
    if changed and bool(((labels < 0) | active).all()):
        # Padding takes the new shape and dtype too, and stays empty.
        everything = Segments(
            new_patches.new_zeros((len(labels), *new_patches.shape[1:])),
            new_alpha.new_zeros((len(labels), *new_alpha.shape[1:])),
            names,
            index,
        )
    new_patches, new_alpha = put_back(everything, chosen, new_patches, new_alpha)
    return SegmentTokens(
        new_patches.reshape(*leading, *new_patches.shape[1:]).as_subclass(tv_tensors.Image),
        new_alpha.reshape(*leading, *new_alpha.shape[1:]).as_subclass(tv_tensors.Mask),
        tokens.boxes,
        tokens.areas,
        tokens.labels,
    )
