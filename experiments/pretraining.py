"""Table "pretraining": masked-segment modelling on all training photos without labels, then 25 labelled ones per class.

A pretraining is done once, by ``examples/pretrain_mae.py``; seeds differ in the labelled photos and in the fine-tuning.
"""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from _base import CENTRED, SEGMENT, SEGMENTS, svit
from _table import missing_trainings, options, run_table
from _train_row import model_options

SEEDS = range(5)
EPOCHS = 100
# The pretrainings, and the models' options that a fine-tuning shares with its own.
PRETRAININGS = {"masked-100": {}, "masked-100-centred": CENTRED}
FINE_TUNING = {"limit": 25, "epochs": 80}
# The pretrained blocks learn more slowly the lower they are; from scratch, that is tried too.
DECAY = {"layer_decay": 0.65}
AUGMENT = {"none": "none", "per-segment": SEGMENT}
ROWS = {
    f"{start}, {augment}{title}": svit(AUGMENT[augment], **FINE_TUNING, **weights, **decay)
    for augment in AUGMENT
    for start, weights in (("from scratch", {}), ("pretrained", {"weights": "masked-100"}))
    for title, decay in (("", {}), (", layer decay", DECAY))
}
for augment in AUGMENT:
    centred = {**FINE_TUNING, "model": CENTRED}
    ROWS[f"pixels centred, not scaled: from scratch, {augment}"] = svit(AUGMENT[augment], **centred)
    ROWS[f"pixels centred, not scaled: pretrained, {augment}, layer decay"] = svit(
        AUGMENT[augment], **centred, **DECAY, weights="masked-100-centred"
    )


def main() -> None:
    """Pretrain where a row needs it, then fine-tune."""
    args = options(__doc__ or "", ROWS, SEEDS)
    if not args.print:
        needed = {row.weights for _, row, _ in missing_trainings(ROWS, args)}
        for name in PRETRAININGS:
            if name in needed:
                _pretrain(name, args)
    run_table("pretraining", ROWS, args)


def _pretrain(name: str, args: Namespace) -> None:
    run = args.runs / "pretraining" / name
    example = Path(__file__).resolve().parents[1] / "examples" / "pretrain_mae.py"
    if (run / "last.safetensors").exists():
        # A run that is finished only says so again.
        how = ["--resume", str(run)]
    else:
        how = ["--data", str(args.photos), "--segmenter", SEGMENTS, "--epochs", str(EPOCHS), "--out", str(run)]
        pixels = ",".join(f"{option}={value}" for option, value in model_options(PRETRAININGS[name]).items())
        how += ["--precision", "bf16", "--pixels", "plain", "--model-options", pixels]
    command = [sys.executable, str(example), *how, "--workers", "0", "--cache", str(args.store)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
