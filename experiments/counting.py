"""Table "counting and relations": NLVR's counts, and the drawn tasks, two of which are there to be broken."""

from _rows import Row
from _table import options, run_table

# NLVR's pictures are 400x100: 64 patches of 25x25 pixels. They are drawn without noise, so nothing is smoothed.
KINDS = {"ViT": "grid:rows=4,cols=16", "S-ViT": "felzenszwalb:scale=300,min_size=20,sigma=0.0"}
# The drawn pictures are 96x96. Their own segments are the ground truth; Felzenszwalb's are what can be had of any picture.
DRAWN = {
    "ViT": "grid:rows=5,cols=5",
    "S-ViT, true segments": "true",
    "S-ViT, Felzenszwalb": "felzenszwalb:scale=100,min_size=20",
}
SEEDS = range(5)
ROWS = {
    **{
        f"NLVR, number of {what}, {name}": Row(data=f"nlvr:{column}", segmenter=segmenter, augment="none", epochs=12)
        for column, what in (("objects", "objects"), ("yellow", "yellow ones"), ("circle", "circles"))
        for name, segmenter in KINDS.items()
    },
    **{
        f"NLVR, number of objects, {name}, 60 epochs": Row(
            data="nlvr:objects", segmenter=segmenter, augment="none", epochs=60
        )
        for name, segmenter in KINDS.items()
    },
    **{
        f"drawn, {task}, {name}, {augment}": Row(data=f"scenes:{task}", segmenter=segmenter, augment=augment, epochs=10)
        for task in ("count", "majority", "relation", "orientation")
        for name, segmenter in DRAWN.items()
        for augment in (("none", "flip+position") if segmenter == "true" else ("none",))
    },
}

if __name__ == "__main__":
    run_table("counting and relations", ROWS, options(__doc__ or "", ROWS, SEEDS))
