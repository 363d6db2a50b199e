"""What a training shows and returns."""

from collections.abc import Mapping, Sequence
from typing import Any

from segaug._optional import require
from segaug.data import TokenSet
from segaug.training._metrics import Meter
from segaug.training._run_folder import RunFolder

__all__ = ["say", "shown", "summary"]


def shown(meter: Meter) -> dict[str, str]:
    return {
        "loss": f"{meter.loss:.3f}",
        "accuracy": f"{meter.accuracy:.3f}",
        "images/s": f"{meter.images_per_second:.0f}",
    }


def say(line: Mapping[str, Any], epochs: int) -> None:
    evaluated = ""
    if "val_loss" in line:
        evaluated = f"val loss {line['val_loss']:.3f}, accuracy {line['val_accuracy']:.3f}; "
    require("tqdm", extra="train").tqdm.write(
        f"epoch {line['epoch']}/{epochs}: train loss {line['train_loss']:.3f}, accuracy {line['train_accuracy']:.3f}; "
        f"{evaluated}{line['images_per_second']:.0f} images/s"
    )


def summary(history: Sequence[Mapping[str, Any]], train: TokenSet, run: RunFolder) -> dict[str, Any]:
    seconds = [len(train) / max(line["images_per_second"], 1e-9) for line in history]
    return {
        "val_accuracy": history[-1]["val_accuracy"],
        "train_loss": history[-1]["train_loss"],
        "epochs": len(history),
        "images_per_second": round(len(train) * len(history) / sum(seconds), 1),
        "mean_tokens": round(train.mean_tokens, 1),
        "best_val_accuracy": max(line.get("val_accuracy", 0.0) for line in history),
        "run": str(run.folder),
    }
