"""A picture and its segments, as PerSegment works on them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torchvision import tv_tensors

from segaug._checks import check_unit_range
from segaug.functional import segment_boxes
from segaug.functional._labels import find_runs, number_runs, spread_runs
from segaug.structures import SegmentedImage, SegmentMap
from segaug.transforms._engine._patches import Frame

__all__ = ["Picture"]


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
