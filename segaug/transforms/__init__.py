"""Transforms for a ``v2.Compose``: segment, tokenise, and augment per segment."""

from segaug.transforms._background_swap import BackgroundSwap
from segaug.transforms._combinations import combinations, count_combinations
from segaug.transforms._engine._lowering import ColorLowering, Draw, Lowering, register_lowering
from segaug.transforms._per_segment import PerSegment
from segaug.transforms._position_jitter import PositionJitter
from segaug.transforms._random_mirror import RandomMirror
from segaug.transforms._segment import Segment
from segaug.transforms._segment_copy_paste import SegmentCopyPaste
from segaug.transforms._segment_drop import SegmentDrop
from segaug.transforms._segment_mix import SegmentMix
from segaug.transforms._token_budget import TokenBudget
from segaug.transforms._tokenize import Tokenize
from segaug.transforms._two_views import TwoViews, Views

__all__ = [
    "BackgroundSwap",
    "ColorLowering",
    "Draw",
    "Lowering",
    "PerSegment",
    "PositionJitter",
    "RandomMirror",
    "Segment",
    "SegmentCopyPaste",
    "SegmentDrop",
    "SegmentMix",
    "TokenBudget",
    "Tokenize",
    "TwoViews",
    "Views",
    "combinations",
    "count_combinations",
    "register_lowering",
]
