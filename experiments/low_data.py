"""Table "low data": photos, few per class; ViT and S-ViT without augmentation, with the image's and with the segments'."""

from _base import CENTRED, IMAGE, RAW, SEGMENT, svit, vit
from _table import options, run_table

# As many steps as a few minutes allow; the same for all rows of a size.
EPOCHS = {25: 80, 100: 40, 400: 20}
SEEDS = range(5)
ROWS = {
    f"{limit} per class, {name}, {title}": make(augment, limit=limit, epochs=epochs)
    for limit, epochs in EPOCHS.items()
    for name, make in (("ViT", vit), ("S-ViT", svit))
    for title, augment in (("none", "none"), ("image-level", IMAGE), ("per-segment", SEGMENT))
}
# With the fewest photos, what normalising does to pixels' weight against positions' shows.
for pixels, options_of_pixels in (
    ("not normalised", RAW),
    ("centred, not scaled", CENTRED),
):
    ROWS[f"25 per class, S-ViT, per-segment, pixels {pixels}"] = svit(
        SEGMENT, limit=25, epochs=EPOCHS[25], model=options_of_pixels
    )

if __name__ == "__main__":
    run_table("low data", ROWS, options(__doc__ or "", ROWS, SEEDS))
