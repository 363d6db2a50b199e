"""The types: what a pixel belongs to, an image with its segments, and the segments as tokens."""

from segaug.structures._collate import collate
from segaug.structures._concatenate import concatenate
from segaug.structures._segment_map import SegmentMap
from segaug.structures._segment_tokens import SegmentTokens
from segaug.structures._segmented_image import SegmentedImage

__all__ = ["SegmentMap", "SegmentTokens", "SegmentedImage", "collate", "concatenate"]
