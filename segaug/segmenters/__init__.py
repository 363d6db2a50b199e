"""Segmenters: image -> SegmentMap."""

from segaug.segmenters._base import Segmenter
from segaug.segmenters._felzenszwalb import Felzenszwalb
from segaug.segmenters._grid import Grid
from segaug.segmenters._segment_anything import SegmentAnything
from segaug.segmenters._slic import SLIC
from segaug.segmenters._voronoi import Voronoi
from segaug.segmenters._watershed import Watershed

__all__ = ["Felzenszwalb", "Grid", "SLIC", "SegmentAnything", "Segmenter", "Voronoi", "Watershed"]
