"""Table "tuning": three augmentations for each model, with two seeds that no other table has."""

from _base import svit, vit
from _table import options, run_table

SEEDS = (100, 101)
ROWS = {
    "ViT, crop (60 %), flip, colour": vit("image"),
    "ViT, crop (35 %), flip, stronger colour": vit("image-strong"),
    "ViT, crop (85 %), flip, weaker colour": vit("image-weak"),
    "S-ViT, drop, flip, crop, colour, position, mirror": svit("drop+flip+crop+color+position+mirror"),
    "S-ViT, the same without crop": svit("drop+flip+color+position+mirror"),
    "S-ViT, without crop, and SegmentMix": svit("drop+flip+color+position+mirror+mix"),
}

if __name__ == "__main__":
    run_table("tuning", ROWS, options(__doc__ or "", ROWS, SEEDS))
