"""Hypothesis strategies that draw hard images, segments, masks, boxes, tokens and transforms."""

from segaug.testing.strategies._albumentations import albumentations_transforms
from segaug.testing.strategies._annotated_images import annotated_images
from segaug.testing.strategies._boxes import boxes
from segaug.testing.strategies._contents import CONTENTS
from segaug.testing.strategies._images import images
from segaug.testing.strategies._keypoints import keypoints
from segaug.testing.strategies._kornia import kornia_transforms
from segaug.testing.strategies._layouts import LAYOUTS, layout_of, with_layout
from segaug.testing.strategies._masks import masks
from segaug.testing.strategies._pipelines import pipelines
from segaug.testing.strategies._registry import register_transform
from segaug.testing.strategies._segment_maps import SEGMENT_MAP_KINDS, segment_maps
from segaug.testing.strategies._segment_tokens import segment_tokens
from segaug.testing.strategies._segmented_images import segmented_images
from segaug.testing.strategies._torchvision import torchvision_transforms

__all__ = [
    "CONTENTS",
    "LAYOUTS",
    "SEGMENT_MAP_KINDS",
    "albumentations_transforms",
    "annotated_images",
    "boxes",
    "images",
    "keypoints",
    "kornia_transforms",
    "layout_of",
    "masks",
    "pipelines",
    "register_transform",
    "segment_maps",
    "segment_tokens",
    "segmented_images",
    "torchvision_transforms",
    "with_layout",
]
