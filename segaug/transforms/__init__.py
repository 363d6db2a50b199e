"""Transforms for a ``v2.Compose``: segment, tokenise, and augment per segment."""

from segaug.transforms._lowering import ColorLowering, Draw, Lowering, register_lowering
from segaug.transforms._per_segment import PerSegment
from segaug.transforms._position_jitter import PositionJitter
from segaug.transforms._random_mirror import RandomMirror
from segaug.transforms._segment import Segment
from segaug.transforms._segment_drop import SegmentDrop
from segaug.transforms._tokenize import Tokenize

__all__ = [
    "ColorLowering",
    "Draw",
    "Lowering",
    "PerSegment",
    "PositionJitter",
    "RandomMirror",
    "Segment",
    "SegmentDrop",
    "Tokenize",
    "register_lowering",
]
