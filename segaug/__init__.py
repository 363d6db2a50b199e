"""segaug: augment the things in a picture, and not only the picture.

Transforms for torchvision pipelines that change every segment by its own draw, segment tokens, and a reference S-ViT.
"""

from segaug import functional, models, segmenters, structures, transforms
from segaug.segmenters import SLIC, Felzenszwalb, Grid, SegmentAnything, Voronoi, Watershed
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens, collate
from segaug.transforms import PerSegment, PositionJitter, RandomMirror, Segment, SegmentDrop, Tokenize

__all__ = [
    "Felzenszwalb",
    "Grid",
    "PerSegment",
    "PositionJitter",
    "RandomMirror",
    "SLIC",
    "Segment",
    "SegmentAnything",
    "SegmentDrop",
    "SegmentMap",
    "SegmentTokens",
    "SegmentedImage",
    "Tokenize",
    "Voronoi",
    "Watershed",
    "collate",
    "functional",
    "models",
    "segmenters",
    "structures",
    "transforms",
]

__version__ = "0.1.0.dev0"
