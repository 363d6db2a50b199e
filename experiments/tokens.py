"""Table "which tokens": S-ViT with per-segment augmentation on 100 photos per class, one choice changed at a time.

Rows of ViT stand beside them, as controls.
"""

from _base import CENTRED, IMAGE, RAW, SEGMENT, SEGMENTS, photos, svit, vit
from _table import options, run_table

SEEDS = range(3)
ROWS = {
    "as in the other tables": svit(SEGMENT),
    "position: MLP of the five numbers": svit(SEGMENT, model={"position": "mlp"}),
    "no alpha channel": svit(SEGMENT, model={"alpha_channel": False}),
    "class token": svit(SEGMENT, model={"pool": "cls"}),
    "pixels not normalised": svit(SEGMENT, model=RAW),
    "pixels centred, not scaled": svit(SEGMENT, model=CENTRED),
    "aspect kept": svit(SEGMENT, tokenize={"aspect": "keep"}),
    "hard edges": svit(SEGMENT, tokenize={"edges": "hard"}),
    "position: histogram": svit(SEGMENT, model={"position": "histogram"}),
    "mean colour": svit(SEGMENT, model={"color_embed": True}),
    "fewer segments (scale 300, min_size 120)": photos("felzenszwalb:scale=300,min_size=120", SEGMENT),
    "more segments (scale 80, min_size 30)": photos("felzenszwalb:scale=80,min_size=30", SEGMENT),
    "SLIC": photos("slic:n_segments=45", SEGMENT),
    "grid": photos("grid:rows=6,cols=7", SEGMENT),
    "convolution stem": svit(SEGMENT, model={"stem": "conv"}),
    "two scales": photos(f"{SEGMENTS}+felzenszwalb:scale=600,min_size=240", SEGMENT),
    "Voronoi": photos("voronoi:n=43", SEGMENT),
    "ViT, image-level augmentation": vit(IMAGE),
    "ViT, pixels not normalised, image-level augmentation": vit(IMAGE, model=RAW),
    "ViT, pixels centred, not scaled, image-level augmentation": vit(IMAGE, model=CENTRED),
    "ViT, 64 patches, image-level augmentation": photos("grid:rows=8,cols=8", IMAGE),
    "whole box": svit(SEGMENT, tokenize={"edges": "box"}),
    "watershed": photos("watershed:n_segments=43", SEGMENT),
    "class attention": svit(SEGMENT, model={"pool": "class_attention"}),
    "convolution stem, pixels centred, not scaled": svit(SEGMENT, model={"stem": "conv", **CENTRED}),
    "ViT, convolution stem, image-level augmentation": vit(IMAGE, model={"stem": "conv"}),
    "ViT as published (table, class token, no alpha), image-level augmentation": vit(
        IMAGE, model={"position": "table", "pool": "cls", "alpha_channel": False}
    ),
}
# The row that the others are compared with.
AGAINST = ROWS["as in the other tables"]

if __name__ == "__main__":
    run_table("which tokens", ROWS, options(__doc__ or "", ROWS, SEEDS), against=AGAINST)
