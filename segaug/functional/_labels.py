"""Kernels on label maps: dense labels, areas, boxes."""

from dataclasses import dataclass

import numpy as np
import torch

from segaug._checks import describe

__all__ = ["relabel", "segment_areas", "segment_boxes", "segment_table"]


def relabel(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Renumber the labels of each map to 0, 1, ..., S without gaps, in ascending order; 0 stays 0.

    Args:
        labels: (..., H, W) integers, at least 0.

    Returns:
        The dense labels (..., H, W) int64, and the label that each had before, (..., S) int64. S is that of the map
        with the most segments; shorter maps are filled up with -1.

    Example:
        >>> dense, values = relabel(torch.tensor([[0, 9, 4]]))
        >>> dense.tolist(), values.tolist()
        ([[0, 2, 1]], [4, 9])
    """
    runs = find_runs(labels)
    dense, values = number_runs(runs)
    return spread_runs(dense, runs.lengths, labels.numel()).view(labels.shape), values.view(
        *labels.shape[:-2], values.shape[-1]
    )


def segment_areas(labels: torch.Tensor, num_segments: int) -> torch.Tensor:
    """Count the pixels of each segment.

    Args:
        labels: (..., H, W) integers in [0, num_segments], as :func:`relabel` makes them.
        num_segments: S.

    Returns:
        (..., S + 1) int64: pixels in no segment, then of each segment.

    Raises:
        ValueError: If a label is above ``num_segments``.

    Example:
        >>> segment_areas(torch.tensor([[0, 2, 2]]), 2).tolist()
        [1, 0, 2]
    """
    runs = find_runs(labels)
    _check_count(runs, num_segments)
    return _areas(runs, runs.labels, num_segments).view(*labels.shape[:-2], num_segments + 1)


def segment_boxes(labels: torch.Tensor, num_segments: int) -> torch.Tensor:
    """Find the bounding box of each segment.

    Args:
        labels: (..., H, W) integers in [0, num_segments], as :func:`relabel` makes them.
        num_segments: S.

    Returns:
        (..., S, 4) int64: XYXY in pixels, half-open; 0 for a segment without pixels.

    Raises:
        ValueError: If a label is above ``num_segments``.

    Example:
        >>> segment_boxes(torch.tensor([[0, 2, 2], [0, 0, 2]]), 2).tolist()
        [[0, 0, 0, 0], [1, 0, 3, 2]]
    """
    runs = find_runs(labels)
    _check_count(runs, num_segments)
    return _boxes(runs, runs.labels, num_segments).view(*labels.shape[:-2], num_segments, 4)


def segment_table(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """List the segments of each map: labels, areas and boxes, in one pass.

    Args:
        labels: (..., H, W) integers, at least 0.

    Returns:
        Labels (..., S) int64, ascending, filled up with -1; areas (..., S + 1) int64, pixels in no segment first; boxes
        (..., S, 4) int64: XYXY in pixels, half-open.

    Example:
        >>> values, areas, boxes = segment_table(torch.tensor([[0, 9, 4]]))
        >>> values.tolist(), areas.tolist(), boxes.tolist()
        ([4, 9], [1, 1, 1], [[2, 0, 3, 1], [1, 0, 2, 1]])
    """
    leading = labels.shape[:-2]
    runs = find_runs(labels)
    dense, values = number_runs(runs)
    count = values.shape[-1]
    areas, boxes = _areas(runs, dense, count), _boxes(runs, dense, count)
    return values.view(*leading, count), areas.view(*leading, count + 1), boxes.view(*leading, count, 4)


@dataclass(frozen=True)
class Runs:
    """Horizontal runs of equal labels, in reading order: far fewer than pixels, and as good for labels and boxes."""

    labels: torch.Tensor  # (R,) label of each run
    lengths: torch.Tensor  # (R,) pixels of each run
    starts: torch.Tensor  # (R,) flat index of its first pixel
    maps: int
    height: int
    width: int

    def map_index(self) -> torch.Tensor:
        """Which map each run is in, (R,)."""
        return self.starts // max(1, self.height * self.width)


def find_runs(labels: torch.Tensor) -> Runs:
    """Find the horizontal runs of (..., H, W) labels."""
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"labels must be integers, got {describe(labels)}")
    if labels.ndim < 2:
        raise ValueError(f"labels must have shape (..., H, W), got {describe(labels)}")
    height, width = labels.shape[-2:]
    rows = labels.reshape(-1, width) if width else labels.reshape(0, 0)
    first = torch.ones(rows.shape, dtype=torch.bool, device=labels.device)
    torch.ne(rows[:, 1:], rows[:, :-1], out=first[:, 1:])
    starts = _places(first.view(-1))
    lengths = torch.diff(starts, append=starts.new_full((1,), rows.numel()))
    values = rows.reshape(-1).index_select(0, starts).long()
    if len(values) and int(values.min()) < 0:
        raise ValueError(f"labels must be at least 0, got {int(values.min())}")
    return Runs(values, lengths, starts, labels.shape[:-2].numel(), height, width)


def spread_runs(values: torch.Tensor, lengths: torch.Tensor, count: int) -> torch.Tensor:
    """Repeat each run's value (R,) over its pixels, ``count`` in all: (count,)."""
    if values.device.type == "cpu":
        # Three times as fast as torch's.
        return torch.from_numpy(np.repeat(values.numpy(), lengths.numpy()))
    return values.repeat_interleave(lengths, output_size=count)


def _places(flags: torch.Tensor) -> torch.Tensor:
    """Find where (K,) flags are set."""
    if flags.device.type == "cpu":
        # Five times as fast as torch's.
        return torch.from_numpy(np.flatnonzero(flags.numpy()))
    return flags.nonzero().squeeze(1)


def number_runs(runs: Runs) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the dense label of each run (R,), and the labels that they had, (maps, S), filled up with -1."""
    labels, values = runs.labels, None
    device = labels.device
    if not len(labels):
        return labels, labels.new_zeros((runs.maps, 0))
    top = int(labels.max())
    if top > 4 * len(labels) + 1024:
        # Labels far apart: a table of all of them would be larger than the picture.
        values, labels = torch.unique(torch.cat([labels.new_zeros(1), labels]), return_inverse=True)
        labels, top = labels[1:], len(values) - 1
    keys = labels + runs.map_index() * (top + 1) if runs.maps > 1 else labels
    present = torch.zeros((runs.maps, top + 1), dtype=torch.int64, device=device)
    present.view(-1)[keys] = 1
    present[:, 0] = 0
    dense_of_label = present.cumsum(1).mul_(present)
    count = int(dense_of_label.max())
    rows, columns = present.nonzero(as_tuple=True)
    originals = torch.full((runs.maps, count), -1, dtype=torch.int64, device=device)
    originals[rows, dense_of_label[rows, columns] - 1] = columns if values is None else values[columns]
    return dense_of_label.view(-1)[keys], originals


def _keys(runs: Runs, dense: torch.Tensor, count: int) -> torch.Tensor:
    return dense + runs.map_index() * (count + 1) if runs.maps > 1 else dense


def _areas(runs: Runs, dense: torch.Tensor, count: int) -> torch.Tensor:
    areas = torch.zeros(runs.maps * (count + 1), dtype=torch.int64, device=dense.device)
    return areas.scatter_add_(0, _keys(runs, dense, count), runs.lengths)


def _boxes(runs: Runs, dense: torch.Tensor, count: int) -> torch.Tensor:
    keys = _keys(runs, dense, count)
    row = runs.starts // max(1, runs.width)
    x = runs.starts - row * runs.width
    y = row if runs.maps == 1 else row % max(1, runs.height)
    # One reduction for all four sides: the maxima as minima of negatives.
    ends = torch.stack([x, y, -(x + runs.lengths), -(y + 1)], dim=-1).to(torch.int32)
    boxes = torch.zeros((runs.maps * (count + 1), 4), dtype=torch.int32, device=dense.device)
    boxes.scatter_reduce_(0, keys[:, None].expand(-1, 4), ends, "amin", include_self=False)
    boxes[:, 2:].neg_()
    return boxes.view(runs.maps, count + 1, 4)[:, 1:].long()


def _check_count(runs: Runs, num_segments: int) -> None:
    if len(runs.labels) and not 0 <= int(runs.labels.min()) <= int(runs.labels.max()) <= num_segments:
        raise ValueError(
            f"labels must be in [0, num_segments = {num_segments}], "
            f"got {int(runs.labels.min())} to {int(runs.labels.max())}"
        )
