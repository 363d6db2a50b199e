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
# Both: the image's draw first, then each segment's own.
for limit in (25, 100):
    ROWS[f"{limit} per class, S-ViT, image-level and per-segment"] = svit(
        f"{IMAGE}+{SEGMENT}", limit=limit, epochs=EPOCHS[limit]
    )
# With the fewest photos, what normalising does to pixels' weight against positions' shows.
for pixels, options_of_pixels in (
    ("not normalised", RAW),
    ("centred, not scaled", CENTRED),
):
    for title, augment in (
        ("image-level", IMAGE), ("per-segment", SEGMENT), ("image-level and per-segment", f"{IMAGE}+{SEGMENT}")
    ):  # fmt: skip
        ROWS[f"25 per class, S-ViT, {title}, pixels {pixels}"] = svit(
            augment, limit=25, epochs=EPOCHS[25], model=options_of_pixels
        )
# Whether a longer training closes the gap.
for name, row in (("ViT, image-level", vit(IMAGE, epochs=120)), ("S-ViT, per-segment", svit(SEGMENT, epochs=120))):
    ROWS[f"100 per class, {name}, 120 epochs"] = row

if __name__ == "__main__":
    run_table("low data", ROWS, options(__doc__ or "", ROWS, SEEDS))
