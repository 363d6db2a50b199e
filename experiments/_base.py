"""What the tables share: the two kinds of tokens, and the augmentations that won the tuning."""

from dataclasses import replace

from _rows import Row

__all__ = ["CENTRED", "IMAGE", "PATCHES", "RAW", "SEGMENT", "SEGMENTS", "photos", "svit", "vit"]

# 43 tokens of a photo of 144x144 on average, and a grid of as many patches for the ViT.
SEGMENTS = "felzenszwalb:scale=150,min_size=60"
PATCHES = "grid:rows=6,cols=7"
# The best of three for the ViT (table "tuning"); what make_recipe("segment") has for S-ViT, whatever the table says.
IMAGE = "image-weak"
SEGMENT = "drop+flip+color+position+mirror"
# The model takes pixels as they are.
RAW = {"pixel_mean": 0.0, "pixel_std": 1.0}
# It takes the mean off and leaves their spread.
CENTRED = {"pixel_mean": 0.45, "pixel_std": 1.0}


def photos(segmenter: str, augment: str = "none", *, limit: int = 100, epochs: int = 40, **options: object) -> Row:
    """A row on the photos."""
    return replace(Row(data="scenes", segmenter=segmenter, augment=augment, limit=limit, epochs=epochs), **options)  # type: ignore[arg-type]


def svit(augment: str = "none", **options: object) -> Row:
    """A row of S-ViT on the photos."""
    return photos(SEGMENTS, augment, **options)  # type: ignore[arg-type]


def vit(augment: str = "none", **options: object) -> Row:
    """A row of ViT on the photos: the same model on patches of a grid, position features, alpha and pooling alike."""
    return photos(PATCHES, augment, **options)  # type: ignore[arg-type]
