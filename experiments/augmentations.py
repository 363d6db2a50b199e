"""Table "which augmentation": S-ViT on 100 photos per class, each augmentation alone and together."""

from _base import SEGMENT, svit
from _table import options, run_table

SEEDS = range(3)
ROWS = {
    "none": svit(),
    "flip": svit("flip"),
    "crop-resize": svit("crop"),
    "colour": svit("color"),
    "position jitter": svit("position"),
    "SegmentDrop": svit("drop"),
    "mirror of the whole": svit("mirror"),
    "SegmentMix": svit("mix"),
    "BackgroundSwap": svit("swap"),
    "drop, flip, colour, position, mirror (the recipe)": svit(SEGMENT),
    "the recipe, and crop-resize": svit("drop+flip+crop+color+position+mirror"),
    "the recipe, and SegmentMix": svit("drop+flip+color+position+mirror+mix"),
}
# The row that the others are compared with.
AGAINST = ROWS["none"]

if __name__ == "__main__":
    run_table("which augmentation", ROWS, options(__doc__ or "", ROWS, SEEDS), against=AGAINST)
