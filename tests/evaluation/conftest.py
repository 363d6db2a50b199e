import PIL.Image
import pytest
import torch

from segaug import models
from segaug.data import TokenDataset, load_tokens, parse_segmenter, seeded_stream, train_val_folders
from segaug.training import RunFolder, fit
from segaug.transforms import Tokenize

CLASSES = ("blue", "green", "red")
SEGMENTER = "grid:rows=2,cols=2"


def save_photos(folder, classes, images, seed):
    """Blocks of noise, tinted by class."""
    generator = torch.Generator().manual_seed(seed)
    for channel, name in enumerate(CLASSES):
        if name in classes:
            (folder / name).mkdir(parents=True)
            for i in range(images):
                blocks = torch.randint(0, 120, (4, 4, 3), dtype=torch.uint8, generator=generator)
                blocks[..., 2 - channel] += torch.randint(0, 130, (4, 4), dtype=torch.uint8, generator=generator)
                picture = PIL.Image.fromarray(blocks.numpy()).resize((24, 20), PIL.Image.Resampling.NEAREST)
                picture.save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A data folder of three classes, train/CLASS/i.png and val/CLASS/i.png."""
    folder = tmp_path_factory.mktemp("photos")
    save_photos(folder / "train", CLASSES, 6, 0)
    save_photos(folder / "val", CLASSES, 4, 1)
    return folder


@pytest.fixture(scope="session")
def run_folder(photos, tmp_path_factory):
    """A run, trained for two epochs, and its history."""
    segmenter = parse_segmenter(SEGMENTER)
    sets = [
        load_tokens(TokenDataset(images, segmenter, Tokenize(max_segments=50)))
        for images in train_val_folders(photos, size=24)
    ]
    folder = tmp_path_factory.mktemp("runs") / "run"
    with seeded_stream(0):
        model = models.svit_micro(3)
    settings = {"data": str(photos), "segmenter": SEGMENTER, "model": "svit_micro", "size": 24, "max_segments": 50}
    fit(model, *sets, RunFolder(folder), epochs=2, batch_size=8, settings=settings, progress=False)
    return folder
