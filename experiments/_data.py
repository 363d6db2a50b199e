"""The tables' data, by the names that the rows use."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image

from segaug import Tokenize
from segaug.data import DataSplits, TokenDataset, TokenSet, TokenStore, load_tokens, open_data, parse_segmenter

__all__ = ["Counts", "load_row_tokens"]

_SIZE = 144


class Counts:
    """NLVR's pictures with one of its counts as the class (Suhr et al., ACL 2017).

    The six pictures of an example hold the same boxes in another order; training and validation share no example.

    Args:
        folder: The unpacked data: ``counts.csv``, and ``train`` and ``val`` with pictures of 400x100.
        split: ``"train"`` or ``"val"``.
        column: The count to predict.
        classes: The counts that are classes; other pictures are left out.
    """

    size = (100, 400)

    def __init__(self, folder: Path, split: str, column: str, classes: Sequence[str]) -> None:
        with (folder / "counts.csv").open(newline="") as file:
            lines = [line for line in csv.DictReader(file) if line["split"] == split and line[column] in classes]
        self.paths = [folder / line["file"] for line in lines]
        self.classes = list(classes)
        self.targets = [self.classes.index(line[column]) for line in lines]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, int]:
        """The picture (3, 100, 400), on white, and its class."""
        pixels = decode_image(str(self.paths[index]), mode=ImageReadMode.RGB_ALPHA).float()
        alpha = pixels[3:] / 255
        image = (pixels[:3] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
        return tv_tensors.Image(image), self.targets[index]

    def key(self, index: int) -> dict[str, Any]:
        """What the picture depends on."""
        return {"nlvr": self.paths[index].name}


def _counts(folder: Path, column: str) -> DataSplits:
    every = [str(count) for count in range(21)]
    both = (Counts(folder, split, column, every) for split in ("train", "val"))
    seen = [{images.classes[target] for target in images.targets} for images in both]
    # Counts that no picture to learn from, or to validate on, has are no classes.
    classes = [count for count in every if all(count in counts for counts in seen)]
    return DataSplits(*(Counts(folder, split, column, classes) for split in ("train", "val")), has_segments=False)


def load_row_tokens(
    data: str,
    segmenter: str,
    *,
    limit: int | None,
    seed: int,
    tokenize: dict[str, Any],
    photos: Path | None,
    nlvr: Path | None,
    store: Path,
) -> tuple[TokenSet, TokenSet]:
    """The tokens to train on and to validate on."""
    if data == "scenes":
        if photos is None:
            raise ValueError("this row needs the photos: --photos FOLDER, with train/CLASS and val/CLASS")
        splits = open_data(photos, size=_SIZE, limit_per_class=limit, seed=seed)
    elif data.startswith("nlvr:"):
        if nlvr is None:
            raise ValueError("this row needs NLVR: --nlvr FOLDER, with counts.csv, train and val")
        splits = _counts(nlvr, data.partition(":")[2])
    else:
        splits = open_data(data, limit_per_class=limit, seed=seed, num_scenes=(2000, 1000))
    made = None if segmenter == "true" else parse_segmenter(segmenter)
    cutter = Tokenize(**{"background": not segmenter.startswith(("grid", "voronoi")), **tokenize})
    kept = TokenStore(store)
    train, val = (load_tokens(TokenDataset(images, made, cutter, kept)) for images in (splits.train, splits.val))
    return train, val
