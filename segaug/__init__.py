"""segaug: augment the things in a picture, and not only the picture.

Transforms for torchvision pipelines that change every segment by its own draw, segment tokens, and a reference S-ViT.
"""

from segaug import adapters, functional, models, segmenters, structures, transforms
from segaug.segmenters import SLIC, Felzenszwalb, Grid, SegmentAnything, Voronoi, Watershed
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens, collate
from segaug.transforms import (
    BackgroundSwap,
    PerSegment,
    PositionJitter,
    RandomMirror,
    Segment,
    SegmentCopyPaste,
    SegmentDrop,
    SegmentMix,
    TokenBudget,
    Tokenize,
    TwoViews,
    combinations,
    count_combinations,
)

__all__ = [
    "BackgroundSwap",
    "Felzenszwalb",
    "Grid",
    "PerSegment",
    "PositionJitter",
    "RandomMirror",
    "SLIC",
    "Segment",
    "SegmentAnything",
    "SegmentCopyPaste",
    "SegmentDrop",
    "SegmentMap",
    "SegmentMix",
    "SegmentTokens",
    "SegmentedImage",
    "TokenBudget",
    "Tokenize",
    "TwoViews",
    "Voronoi",
    "Watershed",
    "adapters",
    "collate",
    "combinations",
    "count_combinations",
    "functional",
    "models",
    "segmenters",
    "structures",
    "transforms",
]

__version__ = "0.1.0.dev0"
