"""Table "pretraining": masked-segment modelling on all training photos without labels, then 25 labelled ones per class.

The pretraining is done once, by ``examples/pretrain_mae.py``; seeds differ in the labelled photos and in the fine-tuning.
"""

import subprocess
import sys
from pathlib import Path

from _base import SEGMENT, SEGMENTS, svit
from _table import options, run_table
from _train_row import PIXEL_STD

SEEDS = range(5)
NAME, EPOCHS = "masked-100", 100
FINE_TUNING = {"limit": 25, "epochs": 80}
# The pretrained blocks learn more slowly the lower they are; from scratch, that is tried too.
DECAY = {"layer_decay": 0.65}
ROWS = {
    f"{start}, {augment}{title}": svit(
        SEGMENT if augment == "per-segment" else "none", **FINE_TUNING, **weights, **decay
    )
    for augment in ("none", "per-segment")
    for start, weights in (("from scratch", {}), ("pretrained", {"weights": NAME}))
    for title, decay in (("", {}), (", layer decay", DECAY))
}


def main() -> None:
    """Pretrain unless it was done, then fine-tune."""
    args = options(__doc__ or "", ROWS, SEEDS)
    run = args.runs / "pretraining" / NAME
    example = Path(__file__).resolve().parents[1] / "examples" / "pretrain_mae.py"
    if not args.print:
        if (run / "last.safetensors").exists():
            # A run that is finished only says so again.
            how = ["--resume", str(run)]
        else:
            how = ["--data", str(args.photos), "--segmenter", SEGMENTS, "--epochs", str(EPOCHS), "--out", str(run)]
            how += ["--precision", "bf16", "--pixels", "plain", "--model-options", f"pixel_std={PIXEL_STD}"]
        command = [sys.executable, str(example), *how, "--workers", "0", "--cache", str(args.store)]
        subprocess.run(command, check=True)
    run_table("pretraining", ROWS, args)


if __name__ == "__main__":
    main()
