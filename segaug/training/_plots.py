"""Pictures of a run. Drawn on figures of their own, so they need no display and change no state of pyplot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_int
from segaug._figures import new_figure, to_png
from segaug._optional import require
from segaug.structures import SegmentTokens

__all__ = ["draw_curves", "draw_tokens"]

_BEFORE, _AFTER = "0.45", "tab:blue"


def draw_curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw loss and accuracy over the epochs. Needs the extra ``train``.

    Args:
        history: For each epoch its ``epoch``, ``train_loss``, ``train_accuracy`` and, if it was evaluated, ``val_loss`` and
            ``val_accuracy``.

    Returns:
        A PNG file.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    # Margins by hand: finding them takes as long as drawing, and this is drawn after each epoch.
    figure = new_figure(9, 3.6, layout=None)
    figure.subplots_adjust(0.06, 0.14, 0.98, 0.92, wspace=0.15)
    for panel, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, label in (("train", "training"), ("val", "validation")):
            points = [(line["epoch"], line[key]) for line in history if (key := f"{split}_{name}") in line]
            # A single epoch would be a line without length.
            marker = "o" if len(points) < 15 else None
            panel.plot(*zip(*points, strict=True) if points else ([], []), marker=marker, ms=3, label=label)
        panel.set_xlabel("epoch")
        panel.set_title(name)
        panel.grid(alpha=0.3)
    figure.axes[1].set_ylim(0, 1)
    figure.axes[0].legend()
    return to_png(figure)


def draw_tokens(
    before: SegmentTokens, after: SegmentTokens, *, images: int = 4, columns: int = 24, classes: Sequence[str] = ()
) -> bytes:
    """Draw the tokens of a batch before and after augmentation, with their boxes. Needs the extra ``train``.

    Boxes are dashed and grey before, blue after. A segment stands in the same column in both rows; one that was left out
    is blank. Pixels outside a segment are light grey.

    Args:
        before: A batch (B, N).
        after: The same images, augmented.
        images: How many images to draw at most.
        columns: How many tokens of each image to draw at most, the largest.
        classes: A title for each image.

    Returns:
        A PNG file.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If a count is below 1.
    """
    check_int("images", images, minimum=1)
    check_int("columns", columns, minimum=1)
    images = min(images, len(before.labels))
    columns = max(1, min(columns, before.num_tokens))
    figure = new_figure(2.0 + 0.5 * columns, 1.35 * images)
    grid = figure.subplots(images, 2, squeeze=False, width_ratios=(1, 0.42 * columns))
    for image, (boxes, tokens) in enumerate(grid):
        old, new = before[image], after[image]
        order = old.areas.where(~old.is_padding, -1.0).argsort(descending=True)
        labels = [label for label in old.labels[order].tolist() if label >= 0][:columns]
        _draw_boxes(boxes, old, labels, _BEFORE, "--")
        _draw_boxes(boxes, new, labels, _AFTER, "-")
        if image < len(classes):
            boxes.set_title(classes[image], fontsize=8, pad=2, parse_math=False)
        rows = np.concatenate([_strip(side, labels, columns) for side in (old, new)])
        tokens.imshow(rows, interpolation="nearest")
        # In the boxes' colours and dashes, so that no legend is needed.
        names = tokens.set_yticks([rows.shape[0] * 0.25, rows.shape[0] * 0.75], ["before - -", "after —"], fontsize=7)
        for name, color in zip(names, (_BEFORE, _AFTER), strict=True):
            name.label1.set_color(color)
        tokens.set_xticks([])
        tokens.tick_params(length=0)
        for spine in tokens.spines.values():
            spine.set_visible(False)
    return to_png(figure)


def _draw_boxes(panel: Any, tokens: SegmentTokens, labels: Sequence[int], color: str, style: str) -> None:
    rectangle = require("matplotlib.patches", extra="train").Rectangle
    panel.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
    for label, (x1, y1, x2, y2) in zip(tokens.labels.tolist(), tokens.boxes.tolist(), strict=True):
        if label > 0 and label in labels:
            panel.add_patch(rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, ls=style, lw=0.7))


def _strip(tokens: SegmentTokens, labels: Sequence[int], columns: int) -> np.ndarray[Any, Any]:
    """One row of patches, (P + 2, columns * (P + 2), 3) uint8, white where there is none."""
    patches = F.to_dtype(tokens.patches.as_subclass(torch.Tensor).cpu(), torch.float32, scale=True)
    alpha = F.to_dtype(tokens.alpha.as_subclass(torch.Tensor).cpu(), torch.float32, scale=True)
    size = patches.shape[-1]
    strip = torch.ones(3, size + 2, columns * (size + 2))
    place = {label: i for i, label in enumerate(tokens.labels.tolist())}
    for column, label in enumerate(labels):
        if label in place:
            patch = patches[place[label]] + (1 - alpha[place[label]]) * 0.85
            left = column * (size + 2) + 1
            strip[:, 1 : size + 1, left : left + size] = patch.clamp(0, 1)
    return (strip * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
